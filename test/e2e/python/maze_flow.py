"""The twin of test/flows/maze.cc: the same steps, the same artifacts."""

from metaflow import FlowSpec, Parameter, step


class Maze(FlowSpec):
    """Every kind of split inside another one."""

    broken = Parameter("broken", default=False)

    @step
    def start(self):
        self.next(self.many, self.one)

    @step
    def many(self):
        self.items = [1, 2]
        self.next(self.take, foreach="items")

    @step
    def one(self):
        self.alone = 1
        self.next(self.join_all)

    @step
    def take(self):
        self.item = self.input
        self.parity = "even" if self.item % 2 == 0 else "odd"
        self.countdown = self.item
        self.steps_taken = 0
        self.next({"even": self.even, "odd": self.odd}, condition="parity")

    @step
    def even(self):
        self.handled_by = "even"
        self.next(self.gather)

    @step
    def odd(self):
        self.handled_by = "odd"
        self.next(self.gather)

    @step
    def gather(self):
        self.next(self.shrink)

    @step
    def shrink(self):
        self.steps_taken += 1
        self.countdown -= 1
        self.done = self.countdown <= 0
        self.next({False: self.shrink, True: self.split_again}, condition="done")

    @step
    def split_again(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.left_value = self.item * 10
        self.next(self.join_again)

    @step
    def right(self):
        self.right_value = self.item * 100
        self.next(self.join_again)

    @step
    def join_again(self, inputs):
        self.merge_artifacts(inputs)
        self.both = inputs.left.left_value + inputs.right.right_value
        self.next(self.join_items)

    @step
    def join_items(self, inputs):
        self.handlers = [input.handled_by for input in inputs]
        self.sums = [input.both for input in inputs]
        self.next(self.join_all)

    @step
    def join_all(self, inputs):
        self.alone = inputs.one.alone
        self.handlers = inputs.join_items.handlers
        self.sums = inputs.join_items.sums
        self.summary = self.handlers[1] + str(self.alone)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Maze()
