"""Tasks in Python are forks that behave like processes of their own."""

import random
import sys

import pytest

from conftest import SANITIZED
from python_cli import HEAD, TAIL

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


def test_tasks_are_recognised_by_ps(py):
    """Also those that are forks: their command line is that of the task."""
    body = "        self.items = list(range(8))\n        self.next(self.work, foreach='items')\n\n    @step\n    def work(self):\n"
    body += "        print(open('/proc/self/cmdline', 'rb').read().rstrip(b'\\0').split(b'\\0'))\n        self.next(self.join)\n"
    result = py(py.write(HEAD + body + "\n    @step\n    def join(self, inputs):\n        self.next(self.end)\n" + TAIL), "run")
    lines = [line.partition("] ")[2] for line in result.out.splitlines() if "/work/" in line and "b'step'" in line]
    assert len(lines) == 8 and all("b'step', b'work'" in line for line in lines), result
    assert any("b'--run-id'" in line for line in lines)


GENERATOR = """
import random, sys
from metaflow_cpp import FlowSpec, step

GENERATOR = random.Random()


class Draws(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2, 3]
        self.next(self.draw, foreach="items")

    @step
    def draw(self):
        self.drawn = GENERATOR.random()
        self.next(self.join)

    @step
    def join(self, inputs):
        assert len({each.drawn for each in inputs}) == 3
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Draws()
"""


def test_generators_of_the_module_are_not_shared(py):
    result = py.cli.execute([sys.executable, "-B", py.write(GENERATOR), "run"])
    assert result.status == 0, result


ORPHANS = """
import os, time
from metaflow_cpp import FlowSpec, step


def children(parent):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()
        except OSError:
            continue
        if words[1] == str(parent):
            found.append((int(entry), words[0]))
    return found


class Orphans(FlowSpec):
    @step
    def start(self):
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(0.05)
            os._exit(0)
        os.wait()
        self.next(self.wait)

    @step
    def wait(self):
        while [state for pid, state in children(os.getppid()) if state != "Z" and pid != os.getpid()][1:]:
            time.sleep(0.01)  # all but the fork server
        self.next(self.end)

    @step
    def end(self):
        assert "Z" not in [state for _, state in children(os.getppid())]


if __name__ == "__main__":
    Orphans()
"""


def test_orphans_of_tasks_are_not_left_as_zombies(py):
    result = py.cli.execute([sys.executable, "-B", py.write(ORPHANS), "run"])
    assert result.status == 0, result


OWN_PROCESS = """
import atexit, io, os, random, tempfile
from metaflow_cpp import FlowSpec, environment, local, step

LOG = open("log.txt", "a")
AT_IMPORT = os.environ.get("EARLY", "none")
os.environ["OF_THE_MODULE"] = "set"
random.seed(42)
STATE = random.getstate()


class Own(FlowSpec):
    @step
    def start(self):
        LOG.write("start\\n")
        globals()["KEPT"] = open("kept.txt", "w")
        KEPT.write("text")
        self.early, self.module, self.first = AT_IMPORT, os.environ.get("OF_THE_MODULE"), random.random()
        self.items = {3: "a", 1: "b"}
        self.next(self.work, foreach="items")

    @environment(vars={"EARLY": "yes"})
    @step
    def work(self):
        LOG.write("work\\n")
        self.found = (self.input, AT_IMPORT, os.environ.get("OF_THE_MODULE"), random.random())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.found = [each.found for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Own()
"""


@pytest.mark.parametrize("fork_server", ["1", "0"])
def test_a_task_is_like_a_process_of_its_own(py, client, fork_server):
    path = py.write(OWN_PROCESS)
    result = py.cli.execute([sys.executable, "-B", path, "run", "--run-id-file", "id"], env={"METAFLOW_FORK_SERVER": fork_server})
    assert result.status == 0, result
    run = client.Run("Own/" + (py.cli.directory / "id").read_text())
    first = random.Random(42).random()
    assert (run["start"].task.data.early, run["start"].task.data.module, run["start"].task.data.first) == ("none", "set", first)
    assert run["join"].task.data.found == [(3, "yes", "set", first), (1, "yes", "set", first)]
    assert sorted((py.cli.directory / "log.txt").read_text().split()) == ["start", "work", "work"]
    assert (py.cli.directory / "kept.txt").read_text() == "text"


def test_a_directory_of_the_module_lives_as_long_as_its_process(py):
    text = OWN_PROCESS.replace("random.seed(42)", "TEMPORARY = tempfile.TemporaryDirectory()").replace(
        "        LOG.write(\"work\\n\")", "        assert os.path.isdir(TEMPORARY.name)"
    )
    assert "isdir" in text
    result = py.cli.execute([sys.executable, "-B", py.write(text), "run"])
    assert result.status == 0, result


NEW = """
import multiprocessing
from metaflow import FlowSpec, step


def work(item):
    return FlowSpec.__module__, item * 2


class New(FlowSpec):
    @step
    def start(self):
        for how in ("spawn", "forkserver", "fork"):
            with multiprocessing.get_context(how).Pool(1) as pool:
                assert pool.map(work, [4]) == [("metaflow_cpp.flowspec", 8)], how
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    New()
"""


@pytest.mark.parametrize("fork_server", ["1", "0"])
def test_new_processes_of_multiprocessing(py, fork_server):
    """Also there, in an unchanged flow, `import metaflow` means this package."""
    result = py.unchanged(py.write(NEW), "run", env={"METAFLOW_FORK_SERVER": fork_server})
    assert result.status == 0, result
