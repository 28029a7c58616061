"""A flow of the name SmallForeach whose steps follow each other in another way."""

from metaflow import FlowSpec, step


class SmallForeach(FlowSpec):
    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        raise ValueError("on purpose")


if __name__ == "__main__":
    SmallForeach()
