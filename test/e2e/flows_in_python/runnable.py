"""For tests of Runner: it waits for its gate, a pipe, and fails if FAIL is set."""

import os
import sys

from metaflow_cpp import FlowSpec, JSONType, Parameter, step


class Runnable(FlowSpec):
    count = Parameter("count", default=3)
    my_rate = Parameter("my-rate", default=0.5)
    loud = Parameter("loud", default=False)
    limits = Parameter("limits", type=JSONType, default={"low": 1})
    word = Parameter("word", required=True)

    @step
    def start(self):
        print("waiting", flush=True)
        if "GATE" in os.environ:
            with open(os.environ["GATE"]) as gate:
                gate.read()
        self.place = os.getcwd()
        self.numbers = list(range(self.count))
        self.next(self.work, foreach="numbers")

    @step
    def work(self):
        self.square = self.input**2
        self.next(self.end_of_all)

    @step
    def end_of_all(self, inputs):
        if os.environ.get("FAIL"):
            raise ValueError("FAIL is set")
        self.squares = [each.square for each in inputs]
        self.merge_artifacts(inputs, exclude=["square"])
        print("größe", self.word)
        print("to the other stream", file=sys.stderr)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Runnable()
