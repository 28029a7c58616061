"""retry, timeout and catch: what is tried how often, what the run goes on with, and what the clients see of it."""

import re

import pytest
from shapes import SHAPES, SPLITS, content, is_clone, places, plan

NO_PAUSE = "minutes_between_retries=0"
PROCESS_DIED = "metaflow.plugins.catch_decorator.FailureHandledByCatch"
TIMED_OUT = "metaflow.plugins.timeout_decorator.TimeoutException"


def attempts(task, ours=True):
    """The attempts in the metadata of a task. A first attempt of ours that succeeded has no metadata."""
    told = sorted(int(entry.value) for entry in task.metadata if entry.type == "attempt")
    assert told == list(range(len(told))) and (len(told) != 1 or not ours)
    for attempt in told if ours else ():
        assert {entry.type for entry in type(task)(task.pathspec, attempt=attempt).metadata} >= {"attempt", "internal_attempt_status"}
    begun = {int(entry.value) for entry in task.metadata if entry.type == "attempt"}
    done = {int(entry.value) for entry in task.metadata if entry.type == "attempt-done"}
    return 1 + max(begun, default=0), done


def lines_of(result, task):
    return [line.removeprefix(f"[{task}] ") for line in result.lines if line.startswith(f"[{task}] ")]


# --- every shape of graph


