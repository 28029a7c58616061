"""parallel_map in Python."""

import sys

import pytest

from conftest import SANITIZED
from python_cli import HEAD, ROOT, TAIL

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


def parallel(py, text):
    script = "from metaflow_cpp import parallel_map, parallel_imap_unordered\nimport os, sys, time\n" + text
    return py.cli.execute([sys.executable, "-B", "-c", script], timeout=60)


def test_parallel_map(py):
    result = parallel(py, """
big = parallel_map(lambda n: bytes([n]) * 10_000_000, range(3))
assert [len(each) for each in big] == [10_000_000] * 3 and big[2][0] == 2
assert parallel_map(str, []) == [] and parallel_map(lambda x: os.getpid(), [1, 2], max_parallel=1) != [os.getpid()] * 2
assert sorted(parallel_imap_unordered(lambda x: x * x, iter([3, 4]))) == [9, 16]
for item in parallel_imap_unordered(lambda x: time.sleep(0 if x == 0 else 1000), range(4), max_parallel=4):
    break  # the others are ended
""")  # fmt: skip
    assert result.status == 0, result


@pytest.mark.parametrize(
    "work, words",
    [
        ("1 / x", "Item 0 failed:\nTraceback"),
        ("os.kill(os.getpid(), 9) if x == 1 else x", "Item 1: its process was killed by SIGKILL"),
        ("os._exit(4) if x == 0 else x", "Item 0: its process ended with exit code 4"),
        ("(i for i in [])", "cannot pickle 'generator' object"),
    ],
    ids=["throws", "killed", "exits", "unpicklable"],
)
def test_parallel_map_names_what_failed(py, work, words):
    result = parallel(py, f"parallel_map(lambda x: {work}, range(2))")
    assert result.status == 1 and words in result.err, result


def test_parallel_map_uses_the_cores_of_the_step(py):
    body = "        import os\n        from metaflow_cpp import parallel_map, multicore\n        print('cores', multicore._cpus())\n"
    text = (HEAD + body + "        self.next(self.end)\n" + TAIL).replace("import FlowSpec, step, retry", "import FlowSpec, resources, step, retry")
    assert "cores 1\n" in py(py.write(text.replace("    @step\n    def start", "    @resources(cpu=1)\n    @step\n    def start")), "run").out


@pytest.mark.parametrize(
    "work, words",
    [
        ("os.kill(os.getpid(), signal.SIGRTMIN + 6)", "Item 0: its process was killed by signal 40"),
        ("return Odd(1, 2)", "Item 0: its result cannot be loaded: TypeError"),
        ("raise Odd(1, 2)", "Item 0 failed:"),
    ],
)
def test_results_of_parallel_map_that_cannot_be_had(cli, work, words):
    program = f"""
import os, signal
from metaflow_cpp import parallel_map

class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(a)

def work(_):
    {work}

try:
    parallel_map(work, [1])
except Exception as error:
    print(type(error).__name__, error)
"""
    result = cli.execute([sys.executable, "-B", "-c", program], env={"PYTHONPATH": str(ROOT / "python")})
    assert result.out.startswith(f"MulticoreException {words}"), result
