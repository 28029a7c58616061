"""The twin of test/flows/shapes/tries.cc without its decorators. PLAN="after:0 throw" makes a task fail."""

import os

from metaflow import FlowSpec, JSONType, Parameter, current, step


class Tries(FlowSpec):
    items = Parameter("items", default='["a"]', type=JSONType)

    def act(self):
        here = current.step_name + ":" + ",".join(str(frame[0]) for frame in self.foreach_stack() or [])
        if os.environ.get("PLAN", "").partition(" ")[0] == here:
            raise ValueError("on purpose")

    @step
    def start(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.next(self.join)

    @step
    def right(self):
        self.x = self.items
        self.next(self.inner_split, foreach="x")

    @step
    def inner_split(self):
        self.y = ["c", "d"]
        self.next(self.inner, foreach="y")

    @step
    def inner(self):
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.next(self.after)

    @step
    def after(self):
        self.act()
        self.next(self.outer_join)

    @step
    def outer_join(self, inputs):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Tries()
