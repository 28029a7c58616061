"""The twin of test/flows/shapes/small_foreach.cc. PLAN="foreach_inner:1 throw" makes a task fail."""

import os

from metaflow import FlowSpec, JSONType, Parameter, current, step


class SmallForeach(FlowSpec):
    items = Parameter("items", default="[1, 2, 3]", type=JSONType)
    mode = Parameter("mode", default="")

    def act(self):
        self.data = f"{current.step_name}, in Python"
        here = current.step_name + ("" if self.index is None else f":{self.index}")
        print(here, "in Python")
        if os.environ.get("PLAN", "").partition(" ")[0] in (here, current.step_name):
            raise ValueError("on purpose")

    @step
    def start(self):
        self.act()
        self.next(self.foreach_split)

    @step
    def foreach_split(self):
        self.x = self.items
        self.act()
        self.next(self.foreach_inner, foreach="x")

    @step
    def foreach_inner(self):
        self.act()
        self.item = self.input
        self.next(self.foreach_join)

    @step
    def foreach_join(self, inputs):
        self.joined = [input.item for input in inputs]
        self.act()
        self.next(self.end)

    @step
    def end(self):
        self.act()


if __name__ == "__main__":
    SmallForeach()
