"""Runs of Python that we resume, runs of ours that Python resumes, and what was retried or caught in the origin."""


import pytest
from shapes import content, is_clone, places, plan


# --- retried and caught


def test_retried_and_caught_tasks_are_cloned(cli, client):
    hopeless = [f"{step} {deed}" for step in ("left", "inner:1") for deed in ("set_data @attempt", "throw soft")]
    more = plan("start::[012] throw x", "after:0 kill", *hopeless, "end kill")
    origin_id = cli.run("tries", env=more)
    origin = client.Run(f"Tries/{origin_id}")
    resumed_id, _ = cli.resume("tries")
    resumed = client.Run(f"Tries/{resumed_id}")
    before = places(origin)
    for at, task in places(resumed).items():
        assert is_clone(task) and task.origin_pathspec == before[at].pathspec
        assert task.successful == before[at].successful and task.finished
        assert content(task) | {"caught": None} == content(before[at]) | {"caught": None}
        assert str(task["caught"].data) == str(before[at]["caught"].data)
        assert task.current_attempt == 0
    assert resumed["end"].task["for_python"].data.type.endswith("FailureHandledByCatch")
    # Executed again, without the failures.
    resumed_id, _ = cli.resume("tries", "inner", "--origin-run-id", origin_id)
    resumed = client.Run(f"Tries/{resumed_id}")
    assert resumed.successful and resumed["end"].task["for_python"].data is None
    assert {task["caught"].data for task in resumed["inner"]} == {None}
    assert resumed["left"].task["caught"].data.exception == "soft"


def resume_in_python(cli, client, flow, program, *arguments):
    result = cli.python(program, "resume", *arguments, "--run-id-file", "resumed")
    assert result.status == 0, result
    return client.Run(f"{flow}/{(cli.directory / 'resumed').read_text()}")


def test_python_resumes_our_retried_run(cli, client):
    rules = plan("start::[01] throw x", "foreach_inner:1:[01] kill", "foreach_join throw x", "* out by @attempt")
    with_ = ["--with", "retry:times=2,minutes_between_retries=0"]
    origin_id, _ = cli.fail("small_foreach", *with_, env=rules)
    run = resume_in_python(cli, client, "SmallForeach", "small_foreach", "--origin-run-id", origin_id)
    assert run.successful and run.data.joined == [1, 2, 3] and run.data.data == "end, in Python"
    assert {task.index: task["attempt"].data for task in run["foreach_inner"]} == {0: 0, 1: 2, 2: 0}
    assert all(is_clone(task) for name in ("start", "foreach_split", "foreach_inner") for task in run[name])


def test_python_resumes_our_caught_run(cli, client):
    with_ = ["--with", "catch:var=caught"]
    origin_id = cli.run("linear", *with_, env=plan("a throw because", "start kill"))
    run = resume_in_python(cli, client, "Linear", "linear", "end", "--origin-run-id", origin_id)
    assert run.successful and run["a"].task["caught"].data.exception == "because"
    assert run["start"].task["caught"].data.type.endswith("FailureHandledByCatch")
    assert run.data.data == "end, in Python"
    assert is_clone(run["a"].task) and not is_clone(run["end"].task)


def test_python_resumes_our_resumed_run(cli, client):
    cli.fail("small_foreach", env=plan("foreach_inner:1 throw x", "* set_data first"))
    second, _ = cli.resume("small_foreach", env=plan("foreach_join throw x", "* set_data second"), status=1)
    run = resume_in_python(cli, client, "SmallForeach", "small_foreach", "--origin-run-id", second)
    assert run.successful and run.data.joined == [1, 2, 3]
    data = {task.index: task["data"].data for task in run["foreach_inner"]}
    assert data[1] == "second" and run["start"].task["data"].data == "first"


@pytest.mark.parametrize("at", ["start", "foreach_split", "foreach_inner:1", "foreach_join", "end"])
def test_we_resume_a_run_of_python(cli, client, at):
    result = cli.python("small_foreach", "run", "--run-id-file", "run-id", env=plan(f"{at} throw"))
    assert result.status == 1, result
    origin_id = (cli.directory / "run-id").read_text()
    origin = client.Run(f"SmallForeach/{origin_id}")
    resumed_id, _ = cli.resume("small_foreach", env=plan("* set_data in C++"))
    resumed = client.Run(f"SmallForeach/{resumed_id}")
    assert resumed.successful and resumed.finished and resumed.data.joined == [1, 2, 3]
    before = {(task.path_components[2], task.index) for step in origin for task in step if task.finished}
    tasks = {(task.path_components[2], task.index): task for step in resumed for task in step}
    assert {at for at, task in tasks.items() if is_clone(task)} == before
    for (step, _), task in tasks.items():
        assert task["data"].data == (f"{step}, in Python" if is_clone(task) else "in C++")
        assert (client.Task(task.origin_pathspec) if is_clone(task) else task).stdout.count("in Python") == is_clone(task)


