"""resume: what is cloned, what is executed, and that what comes out is what a run gives in which nothing fails."""

import json
import os
import re
import signal
import subprocess

import pytest
from shapes import SHAPES, content, graph_of, is_clone, place, places, plan

# A step of each kind in each shape, with the task of it that fails.
FAILING = [
    *(("linear", at) for at in ("start", "a", "end")),
    *(("branch", at) for at in ("start", "b", "join", "end")),
    *(("nested_branches", at) for at in ("bb", "aba", "baa_bab_join", "ba_bb_join", "a_b_join")),
    *(("foreach", at) for at in ("foreach_split", "foreach_inner_first:1", "foreach_inner_second:2", "foreach_join", "end")),
    *(("small_foreach", at) for at in ("start", "foreach_split", "foreach_inner:0", "foreach_inner", "foreach_join")),
    *(
        ("nested_foreach", at)
        for at in ("foreach_split_x", "foreach_split_y:1", "foreach_split_z:0,1", "foreach_inner:1,0,4",
                   "foreach_join_z:2,1", "foreach_join_y:0", "foreach_join_x")
    ),  # fmt: skip
    *(("switch_basic", at) for at in ("switch_step", "a")),
    *(("switch_nested", at) for at in ("start", "switch2", "c", "end")),
    *(("switch_in_branch", at) for at in ("a", "c", "b", "join")),
    *(("switch_in_foreach", at) for at in ("process_item:1", "handle_a:2", "handle_b", "join")),
    *(("branch_in_switch", at) for at in ("start", "p2", "process_join")),
    *(("foreach_in_switch", at) for at in ("process_items", "do_work:1", "join_work")),
    *(("recursive_switch", at) for at in ("loop_step:::1", "loop_step:::6", "exit_loop")),
    *(("recursive_switch_in_foreach", at) for at in ("start_loop_for_item:1", "loop_body:1::3", "loop_body:0::1", "exit_item_loop:2", "join")),
]  # fmt: skip


def rule(at):
    """'step:index::round' as a pattern of a plan."""
    parts = [part or "*" for part in at.split(":")]
    return plan(f"{':'.join(parts)} throw on purpose")


def finished(run):
    return {at for at, task in places(run).items() if task.finished}


def own_metadata(task):
    """What the client shows, without what makes the task a clone, and the attempt, of which a clone has one."""
    return {name: value for name, value in task.metadata_dict.items() if name not in ("origin-run-id", "origin-task-id", "attempt", "attempt-done")}


def check_resumed(client, flow, origin_id, resumed_id, whole, killed=False):
    """The resumed run is as good as `whole`, and executed just what had not finished. If the scheduler was killed, a task
    can be finished of which the client does not know it yet."""
    origin, resumed = client.Run(f"{flow}/{origin_id}"), client.Run(f"{flow}/{resumed_id}")
    assert resumed.successful and resumed.finished
    found, before = places(resumed), places(origin)
    names = ("lineage", "frames", "item", "joined", "x", "condition", "rounds", "data")
    assert {at: content(task, names) for at, task in found.items()} == {
        at: content(task, names) for at, task in places(whole).items()
    }
    clones = {at for at, task in found.items() if is_clone(task)}
    assert finished(origin) <= clones if killed else finished(origin) == clones
    for at, task in found.items():
        assert task.metadata_dict["origin-run-id"] == origin_id
        assert task.successful and task.finished and task.finished_at >= task.created_at
        if is_clone(task):
            assert task.origin_pathspec == before[at].pathspec
            if before[at].finished:
                assert {a.id: a.sha for a in task} == {a.id: a.sha for a in before[at]}
                assert own_metadata(task) == own_metadata(before[at])
        else:
            assert task.origin_pathspec is None
            assert task["origin"].data == origin_id and task["pathspec"].data == task.pathspec
    return origin, resumed


@pytest.mark.parametrize("shape, at", FAILING)
def test_what_had_not_finished_is_executed(cli, client, shape, at):
    flow = SHAPES[shape]
    whole = client.Run(f"{flow}/" + cli.run(shape))
    origin_id, _ = cli.fail(shape, env=rule(at))
    before = {p: content(t) for p, t in places(client.Run(f"{flow}/{origin_id}")).items() if t.finished}
    resumed_id, result = cli.resume(shape)
    origin, resumed = check_resumed(client, flow, origin_id, resumed_id, whole)
    assert not origin.successful and finished(origin) == set(before), "the origin is left as it was"
    clones = sum(is_clone(task) for task in places(resumed).values())
    assert sum("Cloning previously run task" in line for line in result.lines) == clones
    assert sum("Task is starting" in line for line in result.lines) == len(places(resumed)) - clones


def after(graph, step):
    found, new = set(), {step}
    while new:
        found |= new
        new = {target for step in new for target in graph[step]} - found
    return found


