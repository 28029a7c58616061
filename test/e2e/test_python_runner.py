"""Runner and NBRunner of the Python package: runs that a program or a notebook starts."""

import asyncio
import io
import json
import os
import pathlib
import re
import threading

import pytest

from conftest import BUILD, SANITIZED
from test_python_client import ours  # noqa: F401
from python_cli import FLOWS
from test_service import service  # noqa: F401

PACKAGE = pathlib.Path(__file__).resolve().parents[2] / "python"
FLOW = str(FLOWS / "runnable.py")

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


@pytest.fixture
def runner(ours, cli, monkeypatch):  # noqa: F811
    """Makes a Runner whose runs have the environment of the test."""
    made = []

    def make(flow=FLOW, **more):
        more.setdefault("show_output", False)
        more["env"] = {**cli.environment, **more.get("env", {})}
        made.append(ours.Runner(flow, **more))
        return made[-1]

    yield make
    for each in made:
        each.cleanup()


@pytest.fixture
def gate(cli):
    """Opens the gate of the flow."""
    path = cli.directory / "gate"
    os.mkfifo(path)
    return path


@pytest.mark.parametrize("module", ["metaflow", "metaflow_cpp"])
def test_a_run(runner, cli, module):
    flow = cli.directory / "flow.py"
    flow.write_text(pathlib.Path(FLOW).read_text().replace("metaflow_cpp", module))
    with runner(str(flow), pylint=False, quiet=True).run(
        word="-x", count=4, my_rate=1, loud=True, limits={"high": [1]}, tags=["a", "b"], max_workers=2
    ) as running:
        assert (running.status, running.returncode) == ("successful", 0)
        end = running.run.end_task
        assert end.data.squares == [0, 1, 4, 9]
        assert (end.data.word, end.data.my_rate, end.data.loud, end.data.limits) == ("-x", 1.0, True, {"high": [1]})
        assert running.run.user_tags == {"a", "b"}
        assert re.search(r"\] größe -x$", running.stdout, re.MULTILINE) and running.stdout.endswith("Done!\n")
        assert running.stderr == ""
    with pytest.raises(FileNotFoundError, match="was removed by cleanup"):
        running.stdout  # noqa: B018


def test_the_output_is_shown(runner, capsys):
    with runner(show_output=True).run(word="x") as running:
        assert capsys.readouterr().out.count("größe x") == running.stdout.count("größe x") == 1


def test_output_that_cannot_be_shown_is_kept(runner, monkeypatch):
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", shown)
    with runner(show_output=True).run(word="x") as running:
        assert running.status == "successful" and "größe" in running.stdout and running.stdout.endswith("Done!\n")
    shown.flush()
    assert b"gr??e" in shown.buffer.getvalue() or b"gr?\xc3" not in shown.buffer.getvalue()
    monkeypatch.setattr("sys.stdout", closed := io.StringIO())
    closed.close()
    with runner(show_output=True).run(word="x") as running:
        assert running.status == "successful" and running.stdout.endswith("Done!\n")