def test_we_resume_a_finished_run_of_python(cli, client):
    cli.run_python("small_foreach")
    resumed_id, _ = cli.resume("small_foreach", "foreach_join")
    resumed = client.Run(f"SmallForeach/{resumed_id}")
    assert resumed.successful and resumed["end"].task["joined"].data == [1, 2, 3]
    assert {step.id for step in resumed if is_clone(step.task)} == {"start", "foreach_split", "foreach_inner"}
    # What the tasks in Python do not have, has its initial value.
    assert resumed["end"].task["lineage"].data == "().foreach_join.end"


@pytest.mark.parametrize("at", ["loop_body:1::2", "loop_body:0::1", "join:::0"])
def test_python_resumes_our_recursion(cli, client, at):
    rules = plan("* set_data in C++", f"{at.replace('::', ':*:').replace(':*::', ':*:*:')} throw on purpose")
    origin_id, _ = cli.fail("recursive_switch_in_foreach", "--items", "A1,B3", env=rules)
    flow = "RecursiveSwitchInForeach"
    run = resume_in_python(cli, client, flow, "recursive_switch_in_foreach", "--origin-run-id", origin_id)
    check_recursion(run, client.Run(f"{flow}/{origin_id}"), "in C++", "in Python")


@pytest.mark.parametrize("at", ["loop_body:1::3", "exit_item_loop:0::1"])
def test_we_resume_a_recursion_of_python(cli, client, at):
    result = cli.python("recursive_switch_in_foreach", "run", "--run-id-file", "run-id", "--items", '["A1", "B3"]', env=plan(f"{at} throw"))
    assert result.status == 1 and "on purpose" in result.out + result.err, result
    origin = client.Run("RecursiveSwitchInForeach/" + (cli.directory / "run-id").read_text())
    resumed_id, _ = cli.resume("recursive_switch_in_foreach", env=plan("* set_data in C++"))
    check_recursion(client.Run(f"RecursiveSwitchInForeach/{resumed_id}"), origin, "in Python", "in C++")


def check_recursion(run, origin, before, after):
    def spot(task):
        return task.path_components[2], task.index, task["rounds"].data

    assert run.successful and run["join"].task["joined"].data == ["A1", "B3"]
    found = {spot(task): task for step in run for task in step}
    for item, rounds in enumerate((1, 3)):
        assert [r for r in range(1, 9) if ("loop_body", item, r) in found] == list(range(1, rounds + 1))
    cloned = {spot(task) for step in origin for task in step if task.finished}
    assert {at for at, task in found.items() if is_clone(task)} == cloned
    assert all(task["data"].data == (before if at in cloned else after) for at, task in found.items())


@pytest.mark.parametrize("at", ["foreach_split_z:0,1", "foreach_inner:0,0,1"])
def test_we_resume_nested_foreachs_of_python(cli, client, at):
    """Where the items are, a task behind one of Python knows from its artifacts. (foreach_split_z took two attempts.)"""
    result = cli.python("nested_foreach", "run", "--run-id-file", "run-id", "--items", '["a"]', env=plan(f"{at} throw"))
    assert result.status == 1 and "on purpose" in result.out + result.err, result
    origin = client.Run("NestedForeach/" + (cli.directory / "run-id").read_text())
    resumed = client.Run("NestedForeach/" + cli.resume("nested_foreach", env=plan("* set_data in C++"))[0])
    assert resumed.successful and resumed.finished

    def spot(task):
        return task.path_components[2], tuple(frame.index for frame in task["_foreach_stack"].data)

    cloned = {spot(task) for step in origin for task in step if task.finished}
    for task in (task for step in resumed for task in step):
        step, indices = spot(task)
        assert is_clone(task) == ((step, indices) in cloned)
        assert task["data"].data == ("in Python" if is_clone(task) else "in C++")
        if not is_clone(task):
            z = "fg" if any(s == "foreach_split_z" and i == indices[:2] for s, i in cloned) else "fghijk"
            ranges = [("x", "a"), ("y", "de"), ("z", z)]
            expected = [f"{name} {len(items)} {i} {items[i]}" for (name, items), i in zip(ranges, indices)]
            assert task["frames"].data == expected
            if step.startswith("foreach_split") and indices or step == "foreach_inner":
                assert task["item"].data == ranges[len(indices) - 1][1][indices[-1]]


def test_items_that_python_lost_at_an_inner_join(cli, client):
    """A task in Python has nothing of what the outer foreach goes over when an inner one is joined."""
    result = cli.python("tries", "run", "--run-id-file", "run-id", env=plan("after:0 throw"))
    assert result.status == 1 and "on purpose" in result.out + result.err, result
    resumed = client.Run("Tries/" + cli.resume("tries")[0])
    assert resumed.successful and is_clone(resumed["inner_join"].task) and "x" not in resumed["inner_join"].task
    after = resumed["after"].task
    assert not is_clone(after) and after["item"].data == "a" and after["frames"].data == ["x 1 0 a"]
