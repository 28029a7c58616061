"""What flows do that is easily done otherwise: base classes, changed inputs, __init__, functions as attributes, properties as foreach."""

from metaflow import FlowSpec, IncludeFile, Parameter, current, resources, retry, step


class Base(FlowSpec):
    p = 5
    m = None
    q = "of the base"
    r = Parameter("r", default=1)
    kept = Parameter("kept", default=3)


class Alike(Base):
    p = Parameter("p", default=7)
    r = 2
    words = IncludeFile("words", default="text.txt", parser=lambda text: text.split())
    several = Parameter("several", type=int, multiple=True)

    def __init__(self, use_cli=True):
        self.helper = {"k": 1}
        super().__init__(use_cli=use_cli)

    def m(self):
        return "a method"

    @property
    def q(self):
        return "a property"

    def doubled(self, more):
        return 2 * self.found + more

    @property
    def tripled(self):
        return 3 * self.found

    @property
    def numbers(self):
        return [3, 4]

    @retry(times="0")
    @resources(memory="100", cpu="1")
    @step
    def start(self):
        self.project = [hasattr(current, "project_name"), current.get("branch_name", "none"), "is_production" in current, current.get("run_id") is None]
        self.seen = [self.p, self.m(), self.q, self.r, self.kept, self.helper, tuple(self.several)]
        self.function = lambda: 1
        self.method = self.m
        self.seen += [self.function(), self.method()]
        self.items = [{"id": 1}, {"id": 2}]
        self.next(self.change, foreach="items")

    @step
    def change(self):
        self.input["out"] = self.input["id"] * 10
        self.next(self.look)

    @step
    def look(self):
        self.found = self.input["out"]
        self.listed = [self.index]
        self.own = self.index
        self.name = "another"
        self.listed.append(self.name)
        self.next(self.join)

    @step
    def join(self, inputs):
        inputs[0].listed.append(9)
        inputs[1].extra = 3
        self.seen = [inputs[0].listed, inputs[1].extra, inputs.look.found, [each.found for each in inputs[0:1]], inputs[-1].helper]
        self.seen += [self.name, inputs[0].name, inputs[1].doubled(5), inputs[0].tripled, inputs[0].m(), hasattr(inputs[0], "nothing")]
        self.merge_artifacts([each for each in inputs if each.own == 1], exclude=None, include=["own", "found"])
        self.next(self.fan_out)

    @step
    def fan_out(self):
        self.next(self.fan, foreach="words")

    @step
    def fan(self):
        self.word = self.input
        self.next(self.words_join)

    @step
    def words_join(self, inputs):
        self.seen = [each.word for each in inputs] + [inputs[0].words]
        self.merge_artifacts(inputs, exclude=["word", "seen"])
        self.next(self.again_out)

    @step
    def again_out(self):
        self.next(self.again, foreach="numbers")

    @step
    def again(self):
        self.number = self.input
        self.next(self.last)

    @step
    def last(self, inputs):
        self.seen = [each.number for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Alike()