@pytest.mark.parametrize(
    "shape, step",
    [
        ("linear", "start"),
        ("linear", "a"),
        ("linear", "end"),
        ("branch", "b"),
        ("branch", "join"),
        ("nested_branches", "ab"),
        ("nested_branches", "aa_ab_join"),
        ("foreach", "foreach_split"),
        ("foreach", "foreach_inner_first"),
        ("foreach", "foreach_inner_second"),
        ("nested_foreach", "foreach_split_z"),
        ("nested_foreach", "foreach_inner"),
        ("nested_foreach", "foreach_join_y"),
        ("switch_basic", "switch_step"),
        ("switch_basic", "b"),
        ("switch_in_foreach", "handle_a"),
        ("switch_in_branch", "a"),
        ("recursive_switch", "loop_step"),
        ("recursive_switch", "exit_loop"),
        ("recursive_switch_in_foreach", "loop_body"),
    ],
)
def test_a_step_and_all_after_it_are_executed_again(cli, client, shape, step):
    """Also if they had succeeded; steps see what has changed."""
    flow = SHAPES[shape]
    origin_id = cli.run(shape, env=plan("* set_data before"))
    resumed_id, _ = cli.resume(shape, step, env=plan("* set_data after"))
    resumed = client.Run(f"{flow}/{resumed_id}")
    again = after(graph_of(resumed), step)
    assert resumed.successful
    assert set(places(resumed)) == set(places(client.Run(f"{flow}/{origin_id}")))
    for (name, _, _), task in places(resumed).items():
        assert is_clone(task) == (name not in again)
        assert task["data"].data == ("after" if name in again else "before")


def test_a_successful_run_is_cloned_whole(cli, client):
    origin_id = cli.run("nested_foreach")
    resumed_id, result = cli.resume("nested_foreach")
    assert all(is_clone(task) for task in places(client.Run(f"NestedForeach/{resumed_id}")).values())
    check_resumed(client, "NestedForeach", origin_id, resumed_id, client.Run(f"NestedForeach/{origin_id}"))
    assert "Nothing is left to execute." in result.out and result.lines[-1] == "Done!"
    assert "Task is starting" not in result.out


def test_origin_pathspecs(cli, client):
    origin_id, _ = cli.fail("linear", env=plan("end throw x"))
    resumed = client.Run("Linear/" + cli.resume("linear")[0])
    start = resumed["start"]
    assert start.task["pathspec"].data == start.task.origin_pathspec == f"Linear/{origin_id}/start/1"
    assert start.origin_pathspec == f"Linear/{origin_id}/start"
    assert resumed.origin_pathspec == f"Linear/{origin_id}"
    assert client.Run(f"Linear/{origin_id}").origin_pathspec is None


def test_logs_of_clones_stay_with_the_origin(cli, client):
    """As Metaflow has it: the new run has the logs of what it executed, origin_pathspec leads to the others."""
    cli.fail("linear", env=plan("* out printed by @task", "start err and this", "end throw x"))
    resumed = client.Run("Linear/" + cli.resume("linear", env=plan("* out printed anew"))[0])
    assert resumed["end"].task.stdout == "printed anew\n"
    assert resumed["start"].task.stdout == resumed["start"].task.stderr == ""
    origin = client.Task(resumed["start"].task.origin_pathspec)
    assert origin.stdout == "printed by 1\n" and origin.stderr == "and this\n"
    shown = cli("linear", "logs", f"{resumed.id}/start")
    assert shown.status == 0 and "printed" not in shown.out, shown


def test_resumed_again_and_again(cli, client):
    """Each from the newest, without a word about origins; a clone of a clone names the run it was cloned from."""
    whole = client.Run("Foreach/" + cli.run("foreach"))
    ids = [cli.fail("foreach", env=plan("foreach_split throw x"))[0]]
    for at in ("foreach_inner_first:1", "foreach_inner_second:0", "end"):
        resumed_id, result = cli.resume("foreach", "--max-workers", 1, env=rule(at), status=1)
        assert f"Cloning Foreach/{ids[-1]}" in result.out
        ids.append(resumed_id)
    last, _ = cli.resume("foreach")
    check = client.Run(f"Foreach/{last}")
    assert {p: content(t) for p, t in places(check).items()} == {p: content(t) for p, t in places(whole).items()}
    assert all(task.metadata_dict["origin-run-id"] == ids[-1] for task in places(check).values())
    start = check["start"].task
    assert start.origin_pathspec == f"Foreach/{ids[-1]}/start/1" and start["pathspec"].data.startswith(f"Foreach/{ids[0]}/")
    # An older one can be named.
    resumed_id, _ = cli.resume("foreach", "--origin-run-id", ids[1])
    check_resumed(client, "Foreach", ids[1], resumed_id, whole)


