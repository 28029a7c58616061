"""The flow of flows/array.cc for the official Metaflow, and for our engine."""
import os

import numpy
from metaflow import FlowSpec, Parameter, step


def read(data, name):
    from stamp import stamp
    data[0]
    stamp(name + "_first")
    data.sum()
    stamp(name + "_total")


class ArrayFlow(FlowSpec):
    mib = Parameter("mib", default=1024, type=int)

    @step
    def start(self):
        from stamp import stamp
        self.data = numpy.random.default_rng(1).random(self.mib * 1024 * 1024 // 8)
        stamp("made")
        self.next(self.warm)

    @step
    def warm(self):
        from stamp import stamp
        stamp("warm")
        read(self.data, "warm")
        self.next(self.evict)

    @step
    def evict(self):
        from stamp import evict
        for directory, _, files in os.walk(os.environ["METAFLOW_DATASTORE_SYSROOT_LOCAL"]):
            for file in files:
                path = os.path.join(directory, file)
                if os.path.getsize(path) > 1024 * 1024:
                    evict(path)
        self.next(self.cold)

    @step
    def cold(self):
        from stamp import stamp
        stamp("cold")
        read(self.data, "cold")
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    ArrayFlow()
