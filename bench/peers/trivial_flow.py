"""The flow of flows/trivial.cc for the official Metaflow."""
from metaflow import FlowSpec, Parameter, step


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
