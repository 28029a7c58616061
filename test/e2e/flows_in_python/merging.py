"""A join that merges as --how says."""

from metaflow_cpp import FlowSpec, Parameter, step


class Merging(FlowSpec):
    how = Parameter("how", default="all")

    @step
    def start(self):
        self.before = "before"
        self.gone = "gone"
        self.next(self.left, self.right)

    @step
    def left(self):
        self.own = "left"
        self.only_left = self.same = 1
        self._hidden = 3
        del self.gone
        self.next(self.join)

    @step
    def right(self):
        self.own = "right"
        self.same = 1
        del self.gone
        self.next(self.join)

    @step
    def join(self, inputs):
        self.seen = [hasattr(each, "gone") for each in inputs] + ["own" in inputs.left, "only_left" in inputs.right]
        try:
            if self.how == "all":
                self.own = inputs.right.own
                self.merge_artifacts(inputs)
            elif self.how == "conflict":
                self.merge_artifacts(inputs)
            elif self.how == "exclude":
                self.merge_artifacts(inputs, exclude=["own"])
            elif self.how == "include":
                self.merge_artifacts(inputs, include=["same"])
            elif self.how == "missing":
                self.merge_artifacts(inputs, include=["nope", "same"])
            elif self.how == "both":
                self.merge_artifacts(inputs, include=["same"], exclude=["own"])
        except Exception as error:
            self.error = (type(error).__name__, str(error), getattr(error, "artifact_names", None))
        self.next(self.end)

    @step
    def end(self):
        names = ("before", "own", "only_left", "same", "_hidden", "gone")
        self.left_over = {name: getattr(self, name) for name in names if hasattr(self, name)}


if __name__ == "__main__":
    Merging()