@pytest.mark.parametrize("how", ["throw", "kill"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_step_of_every_shape_is_retried(cli, client, shape, how):
    """Each task fails twice; what comes out is what comes out of a run in which none fails."""
    whole = client.Run(f"{SHAPES[shape]}/" + cli.run(shape))
    expected = {at: content(task) for at, task in places(whole).items()}
    rule = plan("*:*:[01] set_data invisible", f"*:*:[01] {how} x")
    run = client.Run(f"{SHAPES[shape]}/" + cli.run(shape, "--with", f"retry:times=2,{NO_PAUSE}", env=rule))
    assert run.successful
    found = places(run)
    assert {at: content(task) for at, task in found.items()} == expected
    for task in found.values():
        assert task["attempt"].data == 2 and task.current_attempt == 2
        assert attempts(task)[0] == 3
        assert task.successful and task.finished and task.exception is None


@pytest.mark.parametrize("shape", ["linear", "branch", "nested_branches"])
@pytest.mark.parametrize("how", ["throw", "kill", "exit"])
def test_every_step_is_caught(cli, client, shape, how):
    """Linear steps, static splits and joins, none of which ever succeeds."""
    with_ = ["--with", f"retry:times=1,{NO_PAUSE}", "--with", "catch:var=caught"]
    run_id = cli.run(shape, *with_, env=plan("* set_data @attempt", f"* {how} 7"))
    run = client.Run(f"{SHAPES[shape]}/{run_id}")
    assert run.finished and not run.successful, "what Metaflow says of a run whose last step was caught"
    for task in places(run).values():
        assert task.finished and not task.successful and task.exception is None
        caught = task["caught"].data
        if how == "throw":
            assert attempts(task)[0] == 2 and (caught.type, caught.exception) == ("shapes::Mishap", "7")
            assert task["data"].data == "1", "what the step had set before it threw"
            assert task["lineage"].data.endswith(task.path_components[2])
        else:
            assert attempts(task)[0] == 3, "two of the step, one that handles the failure"
            assert caught.type == PROCESS_DIED
            cause = "Task was killed by SIGKILL" if how == "kill" else "Task exited with code 7"
            assert caught.exception.startswith(f"Task execution failed 2 times. The last time: {cause}")
            assert task["data"].data == "" and task["lineage"].data == "", "what it began with"


# --- one graph with decorators of each kind


def expected_attempts(step, how):
    if step == "start":
        return 4
    caught = step in ("left", "inner", "after")
    return 1 if step == "end" else 4 if caught and how == "kill" else 3


@pytest.mark.parametrize("how", ["throw", "kill"])
def test_retry_and_catch_wherever_they_can_be(cli, client, how):
    """Soft failures, and processes that die: splits and joins succeed at the third attempt, other steps are caught."""
    hopeless = [f"{step} {deed}" for step in ("left", "inner", "after") for deed in ("set_data @attempt", f"{how} soft")]
    again = [f"{step}:*:[01] throw again" for step in ("right", "inner_split", "inner_join", "outer_join", "join")]
    start = ["start out out @attempt", "start err err @attempt", "start::[012] set_ignored invisible", "start::[012] throw x"]
    end = ["end set_data here", "end throw catch me!"]
    run = client.Run("Tries/" + cli.run("tries", env=plan(*start, *again, *hopeless, *end)))
    assert run.finished and not run.successful
    for (step, _, _), task in places(run).items():
        assert attempts(task)[0] == expected_attempts(step, how), task
        assert task.finished and task.exception is None
        assert task.successful == (step not in ("left", "inner", "after", "end"))
        if step in ("left", "inner", "after"):
            assert task["caught"].data.type == ("shapes::Mishap" if how == "throw" else PROCESS_DIED)
            assert task["data"].data == ("2" if how == "throw" else "")
        elif step != "end":
            assert task["attempt"].data == (3 if step == "start" else 2)
    assert run["start"].task.stdout == "out 3\n" and run["start"].task.stderr == "err 3\n"
    assert run["start"].task["ignored"].data == ""
    assert run["end"].task["data"].data == "here"
    assert run["end"].task["for_python"].data.exception == "catch me!"
    assert run["end"].task["for_python"].data.type == "shapes::Mishap"
    if how == "throw":
        assert run["join"].task["lineage"].data.count("inner_split.inner)") == 1


def test_earlier_attempts_are_kept(cli, client):
    rules = plan("a set_data of attempt @attempt", "a out attempt @attempt", "a::0 throw first", "a::1 crash")
    run = client.Run("Linear/" + cli.run("linear", "--with", f"retry:{NO_PAUSE}", env=rules))
    pathspec = run["a"].task.pathspec
    first, second, third = (client.Task(pathspec, attempt=k) for k in range(3))
    assert (first.exception.type, first.exception.exception) == ("shapes::Mishap", "first")
    assert first["data"].data == "of attempt 0" and third["data"].data == "of attempt 2"
    assert [task.stdout for task in (first, second, third)] == [f"attempt {k}\n" for k in range(3)]
    assert "shapes::Mishap: first" in first.stderr and first.stderr.endswith("Task failed.\n")
    assert "segmentation fault" in second.stderr
    assert "data" not in second, "the process died before it could save"
    assert third.stderr == "" and third.successful and not first.successful and not second.successful
    assert attempts(run["a"].task) == (3, {0, 2})
    assert run["a"].task.finished_at == third.finished_at
    shown = cli("linear", "logs", "--stdout", "--attempt", 0, f"{run.id}/a")
    assert shown.status == 0 and "attempt 0" in shown.out, shown
    shown = cli.python("linear", "logs", "--stdout", "--attempt", 0, f"{run.id}/a")
    assert shown.status == 0 and "attempt 0" in shown.out, shown


def test_no_attempt_succeeds(cli, client):
    run_id, result = cli.fail("linear", "--with", f"retry:times=1,{NO_PAUSE}", env=plan("a throw never"))
    assert lines_of(result, "a/2").count("Task failed.") == 2
    assert "Task is starting (retry)." in lines_of(result, "a/2")
    assert result.lines.count("Workflow failed.") == 1
    task = client.Run(f"Linear/{run_id}")["a"].task
    assert attempts(task)[0] == 2 and not task.successful and not task.finished
    assert task.exception.exception == "never"
    assert client.Task(task.pathspec, attempt=0).exception.exception == "never"


def test_others_go_on_while_a_task_is_retried(cli):
    """A failure that is retried stops no other task."""
    rules = plan("foreach_inner:0:[012] throw x", "foreach_inner:[12] out fine")
    result = cli("small_foreach", "run", "--with", f"retry:times=3,{NO_PAUSE}", env=rules)
    assert result.status == 0 and "Workflow failed." not in result.lines
    assert [line for line in lines_of(result, "foreach_inner/3") if line.startswith("Task")] == [
        "Task is starting.", "Task failed.", "Task is starting (retry).", "Task failed.",
        "Task is starting (retry).", "Task failed.", "Task is starting (retry).", "Task finished successfully."]  # fmt: skip


def test_a_pause_holds_no_worker(cli):
    """With one worker, the others are executed while the failed task waits for its next attempt."""
    rules = plan("foreach_inner:0:0 throw x")
    result = cli("small_foreach", "run", "--max-workers", 1, "--with", "retry:times=1,minutes_between_retries=0.05", env=rules)
    assert result.status == 0
    words = ["Task failed.", "Sleeping 0.05 minutes before the next retry", "Task is starting (retry)."]
    failed, sleeping, again = (result.lines.index(f"[foreach_inner/3] {text}") for text in words)
    others = [result.lines.index(f"[foreach_inner/{task}] Task finished successfully.") for task in (4, 5)]
    assert failed < sleeping < min(others) and max(others) < again


def test_a_failure_elsewhere_ends_the_pauses(cli):
    """The run does not wait for a task whose next attempt would come in an hour."""
    rules = plan("patient throw x", "fragile exit 3")
    result = cli("retry_apart", "run", "--max-workers", 1, env=rules)
    assert result.status == 1, result
    assert "Step fragile (task-id" in result.err
    assert "[patient/2] Sleeping 60 minutes before the next retry" in result.lines
    assert not any("(retry)" in line for line in result.lines)


# --- timeout


def test_timeout_is_caught(cli, client):
    with_ = ["--with", "timeout:seconds=1", "--with", "catch:var=caught"]
    run = client.Run("Linear/" + cli.run("linear", *with_, env=plan("start set_data in time", "start block")))
    assert run.successful
    caught = run["start"].task["caught"].data
    assert caught.type == TIMED_OUT
    assert caught.exception == "Step start timed out after 0 hours, 0 minutes, 1 seconds"
    assert attempts(run["start"].task)[0] == 2 and run["start"].task.finished


def test_timeout_in_a_foreach_is_caught(cli, client):
    more = ["--with", "timeout:seconds=1", "--items", "a"]
    run = client.Run("Tries/" + cli.run("tries", *more, env=plan("inner:0,1 block")))
    assert run.successful
    tasks = {at[1]: task for at, task in places(run).items() if at[0] == "inner"}
    assert tasks["0,0"]["caught"].data is None and tasks["0,1"]["caught"].data.type == TIMED_OUT
    assert attempts(tasks["0,0"])[0] == 1 and attempts(tasks["0,1"])[0] == 4
    assert run["inner_join"].task["joined"].data[0] == "c"


def test_timeout_counts_per_attempt(cli, client):
    """The second attempt has the whole time again, and ends."""
    run_id = cli.run("linear", "--with", "timeout:seconds=1", "--with", f"retry:{NO_PAUSE}", env=plan("a::0 block"))
    task = client.Run(f"Linear/{run_id}")["a"].task
    assert task["attempt"].data == 1 and task.successful
    stderr = client.Task(task.pathspec, attempt=0).stderr
    assert "Step a timed out after 0 hours, 0 minutes, 1 seconds" in stderr


def test_timeout_names_the_place(cli):
    _, result = cli.fail("linear", "--with", "timeout:seconds=1", env=plan("a block"))
    shown = lines_of(result, "a/2")
    assert sum("Step a timed out after 0 hours, 0 minutes, 1 seconds" in line for line in shown) == 1, shown
    assert any("wait_for_ever" in line or "shapes::done" in line for line in shown), shown


def test_timeout_of_a_task_that_blocks_all_signals(cli, client):
    run_id = cli.run("linear", "--with", "timeout:seconds=1", "--with", "catch:var=caught", env=plan("a block_signals;a block"))
    caught = client.Run(f"Linear/{run_id}")["a"].task["caught"].data
    assert caught.type == TIMED_OUT
    assert caught.exception.endswith("1 seconds, and was killed because it did not exit in time")


# --- what is refused


@pytest.mark.parametrize(
    "program, spec, words",
    [
        ("linear", "retry:times=5", "Decorator 'retry': The maximum number of retries is @retry(times=4)."),
        ("linear", "retry:times=-1", "Decorator 'retry': times must be at least 0"),
        ("linear", "retry:minutes_between_retries=-1", "Decorator 'retry': minutes_between_retries must be from 0"),
        ("linear", "timeout", "Decorator 'timeout': Specify a duration for @timeout."),
        ("linear", "timeout:", "Decorator 'timeout': Specify a duration for @timeout."),
        ("linear", "timeout:seconds=0", "Decorator 'timeout': Specify a duration for @timeout."),
        ("linear", "timeout:seconds=-1,minutes=1", "Decorator 'timeout': Specify a duration for @timeout."),
        ("small_foreach", "catch", "@catch is defined for the step foreach_split but @catch is not supported in foreach split steps."),
        ("switch_basic", "catch", "@catch is defined for the step switch_step but @catch is not supported in conditional switch steps."),
        ("recursive_switch", "catch", "@catch is defined for the step loop_step but @catch is not supported in conditional switch steps."),
        ("linear", "catch:var=data", "@catch cannot store an exception in 'data': its type does not allow it"),
        ("linear", "catch:var=items", "@catch cannot store an exception in 'items': its type does not allow it"),
        ("linear", "catch:var=constant", "@catch cannot store an exception in 'constant': its type does not allow it"),
        ("linear", "catch:var=2x", "Decorator 'catch': '2x' is not a valid name of an artifact"),
        ("linear", "catch:x", "--with catch:x: 'x' is not of the form attribute=value"),
    ],
)
def test_refused(cli, program, spec, words):
    result = cli(program, "run", "--with", spec)
    assert result.status == 1 and words in result.err, result
    assert "Workflow starting" not in result.out
    assert not (cli.directory / ".metaflow").exists()


def test_most_attempts(cli, client):
    """Five attempts and the one that handles the failure: Metaflow has no more."""
    with_ = ["--with", f"retry:times=4,{NO_PAUSE}", "--with", "catch:var=caught"]
    task = client.Run("Linear/" + cli.run("linear", *with_, env=plan("a kill")))["a"].task
    assert attempts(task)[0] == 6 and task.finished
    assert task["caught"].data.exception.startswith("Task execution failed 5 times.")


@pytest.mark.parametrize("step", ["a", "end"])
@pytest.mark.parametrize("how", ["throw", "kill"])
def test_looks_as_in_python(cli, client, step, how):
    """What the client tells of a run in which a step was retried and caught."""
    with_ = ["--with", f"retry:times=1,{NO_PAUSE}", "--with", "catch:var=caught"]
    more = {"env": plan(f"{step} {how}")}
    ours = client.Run("Linear/" + cli.run("linear", *with_, **more))
    theirs = client.Run("Linear/" + cli.run_python("linear", *with_, **more))

    def view(run, ours=True):
        return run.successful, run.finished, {
            task.path_components[2]: (
                task.successful, task.finished, task.exception, task.current_attempt, task.finished_at is not None,
                attempts(task, ours)[0], max(attempts(task, ours)[1]), task["caught"].data is None, task["_task_ok"].data, task["_success"].data)
            for step in run for task in step}  # fmt: skip

    assert view(ours) == view(theirs, ours=False)
    if how == "kill":
        assert ours[step].task["caught"].data.type == theirs[step].task["caught"].data.type


def test_catch_prints_what_it_caught(cli, client):
    rules = plan("a throw words\nof two lines")
    run_id = cli.run("linear", "--with", "catch:var=caught", env=rules)
    stdout = client.Run(f"Linear/{run_id}")["a"].task.stdout
    assert stdout.startswith("@catch caught an exception from <flow Linear step a>\n>  shapes::Mishap: words")
    assert re.search(r"^>  .*shapes::done", stdout, re.M)
    run_id = cli.run("linear", "--with", "catch:var=caught,print_exception=false", env=rules)
    assert client.Run(f"Linear/{run_id}")["a"].task.stdout == ""


def test_catch_into_an_artifact_that_is_no_member(cli, client):
    run = client.Run("Linear/" + cli.run("linear", "--with", "catch:var=why", env=plan("a throw because")))
    assert run["a"].task["why"].data.exception == "because"
    assert run["start"].task["why"].data is None
    assert "because" in cli("linear", "dump", "--include", "why", f"{run.id}/a").out


def test_the_next_step_reads_what_was_caught(cli, client):
    """In C++ the artifact is the member; a step that succeeds empties it."""
    run = client.Run("Linear/" + cli.run("linear", "--with", "catch:var=caught", env=plan("a throw because")))
    assert run["a"].task["caught"].data.exception == "because" and run["end"].task["caught"].data is None
    assert not any(is_clone(task) for task in places(run).values())


def test_splits_can_be_retried(cli, client):
    for shape in SPLITS:
        if "foreach" in shape:
            run_id = cli.run(shape, "--with", f"retry:times=1,{NO_PAUSE}", env=plan("foreach_split*:*:0 kill"))
            assert client.Run(f"{SHAPES[shape]}/{run_id}").successful
