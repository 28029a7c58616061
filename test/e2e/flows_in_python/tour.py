"""A flow of every shape: a foreach and its join, a branch and its join, a switch that repeats its step."""

from metaflow_cpp import FlowSpec, JSONType, Parameter, current, project, retry, step


@project(name="tour")
class Tour(FlowSpec):
    """Sums up."""

    count = Parameter("count", default=3, help="How many items.")
    rate = Parameter("rate", default=0.5)
    loud = Parameter("loud", default=False)
    word = Parameter("word", default="hello")
    limits = Parameter("limits", type=JSONType, default={"low": 1})
    names = Parameter("names", separator=",", default="a,b")
    stamp = Parameter("stamp", default=lambda context: f"{context.flow_name} {context.parameter_name}")
    needed = Parameter("needed", required=False, type=int)
    FACTOR = 2.5

    @step
    def start(self):
        """Makes the items."""
        self.items = [{"number": i} for i in range(self.count)]
        self.untouched = self.word * 2
        print("started as", current.pathspec)
        self.next(self.work, foreach="items")

    @retry(times=1, minutes_between_retries=0)
    @step
    def work(self):
        if self.index == 1 and current.retry_count == 0:
            raise ValueError("only once")
        self.product = self.input["number"] * self.FACTOR
        self.stack = self.foreach_stack()
        self.frames = [tuple(frame) for frame in self._foreach_stack]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.products = [each.product for each in inputs]
        self.first = inputs[0].product
        self.merge_artifacts(inputs, exclude=["product", "stack", "frames"])
        self.next(self.split)

    @step
    def split(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.side = "left"
        self.l = 1
        self.next(self.both)

    @step
    def right(self):
        self.side = "right"
        self.r = 2
        self.next(self.both)

    @step
    def both(self, inputs):
        self.side = inputs.left.side + inputs.right.side
        self.merge_artifacts(inputs)
        self.turns = []
        self.next(self.again)

    @step
    def again(self):
        self.turns.append(len(self.turns))
        self.more = "yes" if len(self.turns) < 3 else "no"
        self.next({"yes": self.again, "no": self.end}, condition="more")

    @step
    def end(self):
        print("ended with", sum(self.products), self.side, self.turns, self.untouched)


if __name__ == "__main__":
    Tour()
