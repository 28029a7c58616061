"""Fails in the middle of a foreach."""

from metaflow import FlowSpec, step


class Broken(FlowSpec):
    @step
    def start(self):
        self.items = [1, 0]
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.inverse = 1 / self.input
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Broken()
