"""Steps that throw: what the run says, and what Metaflow's own client tells of them afterwards."""

import pytest

THROWN = {
    # --what: (type, message)
    "runtime_error": ("std::runtime_error", "no reason"),
    "custom": ("(anonymous namespace)::Overheated", "98 degrees\nat the second line"),
    "standard": ("std::out_of_range", "map::at"),
    "metaflow": ("Invalid value", "the value is odd\nTry an even one."),
    "int": ("int", "42"),
    "text": ("char const*", "a text"),
    "not UTF-8": ("std::runtime_error", "byte \ufffd"),
}


@pytest.mark.parametrize("what", THROWN)
def test_exceptions_of_every_type(cli, client, what):
    run_id, result = cli.fail("failing", "--where", "start", "--what", what)
    kind, message = THROWN[what]
    task = client.Task(f"Failing/{run_id}/start/1")
    assert not task.successful and not task.finished and task.finished_at is not None
    assert type(task.exception).__name__ == "MetaflowExceptionWrapper"
    assert task.exception.type == kind
    assert task.exception.exception == message
    summary = f"{kind}: {message}"
    assert task.exception.stacktrace.startswith(summary + "\n")
    assert "Failing::fail() const" in task.exception.stacktrace
    assert str(task.exception) == task.exception.stacktrace
    assert task.stderr.startswith(f"<flow Failing step start> failed:\n{summary}\n    thrown in ")
    assert task.stderr.rstrip("\n").endswith("Task failed.")
    assert "[start/1] <flow Failing step start> failed:" in result.lines
    assert result.err.endswith("    Step failure:\n    Step start (task-id 1) failed.\n\n")


def test_what_a_failed_step_had_set_is_kept(cli, client):
    run_id, _ = cli.fail("failing", "--where", "start")
    data = client.Task(f"Failing/{run_id}/start/1").data
    assert data.reached == "start"
    assert data.series.tolist() == [1.0, 2.0, 3.0]
    assert data.items == ["zero", "one", "two"]
    assert data.where == "start"


@pytest.mark.parametrize("where", ["start", "work", "join", "end"])
def test_a_run_that_failed_is_not_successful(cli, client, where):
    run_id, result = cli.fail("failing", "--where", where)
    run = client.Run(f"Failing/{run_id}")
    assert run.successful is False
    assert run.finished is False
    if where == "end":
        assert run.finished_at is not None and run.end_task.exception is not None
        assert run.data.reached == "end"
    else:
        assert run.finished_at is None and run.end_task is None and run.data is None
    steps = [step.id for step in run][::-1]
    assert steps == ["start", "work", "join", "end"][: ["start", "work", "join", "end"].index(where) + 1]
    assert "Workflow failed." in result.lines and "Done!" not in result.lines


def test_the_failed_item_of_a_foreach(cli, client):
    run_id, result = cli.fail("failing", "--where", "work", "--max-workers", "1")  # the others are over
    tasks = {task.index: task for task in client.Run(f"Failing/{run_id}")["work"]}
    assert tasks[1].exception.type == "std::runtime_error"
    assert "<flow Failing step work[1] (input: one)> failed:" in tasks[1].stderr
    assert tasks[1].stdout == "in work\n"
    assert tasks[1].data.reached == "work"
    assert tasks[1]["_task_ok"].data is False and tasks[1]["_success"].data is False
    assert tasks[0].successful and tasks[0].exception is None and tasks[0].data.reached == "work, whole"
    assert result.err.endswith(f"    Step failure:\n    Step work (task-id {tasks[1].id}) failed.\n\n")


def test_flow_lists_failed_and_successful_runs(cli, client):
    good = cli.run("failing")
    bad, _ = cli.fail("failing", "--where", "join")
    flow = client.Flow("Failing")
    assert [run.id for run in flow] == [bad, good]
    assert flow.latest_run.id == bad
    assert flow.latest_successful_run.id == good


def test_an_empty_foreach_fails_the_step(cli, client):
    run_id, result = cli.fail("wide", "--width", 0)
    task = client.Task(f"Wide/{run_id}/start/1")
    assert "Foreach iterator over items in step start produced zero splits. Check your variable." in task.stderr
    assert "zero splits" in task.exception.exception


def test_too_many_splits(cli, client):
    run_id, result = cli.fail("wide", "--width", 101)
    lines = result.lines[-6:]
    assert lines.pop(4).startswith("Tasks: 1 finished. ")
    assert lines == [
        "[start/1] Foreach yields 101 child steps.",
        "[start/1] Task finished successfully.",
        "Workflow failed.",
        "Terminating 0 active tasks...",
        "Flushing logs...",
    ]
    assert result.err.endswith(
        "    Step failure:\n"
        "    Foreach in step start (task-id 1) yielded 101 child steps which is more than the current "
        "maximum of 100 children. You can raise the maximum with the --max-num-splits option.\n"
        f"    To allow this many: {cli.path('wide')} resume --max-num-splits 101\n\n"
    )
    assert client.Task(f"Wide/{run_id}/start/1").successful  # the step itself did what it should
    assert not client.Run(f"Wide/{run_id}").successful
    assert cli("wide", "run", "--width", 101, env={"METAFLOW_RUN_MAX_NUM_SPLITS": "101"}).status == 0
