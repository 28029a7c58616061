"""The twin of test/flows/failing.cc, which does not fail, and says of every task that it ran in Python."""

from metaflow import FlowSpec, Parameter, step


class Failing(FlowSpec):
    where = Parameter("where", default="nowhere")
    what = Parameter("what", default="runtime_error")

    @step
    def start(self):
        self.items = ["zero", "one", "two"]
        self.reached = "start, in Python"
        self.next(self.work, foreach="items")

    @step
    def work(self):
        self.reached = "work, in Python"
        self.series = [float(len(self.input))]
        print("in Python:", self.input, self.index)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.reached = "join, in Python"
        self.all_reached = [(input.index, input.reached, list(map(float, input.series))) for input in inputs]
        self.count = len(self.all_reached)
        self.next(self.end)

    @step
    def end(self):
        self.reached = "end, in Python"
        print("count", self.count, "where", self.where)


if __name__ == "__main__":
    Failing()
