"""Work on other hosts: with a module of its own, a file beside it, and values of a class of this file."""

import dataclasses
import os
import pathlib

from helpers.maths import square

from metaflow_cpp import Config, FlowSpec, Parameter, catch, current, environment, parallel_map, resources, retry, step


@dataclasses.dataclass
class Point:
    x: int


class Away(FlowSpec):
    count = Parameter("count", default=3)
    factor = 10
    settings = Config("settings", default_value={"colour": "grey"})

    @step
    def start(self):
        self.points = [Point(x) for x in range(self.count)]
        self.next(self.work, foreach="points")

    @retry(times=1, minutes_between_retries=0)
    @environment(vars={"COLOUR": settings.colour})
    @resources(cpu=1, memory=300)
    @step
    def work(self):
        if self.index == 1 and current.retry_count == 0:
            raise ValueError("only once")
        print("working on", self.input)
        self.squares = parallel_map(lambda number: square(number) * self.factor, [self.input.x, 7])
        self.words = pathlib.Path("data/words.txt").read_text() if os.path.exists("data/words.txt") else None
        self.place = "pod" if "METAFLOW_KUBERNETES_POD_NAME" in os.environ else "job" if "AWS_BATCH_JOB_ID" in os.environ else "here"
        self.colours = [os.environ["COLOUR"], self.settings.colour]
        self.is_beside = os.path.samefile("away.py", __file__)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.squares = [each.squares for each in inputs]
        self.places = [each.place for each in inputs]
        self.colours = [each.colours for each in inputs]
        self.words = [each.words for each in inputs]
        self.beside = all(each.is_beside for each in inputs)
        self.next(self.failing)

    @catch(var="caught")
    @step
    def failing(self):
        if self.beside:
            raise KeyError("expected")
        self.next(self.end)

    @step
    def end(self):
        print("ended with", self.squares)


if __name__ == "__main__":
    Away()
