"""Tells which process has imported it, and what its tasks have of their own."""

import os
import random
import threading

import numpy.random

from metaflow_cpp import FlowSpec, step

IMPORTED_BY = os.getpid()
if os.environ.get("SEED"):
    random.seed(1)
    numpy.random.seed(1)
if os.environ.get("THREAD"):
    threading.Thread(target=threading.Event().wait, daemon=True).start()


class Imported(FlowSpec):
    @step
    def start(self):
        self.items = list(range(4))
        self.look()
        self.next(self.work, foreach="items")

    def look(self):
        self.imported_by = IMPORTED_BY
        self.here = os.getpid()
        self.group = os.getpgid(0)
        self.number = (random.random(), float(numpy.random.rand()))
        self.colour = os.environ.get("COLOUR")

    @step
    def work(self):
        self.look()
        print("out of", self.index)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.seen = [(each.imported_by, each.here, each.group, each.number, each.colour) for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Imported()
