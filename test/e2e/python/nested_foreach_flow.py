"""The twin of test/flows/shapes/nested_foreach.cc. PLAN="foreach_inner:1,0,4 throw" makes a task fail."""

import os

from metaflow import FlowSpec, JSONType, Parameter, current, retry, step


class NestedForeach(FlowSpec):
    items = Parameter("items", default='["a", "b", "c"]', type=JSONType)

    def act(self):
        self.data = "in Python"
        here = current.step_name + ":" + ",".join(str(frame[0]) for frame in self.foreach_stack() or [])
        if os.environ.get("PLAN", "").partition(" ")[0] == here:
            raise ValueError("on purpose")

    @step
    def start(self):
        self.act()
        self.next(self.foreach_split_x)

    @step
    def foreach_split_x(self):
        self.x = self.items
        self.act()
        self.next(self.foreach_split_y, foreach="x")

    @step
    def foreach_split_y(self):
        self.y = ["d", "e"]
        self.act()
        self.next(self.foreach_split_z, foreach="y")

    @retry(times=1, minutes_between_retries=0)
    @step
    def foreach_split_z(self):
        if current.retry_count == 0:
            raise ValueError("tried again")
        self.z = ["f", "g"]
        self.act()
        self.next(self.foreach_inner, foreach="z")

    @step
    def foreach_inner(self):
        self.item = self.input
        self.act()
        self.next(self.foreach_join_z)

    @step
    def foreach_join_z(self, inputs):
        self.joined = [input.item for input in inputs]
        self.act()
        self.next(self.foreach_join_y)

    @step
    def foreach_join_y(self, inputs):
        self.act()
        self.next(self.foreach_join_x)

    @step
    def foreach_join_x(self, inputs):
        self.act()
        self.next(self.end)

    @step
    def end(self):
        self.act()


if __name__ == "__main__":
    NestedForeach()
