"""A foreach whose tasks are pods, between local steps. BENCH_IMPORT: a module that the flow imports."""
import importlib
import os

from metaflow import FlowSpec, Parameter, kubernetes, step

if os.environ.get("BENCH_IMPORT"):
    importlib.import_module(os.environ["BENCH_IMPORT"])


class RemoteFlow(FlowSpec):
    n = Parameter("n", type=int, default=10)

    @step
    def start(self):
        self.items = list(range(self.n))
        self.next(self.work, foreach="items")

    @kubernetes(cpu=0.1, memory=64, disk=64)
    @step
    def work(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    RemoteFlow()
