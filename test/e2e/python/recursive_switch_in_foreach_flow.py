"""The twin of test/flows/shapes/recursive_switch_in_foreach.cc. PLAN="loop_body:1::3 throw" makes a task fail."""

import os

from metaflow import FlowSpec, JSONType, Parameter, current, step


class RecursiveSwitchInForeach(FlowSpec):
    items = Parameter("items", default='["A3", "B5", "C2"]', type=JSONType)

    def act(self):
        self.data = "in Python"
        index = "" if self.index is None else self.index
        if os.environ.get("PLAN", "").partition(" ")[0] == f"{current.step_name}:{index}::{self.rounds}":
            raise ValueError("on purpose")

    @step
    def start(self):
        self.rounds = 0
        self.x = self.items
        self.act()
        self.next(self.start_loop_for_item, foreach="x")

    @step
    def start_loop_for_item(self):
        self.item = self.input
        self.act()
        self.next(self.loop_body)

    @step
    def loop_body(self):
        self.rounds += 1
        self.again = self.rounds < int(self.item[1:])
        self.act()
        self.next({True: self.loop_body, False: self.exit_item_loop}, condition="again")

    @step
    def exit_item_loop(self):
        self.act()
        self.next(self.join)

    @step
    def join(self, inputs):
        self.rounds = 0
        self.joined = [input.item for input in inputs]
        self.act()
        self.next(self.end)

    @step
    def end(self):
        self.act()


if __name__ == "__main__":
    RecursiveSwitchInForeach()