def test_a_run_that_fails_and_its_resume(runner):
    with runner(env={"FAIL": "1"}).run(word="x") as failed:
        assert (failed.status, failed.returncode, failed.run.successful) == ("failed", 1, False)
        assert "FAIL is set" in failed.stdout
    with runner().resume(origin_run_id=failed.run.id) as resumed:
        assert resumed.status == "successful" and resumed.run.origin_pathspec == failed.run.pathspec
    with runner().resume(step_to_rerun="end", tags=["again"]) as resumed:
        assert resumed.run.user_tags == {"again"} and resumed.run.successful


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"words": "x"}, ValueError, r"Unknown argument: 'words', possible args are: count, .*max_workers, .*tags, .*word"),
        ({"count": 3}, ValueError, "Missing argument: word is required."),
        ({"word": 3}, TypeError, r"Invalid type for 'word', expected: str, but found: 3 \(int\)"),
        ({"word": "x", "count": "many"}, TypeError, r"Invalid type for 'count', expected: int, but found: 'many' \(str\)"),
        ({"word": "x", "count": True}, TypeError, "Invalid type for 'count', expected: int"),
        ({"word": "x", "my_rate": "fast"}, TypeError, "Invalid type for 'my_rate', expected: float"),
        ({"word": "x", "loud": 1}, TypeError, "Invalid type for 'loud', expected: bool"),
        ({"word": "x", "tags": "a"}, TypeError, "Invalid type for 'tags', expected: list of str"),
        ({"word": "x", "no_progress": "yes"}, TypeError, "Invalid type for 'no_progress', expected: bool"),
        ({"word": "x", "limits": {1, 2}}, TypeError, "Invalid type for 'limits', expected: JSON"),
        ({"word": "x", "max_workers": 0}, RuntimeError, "max-workers"),
        ({}, RuntimeError, "word"),
    ],
)
def test_wrong_arguments(runner, cli, arguments, error, words):
    with pytest.raises(error, match=words):
        runner().run(**arguments)
    assert not (cli.directory / ".metaflow/Runnable").exists(), "no run has begun"


def test_wrong_arguments_before_the_command(runner):
    with pytest.raises(ValueError, match=r"Unknown argument: 'metadat', possible args are: .*metadata"):
        runner(metadat="local").run(word="x")


def test_flows_that_cannot_be_executed(runner, cli):
    with pytest.raises(FileNotFoundError, match="Flow file not present at '/nowhere/flow.py'"):
        runner("/nowhere/flow.py")
    broken = cli.directory / "broken.py"
    broken.write_text("import nothing_of_this_name\n")
    for arguments in ({}, {"word": "x"}):
        with pytest.raises(RuntimeError, match="No module named 'nothing_of_this_name'"):
            runner(str(broken)).run(**arguments)


def test_the_place_and_the_profile_of_a_run(runner, cli):
    place, store = cli.directory / "elsewhere", cli.directory / "store"
    place.mkdir()
    (cli.directory / "config_mine.json").write_text(json.dumps({"METAFLOW_DATASTORE_SYSROOT_LOCAL": str(store)}))
    with runner(cwd=str(place), profile="mine", env={"METAFLOW_HOME": str(cli.directory)}).run(word="x") as running:
        assert running.run.data.place == str(place) and running.run.data.squares == [0, 1, 4]
    assert (store / ".metaflow/Runnable").exists() and not (cli.directory / ".metaflow/Runnable").exists()


def test_a_run_of_the_metadata_service(runner, service):  # noqa: F811
    with runner(env=service.environment, metadata="service").run(word="x", tags=["a"]) as running:
        assert running.run.user_tags == {"a"} and running.run.data.squares == [0, 1, 4]
        assert running.run.pathspec == "Runnable/1", "the service counts the runs"


def test_a_run_beside_the_program(runner, gate):
    async def main():
        async with runner(env={"GATE": str(gate)}) as made:
            running = await made.async_run(word="x")
            assert (running.status, running.returncode, running.run.finished) == ("running", None, False)
            position = 0
            async for position, line in running.stream_log("stdout"):  # noqa: B007
                if line.endswith("waiting"):
                    break
            assert running.stdout.endswith("waiting\n")
            threading.Thread(target=gate.write_text, args=("",)).start()
            rest = [line async for _, line in running.stream_log("stdout", position)]
            assert rest[-1].endswith("Done!") and not any(line.endswith("waiting") for line in rest)
            assert (await running.wait()).status == "successful" and running.run.data.squares == [0, 1, 4]
            with pytest.raises(ValueError, match="No log file found for 'output', valid values are: stdout, stderr"):
                await running.wait(stream="output")
            again = await (await made.async_resume(origin_run_id=running.run.id, step_to_rerun="end")).wait()
            assert again.status == "successful"

    asyncio.run(main())


