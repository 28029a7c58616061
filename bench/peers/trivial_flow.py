"""The flow of flows/trivial.cc for the official Metaflow, and for our engine. BENCH_IMPORT names a module that it imports."""
import importlib
import os

from metaflow import FlowSpec, Parameter, step

if os.environ.get("BENCH_IMPORT"):
    importlib.import_module(os.environ["BENCH_IMPORT"])


class TrivialFlow(FlowSpec):
    n = Parameter("n", default=10, type=int)

    @step
    def start(self):
        self.items = list(range(self.n))
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.value = self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        print(sum(each.value for each in inputs))
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    TrivialFlow()
