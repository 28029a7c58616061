"""One store, several users of it: runs side by side, Python's Metaflow beside ours, and what a scheduler that was killed left."""

import math
import os
import re
import signal
import subprocess
import sys

import pytest
from conftest import PYTHON_FLOWS


def start(cli, *command):
    return subprocess.Popen(
        [*map(str, command)],
        cwd=cli.directory,
        env=cli.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def test_runs_side_by_side(cli, client):
    ours = [start(cli, cli.path("sweep"), "run", "--n", 20 + i, "--tag", f"n:{20 + i}") for i in range(4)]
    python = [start(cli, sys.executable, "-B", PYTHON_FLOWS / "maze_flow.py", "--no-pylint", "run") for _ in range(2)]
    for process in ours + python:
        output, _ = process.communicate(timeout=120)
        assert process.returncode == 0, output.decode()
    runs = client.Flow("Sweep").runs()
    assert sorted(len(list(run["work"])) for run in runs) == [20, 21, 22, 23]
    for run in client.Flow("Sweep"):
        assert run.successful and run.user_tags == {f"n:{run.data.n}"}
        assert [task.data.result for task in run["work"]][::-1] == [
            pytest.approx(math.cos(3 * a) + 0.1 * a * a) for a in run["start"].task.data.alphas
        ]
    assert [run.successful for run in client.Flow("Maze")] == [True, True]


@pytest.mark.parametrize("where", ["work", "join", "end"])
def test_python_resumes_our_run(cli, client, where):
    """The same flow in Python carries on from what the steps in C++ have saved."""
    origin, _ = cli.fail("failing", "--where", where)
    assert cli.python("failing", "resume", "--origin-run-id", origin, "--run-id-file", "resumed").status == 0
    run = client.Run(f"Failing/{(cli.directory / 'resumed').read_text()}")
    assert run.successful and run["end"].task.data.where == where
    steps = ["start", "work", "join", "end"]
    for name in steps:
        reached = {task.data.reached for task in run[name]}
        if steps.index(name) < steps.index(where):
            assert reached == {name + ", whole"}, "cloned from C++"
        elif name != "work":
            assert reached == {name + ", in Python"}
    if where == "work":
        by_index = {task.index: task.data.reached for task in run["work"]}
        assert by_index[1] == "work, in Python"
    if where == "end":
        assert run["end"].task.data.count == 3
        assert run["end"].task.data.series.tolist() == [1.0, 2.0, 3.0]
    assert client.Run(f"Failing/{origin}").successful is False, "the origin is left as it was"


def walk(run):
    """Everything the client can tell of a run."""
    for step in run:
        for task in step:
            yield task, {artifact.id: artifact.data for artifact in task}, task.stdout, task.stderr, task.metadata_dict


def test_whenever_the_scheduler_is_killed_readers_understand_what_is_left(cli, client):
    whole = cli("sweep", "run", "--n", 30)
    lines = len(whole.out.splitlines())
    finished_runs = 1
    for line in range(1, lines, 4):
        process = start(cli, cli.path("sweep"), "run", "--n", 30)
        seen = 0
        done = False
        for text in process.stdout:
            done = done or b"Done!" in text
            seen += 1
            if seen == line:
                process.send_signal(signal.SIGKILL)
        process.wait()
        run = client.Flow("Sweep").latest_run
        successful = done and process.returncode == 0
        finished_runs += successful
        if not done:
            assert not run.successful and not run.finished or run["end"].task.successful
        for task, artifacts, *_ in walk(run):
            if task.finished:
                assert task.successful and artifacts["alphas"][15] == 2.0
        result = cli("sweep", "dump", f"{run.id}/start")
        assert result.status == 0 or "No completed attempts" in result.err or "does not exist or has not started yet" in result.err, result
    assert cli("sweep", "run", "--n", 30).status == 0
    assert client.Flow("Sweep").latest_run.successful
    left = [name for name, _, files in os.walk(cli.directory / ".metaflow") for file in files if re.search(r"tmp|~$|^\.", file)]
    assert left == []
