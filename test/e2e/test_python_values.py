"""Values of flows in Python: arrays, classes, and what a step sees of its foreach."""

import json
import os
import sys

import pytest

from conftest import PYTHON_FLOWS, SANITIZED
from python_cli import FLOWS, HEAD, TAIL

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


def check_arrays(py, client, words):
    result = py.cli.execute([*words, FLOWS / "arrays.py", "run", "--run-id-file", "id"])
    assert result.status == 0, result
    data = client.Run("Arrays/" + (py.cli.directory / "id").read_text())["end"].task.data
    assert data.firsts == [1, 2, 3] and data.seconds == [77, 1, 1] and data.begins == [5, 0, 0]
    assert data.columns.shape == (100, 1000) and data.columns[1, 0] == -1 and data.columns[2, 3] == 2003 and data.columns.flags.f_contiguous
    assert list(data.numbers[:3]) == [0, 1, 2] and data.complex.dtype == complex and data.flags.dtype == bool
    assert data.big_endian[5] == 5 and data.strided[3] == 6 and data.objects[7] == {"a": 1} and str(data.dates[9]) == "1970-01-01T00:00:09"
    assert type(data.masked).__name__ == "MaskedArray" and data.empty.shape == (0, 5) and data.scalar == 3 and list(data.small) == [0, 1, 2]


def test_arrays(py, client):
    check_arrays(py, client, [sys.executable, "-B"])


@pytest.mark.skipif(not os.environ.get("METAFLOW_PYTHON_NUMPY1"), reason="NUMPY 1 IS NOT TESTED: METAFLOW_PYTHON_NUMPY1 is not set")
def test_arrays_of_numpy_1(py, client):
    check_arrays(py, client, [os.environ["METAFLOW_PYTHON_NUMPY1"], "-B"])


def test_an_array_that_is_only_read_is_not_read_again(py):
    """A task that uses one element of a mapped array does not load the others, also not when it ends."""
    body = "        import numpy\n        self.big, self.items = numpy.ones(16_000_000), [0, 1]\n        self.next(self.work, foreach='items')\n\n    @step\n"
    body += "    def work(self):\n        self.one = float(self.big[5])\n        self.next(self.join)\n\n    @step\n    def join(self, inputs):\n"
    body += "        self.big = inputs[1].big\n        self.sum = sum(each.one for each in inputs) + self.big[7]\n        self.next(self.end)\n"
    result = py(py.write(HEAD + body + TAIL), "run")
    assert result.status == 0, result
    status = json.loads(py(py.cli.directory / "flow.py", "--quiet", "status", "--json").out)
    steps = {each["step"]: each for each in status["steps"]}
    assert steps["start"]["peak_memory"] > 128e6 and steps["work"]["peak_memory"] < 100e6 and steps["join"]["peak_memory"] < 100e6, status


def test_a_large_array_in_s3_that_is_changed_in_place(py, moto):
    """Its copy on this machine is mapped: what a step writes to it is stored, and only there."""
    place = {"METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{py.cli.directory.name}", "METAFLOW_DEFAULT_DATASTORE": "s3"}
    py.cli.environment.update(moto.environment | place)
    body = "        import numpy\n        self.big = numpy.zeros(9_000_000)\n        self.next(self.change)\n\n    @step\n    def change(self):\n"
    body += "        self.big[8_000_000] = 5\n        self.next(self.read)\n\n    @step\n    def read(self):\n        print('sum', self.big.sum())\n"
    result = py(py.write(HEAD + body + "        self.next(self.end)\n" + TAIL), "run")
    assert result.status == 0 and "sum 5.0\n" in result.out, result


def test_a_class_of_metaflow_behind_large_data(py):
    body = "        self.made = [bytes(3 << 20), ConfigValue({'a': 1})]\n        self.next(self.end)"
    text = (HEAD + body + TAIL.replace("pass", "assert type(self.made[1]).__module__ == 'metaflow_cpp.config' and self.made[1].a == 1")).replace(
        "from metaflow_cpp import", "from metaflow_cpp import ConfigValue,"
    )
    result = py.cli.execute([sys.executable, "-B", py.write(text), "run"])
    assert result.status == 0, result


def test_values_of_classes_are_named_where_only_python_reads_them(py):
    """dump and debug are commands of the engine; the file that dump writes is for Python."""
    head = HEAD.replace("class F1", "class Model:\n    def __init__(self, depth):\n        self.depth = depth\n\nclass F1")
    flow = py.write(head + "        self.model, self.depth = Model(3), 3\n        self.next(self.end)" + TAIL)
    assert py(flow, "run").status == 0
    for command in (["dump", "latest/start"], ["debug", "latest/start"]):
        result = py(flow, *command)
        assert result.status == 0 and "= < only Python can read it >" in result.out and "depth" in result.out, result
    (values,) = json.loads(py(flow, "dump", "latest/start", "--json").out).values()
    assert values["model"] == "< only Python can read it >" and values["depth"] == 3
    assert py(flow, "dump", "latest/start", "--file", "values.pickle").status == 0
    program = "import pickle\nclass Model: pass\n(values,) = pickle.load(open('values.pickle', 'rb')).values()\nprint(values['model'].depth)"
    assert py.cli.execute([sys.executable, "-c", program]).out == "3\n"