def test_parameters_and_tags_are_kept(cli, client):
    cli.fail("small_foreach", "--items", "7,8", "--mode", "x", "--tag", "kept", env=plan("start throw x"))
    resumed = client.Run("SmallForeach/" + cli.resume("small_foreach", "--tag", "new")[0])
    assert resumed["foreach_join"].task["joined"].data == [7, 8] and resumed.data.mode == "x"
    assert resumed["_parameters"].task["items"].data == [7, 8]
    assert resumed.user_tags == {"kept", "new"}
    result = cli("small_foreach", "resume", "--items", "1")
    assert result.status == 2 and "--items" in result.err, result


def test_more_splits_are_allowed_when_resumed(cli, client):
    items = ",".join(map(str, range(101)))
    origin_id, result = cli.fail("small_foreach", "--items", items)
    assert "yielded 101 child steps which is more than the current maximum of 100 children" in result.err
    _, result = cli.resume("small_foreach", status=1)
    assert "yielded 101 child steps" in result.err
    # It ended while it cloned, so what is resumed is still the origin.
    resumed_id, result = cli.resume("small_foreach", "--max-num-splits", 101)
    assert f"Cloning SmallForeach/{origin_id}" in result.out
    resumed = client.Run(f"SmallForeach/{resumed_id}")
    assert resumed["foreach_join"].task["joined"].data == list(range(101))
    assert {place(t)[0] for t in places(resumed).values() if is_clone(t)} == {"start", "foreach_split"}


def test_decorators_of_the_new_run_count(cli, client):
    cli.fail("linear", env=plan("a throw x"))
    with_ = ["--with", "retry:times=2,minutes_between_retries=0"]
    resumed = client.Run("Linear/" + cli.resume("linear", *with_, env=plan("a::[01] throw x"))[0])
    assert resumed.successful and resumed["a"].task["attempt"].data == 2


# --- what does not fit


def test_python_flow_of_another_graph(cli):
    result = cli.python("other_small_foreach", "run", "--run-id-file", "run-id")
    assert result.status == 1
    _, result = cli.resume("small_foreach", status=1)
    assert "does not match the current flow: task start/1 goes on to end, but step start goes on to foreach_split now" in result.err
    assert "resume foreach_split" in result.err


def test_renamed_step(cli, client):
    origin_id, _ = cli.fail("small_foreach", env=plan("foreach_inner:1 throw x"))
    _, result = cli.resume("renamed", status=1)
    assert (
        f"Run {origin_id} does not match the current flow: task foreach_split/2 fans out to foreach_inner, "
        "but step foreach_split fans out to foreach_body now" in result.err
    )
    assert "resume foreach_body\n" in result.err
    # The advice helps, also twice, and the run that was refused is not the newest.
    resumed_id, _ = cli.resume("renamed", "foreach_body")
    resumed = client.Run(f"SmallForeach/{resumed_id}")
    assert is_clone(resumed["foreach_split"].task)
    assert resumed.successful and resumed["end"].task["joined"].data == [1, 2, 3]
    assert resumed.origin_pathspec == f"SmallForeach/{origin_id}" and is_clone(resumed["start"].task)
    again = client.Run("SmallForeach/" + cli.resume("renamed", "--origin-run-id", resumed_id)[0])
    assert all(is_clone(task) for task in places(again).values())


def test_renamed_step_that_had_not_finished(cli, client):
    """Nothing to be cloned has it, so it does not matter."""
    cli.fail("small_foreach", env=plan("foreach_split throw x"))
    resumed = client.Run("SmallForeach/" + cli.resume("renamed")[0])
    assert resumed.successful and is_clone(resumed["start"].task) and len(list(resumed["foreach_body"])) == 3


def test_changed_type_of_a_member(cli, client):
    origin_id, _ = cli.fail("small_foreach", env=plan("start set_data text", "foreach_join throw x"))
    _, result = cli.resume("retyped", status=1)
    assert f"Run {origin_id} does not match the current flow: in task start/1, artifact 'data': 'text'" in result.err
    resumed = client.Run("SmallForeach/" + cli.resume("retyped", "start")[0])
    assert resumed.successful and resumed.data.data == 1


def test_unknown_origins(cli):
    result = cli("linear", "resume")
    assert result.status == 1 and "A previous run id was not found. Specify --origin-run-id." in result.err
    cli.run("linear")
    for unknown in ("999", "../Linear", "1/2", ".", "a b"):
        result = cli("linear", "resume", "--origin-run-id", unknown)
        assert result.status == 1 and f"Resume could not find run id {unknown}" in result.err, result
    result = cli("linear", "resume", "nosuch")
    assert result.status == 1
    assert "invalid step name nosuch specified, must be step present in current form of execution graph. Valid step names include: a,end,start" in result.err
    assert len(list((cli.directory / ".metaflow/Linear").glob("[0-9]*"))) == 1, "no run is begun in vain"


