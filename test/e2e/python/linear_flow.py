"""The twin of test/flows/shapes/linear.cc, which knows two deeds: PLAN="a throw" and PLAN="a kill"."""

import os
import signal

from metaflow import FlowSpec, current, step


class Linear(FlowSpec):
    def act(self):
        self.data = f"{current.step_name}, in Python"
        where, _, how = os.environ.get("PLAN", "").partition(" ")
        if where == current.step_name:
            if how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("on purpose")

    @step
    def start(self):
        self.act()
        self.next(self.a)

    @step
    def a(self):
        self.act()
        self.next(self.end)

    @step
    def end(self):
        self.act()


if __name__ == "__main__":
    Linear()