MEMORY = """
import numpy
from metaflow_cpp import FlowSpec, step


def own_memory():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))


class Memory(FlowSpec):
    @step
    def start(self):
        self.items = list(range(8))
        self.next(self.make, foreach="items")

    @step
    def make(self):
        self.array = numpy.full(1 << 20, self.input, numpy.float64)  # 8 MB
        self.text = str(self.input) * (4 << 20)
        self.next(self.join)

    @step
    def join(self, inputs):
        before, total, views = own_memory(), 0.0, []
        for _ in range(3):
            for each in inputs:
                array = each.array
                array += 1
                total += array[-1]
                views.append(array[5:6])
                assert each.text[0] == str(int(array[0]) - 1)
                del each.__dict__["array"], each.__dict__["text"]
                if len(views) > 1:
                    assert views.pop(0)[0] >= 1
        self.grown = own_memory() - before
        assert total == 3 * sum(range(1, 9)), total
        self.next(self.end)

    @step
    def end(self):
        assert self.grown < 40_000, self.grown  # KB


if __name__ == "__main__":
    Memory()
"""


def test_arrays_that_are_not_used_any_more_are_freed(py):
    result = py.cli.execute([sys.executable, "-B", py.write(MEMORY), "run"])
    assert result.status == 0, result


@pytest.mark.parametrize("words", [[], ["--p", "8", "--several", "1", "--several", "2"]], ids=["defaults", "options"])
def test_what_is_easily_done_otherwise(configured, client, words):
    """The same flow by both engines: the same values everywhere."""
    ids = configured.cli.directory / "ids"
    result = configured.unchanged(PYTHON_FLOWS / "alike_flow.py", "run", "--run-id-file", ids, *words)
    assert result.status == 0, result
    ours = client.Run("Alike/" + ids.read_text())
    result = configured.cli.python("alike", "run", "--run-id-file", ids, *words)
    assert result.status == 0, result
    theirs = client.Run("Alike/" + ids.read_text())
    for step in theirs:
        # The order of the inputs of a join is that of the foreach.
        mine, other = ([task.data.__dict__["_artifacts"] for task in sorted(list(run[step.id]), key=lambda task: task.index or 0)] for run in (ours, theirs))
        for here, there in zip(mine, other):
            here.pop("numbers", None)  # a property: ours stores what the tasks fan out over
            values = ({name: artifact.data for name, artifact in each.items() if not name.startswith("_")} for each in (here, there))
            assert next(values) == next(values), step.id


ODD = """
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor
from metaflow_cpp import FlowSpec, Parameter, step


class Odd(FlowSpec):
    p = Parameter("p", default=1)

    @step
    def start(self):
        self.values = list(range(12))
        self.next(self.work, foreach="values")

    @step
    def work(self):
        for number in range(10):
            setattr(self, f"x{number}", (number, "value"))
        how = os.environ.get("HOW", "")
        if how == "name":
            setattr(self, "a b", 1)
        if how == "cause":
            raise RuntimeError("shown") from ValueError("the real reason")
        if how == "delete":
            del self.p
        if how == "copy" and os.fork() == 0:
            raise ValueError("in the child")
        if how == "stdout":
            sys.stdout.close()
            sys.stdout = None
        self.next(self.join)

    @step
    def join(self, inputs):
        def read(seed):
            for i in range(seed, seed + 4000):
                each, number = inputs[i % 12], i // 12 % 10
                assert getattr(each, f"x{number}") == (number, "value")
                each.__dict__.pop(f"x{number}", None)  # it is read again

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(read, range(0, 42, 7)))
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Odd()
"""


@pytest.mark.parametrize(
    "how, status, words",
    [
        ("", 0, ""),
        ("name", 1, "'a b' is not the name of an artifact"),
        ("cause", 1, "ValueError: the real reason"),
        ("delete", 1, "Flow level attributes and Parameters are not modifiable"),
        ("copy", 0, "ValueError: in the child"),
        ("stdout", 0, ""),
    ],
)
def test_odd_steps(py, how, status, words):
    result = py.cli.execute([sys.executable, "-B", py.write(ODD), "run"], env={"HOW": how})
    assert result.status == status and words in result.out + result.err, result


NESTED = """
from metaflow_cpp import FlowSpec, step


class Nested(FlowSpec):
    @step
    def start(self):
        self.items = ["a", "b"]
        self.next(self.outer, foreach="items")

    @step
    def outer(self):
        self.items = [self.input + "1", self.input + "2"]
        self.next(self.inner, foreach="items")

    @step
    def inner(self):
        self.seen = (self.input, self.foreach_stack())
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.seen = [each.seen for each in inputs]
        self.next(self.outer_join)

    @step
    def outer_join(self, inputs):
        (a1, a2), (b1, b2) = [each.seen for each in inputs]
        assert a1 == ("a1", [(0, 2, "a"), (0, 2, "a1")]) and b2 == ("b2", [(1, 2, "b"), (1, 2, "b2")]), (a1, b2)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Nested()
"""


def test_a_task_of_a_wide_foreach_reads_its_own_item_only(py, client):
    body = "        self.items = [str(number) for number in range(64)]\n        self.next(self.work, foreach='items')\n\n    @step\n    def work(self):\n"
    body += "        print('item', self.input)\n        self.next(self.after)\n\n    @step\n    def after(self):\n        print('after', self.input)\n"
    body += "        self.next(self.join)\n\n    @step\n    def join(self, inputs):\n        self.next(self.end)\n"
    flow = py.write(HEAD + body + TAIL)
    assert py(flow, "run", "--run-id-file", "id").status == 0
    key = client.Run("F1/" + (py.cli.directory / "id").read_text())["start"].task["items"].sha
    (py.cli.directory / f".metaflow/F1/data/{key[:2]}/{key}").unlink()
    for step, words in (("work", "item 41\n"), ("after", "after 41\n")):
        assert words in py(flow, "debug", f"latest/{step}[41]").out, step


def test_nested_foreachs_of_one_name(py):
    result = py.cli.execute([sys.executable, "-B", py.write(NESTED), "run"])
    assert result.status == 0, result