# --- two at a time, and schedulers that die


def start(cli, *command, env=None):
    return subprocess.Popen([*map(str, command)], cwd=cli.directory, env={**cli.environment, **(env or {})},
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)  # fmt: skip


def read_until(process, words):
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return seen
    raise AssertionError("".join(seen) + process.stderr.read())


def scheduler_of(cli, flow, run):
    """Its process: that of the command is its guard."""
    lease = cli.directory / f".metaflow/{flow}/{run}/_meta/lease_execute.0.json"
    return json.loads(lease.read_text())["pid"]


def kill_scheduler(cli, process, flow, run):
    os.kill(scheduler_of(cli, flow, run), signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL and "The scheduler of this run was killed by SIGKILL" in err
    return out


def test_a_run_that_is_executed_is_not_resumed(cli, client):
    process = start(cli, cli.path("linear"), "run", "--run-id-file", "id", env=plan("a out waiting", "a block"))
    read_until(process, "waiting")
    run_id = (cli.directory / "id").read_text()
    result = cli("linear", "resume", "--origin-run-id", run_id)
    assert result.status == 1, result
    pid = scheduler_of(cli, "Linear", run_id)
    assert re.search(rf"Run Linear/{run_id} is being executed by tester@\S+ \(pid {pid}\) since \d{{4}}-", result.err), result
    kill_scheduler(cli, process, "Linear", run_id)
    resumed_id, _ = cli.resume("linear", "--origin-run-id", run_id)
    assert is_clone(client.Run(f"Linear/{resumed_id}")["start"].task)


def test_a_run_that_is_resumed_is_not_resumed_at_the_same_time(cli):
    origin_id, _ = cli.fail("linear", env=plan("a throw x"))
    process = start(cli, cli.path("linear"), "resume", "--run-id-file", "id", env=plan("a out waiting", "a block"))
    read_until(process, "waiting")
    other = (cli.directory / "id").read_text()
    result = cli("linear", "resume", "--origin-run-id", origin_id)
    assert result.status == 1, result
    assert re.search(rf"Run Linear/{origin_id} is being resumed by tester@\S+ \(pid \d+\) since \S+ \S+, as run {other}", result.err), result
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    cli.resume("linear", "--origin-run-id", origin_id)


def test_no_finished_task_is_executed_again_whenever_the_scheduler_is_killed(cli, client):
    whole = client.Run("Foreach/" + cli.run("foreach"))
    lines = len(cli("foreach", "run").out.splitlines())
    for line in range(3, lines, 3):
        process = start(cli, cli.path("foreach"), "run", "--run-id-file", "id")
        for _ in range(line):
            process.stdout.readline()
        origin_id = (cli.directory / "id").read_text()
        try:
            kill_scheduler(cli, process, "Foreach", origin_id)
        except (ProcessLookupError, AssertionError):
            process.communicate(timeout=60)
            assert process.returncode == 0, "it was faster"
        resumed_id, _ = cli.resume("foreach", "--origin-run-id", origin_id)
        check_resumed(client, "Foreach", origin_id, resumed_id, whole, killed=True)


def test_tasks_of_a_killed_scheduler_do_not_disturb(cli, client):
    """They are gone before anything is cloned."""
    process = start(cli, cli.path("linear"), "run", "--run-id-file", "id", env=plan("a block_signals", "a out waiting", "a block"))
    line = read_until(process, "waiting")[-1]
    task = int(re.search(r"\(pid (\d+)\)", line).group(1))
    run_id = (cli.directory / "id").read_text()
    kill_scheduler(cli, process, "Linear", run_id)
    cli.resume("linear")
    with pytest.raises(ProcessLookupError):
        os.kill(task, 0)


def test_killed_while_it_cloned(cli, client):
    items = ",".join(map(str, range(300)))
    origin_id, _ = cli.fail("small_foreach", "--items", items, "--max-num-splits", 300, env=plan("foreach_join throw x"))
    process = start(cli, cli.path("small_foreach"), "resume", "--run-id-file", "id", "--max-num-splits", 300)
    read_until(process, "Cloning previously run task")
    half = (cli.directory / "id").read_text()
    kill_scheduler(cli, process, "SmallForeach", half)
    # Nothing was executed, so the newest run is still the origin; the other one says so.
    resumed_id, result = cli.resume("small_foreach", "--max-num-splits", 300)
    if f"Cloning SmallForeach/{origin_id}" in result.out:
        refused = cli("small_foreach", "resume", "--origin-run-id", half)
        assert refused.status == 1 and f"Run {half} was stopped while it cloned run {origin_id}. It has executed nothing" in refused.err
        assert f"--origin-run-id {origin_id}" in refused.err
    resumed = client.Run(f"SmallForeach/{resumed_id}")
    assert resumed.successful and resumed.data.joined == list(range(300))