def test_a_run_that_takes_too_long(runner, gate, capsys):
    async def main():
        async with runner(env={"GATE": str(gate)}) as made:
            for stream in (None, "stdout"):
                running = await made.async_run(word="x")
                await running.wait(timeout=0.01, stream=stream)
                assert running.status == "timeout" and running.returncode not in (0, None)
                assert "did not complete within 0.01 seconds." in capsys.readouterr().out

    asyncio.run(main())


def test_a_run_that_is_stopped(runner, gate):
    async def main():
        running = await runner(env={"GATE": str(gate)}).async_run(word="x")
        running.terminate()
        assert running.status == "failed" and not running.run.finished
        running.terminate()  # once more is no error

    asyncio.run(main())


def test_a_cell_as_a_flow(ours):  # noqa: F811
    from metaflow_cpp.runner.notebook import flow_file_of

    cell = "import x\n\n@deco\nclass F(metaflow.FlowSpec):\n    a = 1\n\nNBRunner(F).nbrun()\nclass G(FlowSpec):\n    pass"
    assert flow_file_of(cell) == "import x\n\n@deco\nclass F(metaflow.FlowSpec):\n    a = 1\nif __name__ == '__main__':\n    F()\n"
    with pytest.raises(ModuleNotFoundError, match="The cell doesn't contain any class"):
        flow_file_of("x = 1")
    from metaflow_cpp import NBRunner

    with pytest.raises(Exception, match="requires an interactive Python environment"):
        NBRunner(object)


CELLS = [
    """
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
from metaflow_cpp import Flow, NBRunner, Runner, namespace

with Runner(FLOW, show_output=True).run(word="x", count=5) as running:
    print("ended:", running.status)
""",
    """
run = Flow("Runnable").latest_successful_run
tasks = sorted(run["work"], key=lambda task: task.index)
(line,) = plt.plot([task.index for task in tasks], [task.data.square for task in tasks])
plt.savefig("squares.png")
print("plotted:", line.get_xydata().tolist())
""",
    """
from metaflow_cpp import FlowSpec, Parameter, step

class Cell(FlowSpec):
    n = Parameter("n", default=2)

    @step
    def start(self):
        self.twice = 2 * self.n
        self.next(self.end)

    @step
    def end(self):
        pass

print("in a cell:", NBRunner(Cell, show_output=False).nbrun(n=21).data.twice)
""",
    """
running = await Runner(FLOW).async_run(word="x")
print("beside:", (await running.wait()).status)
""",
]
EXECUTE = """
import json, sys, nbclient, nbformat
cells = [nbformat.v4.new_code_cell(text) for text in json.load(open(sys.argv[1]))]
done = nbclient.NotebookClient(nbformat.v4.new_notebook(cells=cells), timeout=120, kernel_name="python3").execute()
print(json.dumps(["".join(output.get("text", "") for output in cell.outputs) for cell in done.cells]))
"""


def test_a_notebook(cli):
    python = os.environ.get("METAFLOW_PYTHON_NOTEBOOK")
    if not python:
        pytest.skip("needs nbclient, ipykernel and matplotlib (METAFLOW_PYTHON_NOTEBOOK)")
    cells = [f"FLOW = {FLOW!r}\n", *CELLS]
    (cli.directory / "cells.json").write_text(json.dumps(cells))
    variables = {"PYTHONPATH": str(PACKAGE), "METAFLOW_ENGINE_DIRECTORY": str(BUILD / "python/metaflow_cpp/native")}
    done = cli.execute([python, "-B", "-c", EXECUTE, "cells.json"], env=variables)
    assert done.status == 0, done
    _, shown, plotted, cell, beside = json.loads(done.out.splitlines()[-1])
    assert "größe x" in shown and shown.endswith("ended: successful\n")
    assert plotted == f"plotted: {[[float(i), float(i * i)] for i in range(5)]}\n"
    assert (cli.directory / "squares.png").read_bytes().startswith(b"\x89PNG")
    assert cell == "in a cell: 42\n" and beside == "beside: successful\n"
    assert not list(cli.directory.glob("Cell*.py")), "the file of the cell is removed"
