"""What holds for every shape of graph, and for each of them alone: the scenarios of Metaflow's own core tests.

Elsewhere: joins and merges in detail (test_joins), tags, namespaces and current() (test_client), parameters (transcripts), logs
(test_logs), signals (test_failures), a wide foreach (test_graphs), retries (test_retry), resume (test_resume)."""

import itertools
import random

import pytest
from conftest import SANITIZED
from shapes import SHAPES, SPLITS, content, graph_of, lineages, places, plan

both = pytest.mark.parametrize("shape", SHAPES)
splits = pytest.mark.parametrize("shape", SPLITS)


@both
def test_artifact_of_the_first_step_is_in_all(cli, client, shape):
    run = client.Run(f"{SHAPES[shape]}/" + cli.run(shape, env=plan("start set_data 刺身")))
    assert run.successful
    for step in run:
        for task in step:
            assert task["data"].data == "刺身" and task["constant"].data == [1, 2, 3]
            assert task["items"].data == run["_parameters"].task["items"].data
            assert task["parameter_names"].data == ["items", "mode"]
            assert task["caught"].data is None and task["attempt"].data == 0 and task["origin"].data == ""


@splits
def test_lineage(cli, client, shape):
    run = client.Run(f"{SHAPES[shape]}/" + cli.run(shape))
    graph = graph_of(run)
    expected = lineages(graph)
    assert set(expected) == set(graph) == {step.id for step in run}
    assert {step.id: {task["lineage"].data for task in step} for step in run} == {s: {l} for s, l in expected.items()}


# The client takes all rounds of a step for parents of each other, and a join behind a switch in a foreach for one of branches.
@pytest.mark.parametrize("shape", [*SPLITS, "switch_basic", "switch_nested", "switch_in_branch", "branch_in_switch", "foreach_in_switch"])
def test_parents_and_children(cli, client, shape):
    """The client works them out from metadata; the tasks noted who came before them."""
    run = client.Run(f"{SHAPES[shape]}/" + cli.run(shape))
    tasks = [task for step in run for task in step]
    parents = {task.pathspec: set(task["parents"].data) for task in tasks}
    for task in tasks:
        assert task["pathspec"].data == task.pathspec
        assert {parent.pathspec for parent in task.parent_tasks} == parents[task.pathspec]
        assert {child.pathspec for child in task.child_tasks} == {p for p in parents if task.pathspec in parents[p]}


@pytest.mark.parametrize("shape", ["foreach", "small_foreach"])
def test_foreach_in_any_order(cli, client, shape):
    """The index stays the same through all steps of a foreach; the join gets its inputs in the order of the items."""
    items = list(range(32))
    random.Random(1).shuffle(items)
    run = client.Run(f"{SHAPES[shape]}/" + cli.run(shape, "--items", ",".join(map(str, items))))
    assert run["foreach_join"].task["joined"].data == items
    for name in [step.id for step in run if "inner" in step.id]:
        tasks = list(run[name])
        assert sorted(task.index for task in tasks) == list(range(32))
        for task in tasks:
            assert task["item"].data == items[task.index]
            assert task["frames"].data == [f"x 32 {task.index} {items[task.index]}"]
    assert run["foreach_join"].task["frames"].data == [] and run["end"].task.index is None


def test_three_foreachs(cli, client):
    run = client.Run("NestedForeach/" + cli.run("nested_foreach"))
    inner = [tuple(task["frames"].data) for task in run["foreach_inner"]]
    expected = {
        (f"x 3 {x} {'abc'[x]}", f"y 2 {y} {'de'[y]}", f"z 6 {z} {'fghijk'[z]}")
        for x, y, z in itertools.product(range(3), range(2), range(6))
    }
    assert set(inner) == expected and len(inner) == len(expected)
    assert {tuple(task["joined"].data) for task in run["foreach_join_z"]} == {tuple("fghijk")}
    assert {(place[1], content(task)["item"]) for place, task in places(run).items() if place[0] == "foreach_split_y"} == {
        ("0", "a"), ("1", "b"), ("2", "c")}  # fmt: skip


# --- switches


def way(run):
    """The steps of a run, each with its number of tasks."""
    return {step.id: len(list(step)) for step in run}


@pytest.mark.parametrize(
    "shape, mode, lineage",
    [
        ("switch_basic", "case1", "start.switch_step.a.end"),
        ("switch_basic", "case2", "start.switch_step.b.end"),
        ("switch_basic", "case3", "start.switch_step.c.end"),
        ("switch_nested", "b", "start.b.end"),
        ("switch_nested", "c", "start.switch2.c.end"),
        ("switch_nested", "d", "start.switch2.d.end"),
        ("switch_in_branch", "case1", "(start.a.c|start.b).join.end"),
        ("switch_in_branch", "case2", "(start.a.d|start.b).join.end"),
        ("branch_in_switch", "process", "(start.process_branch.p1|start.process_branch.p2).process_join.end"),
        ("branch_in_switch", "skip", "start.skip_path.end"),
        ("foreach_in_switch", "process", "(start.process_items.do_work).join_work.end"),
        ("foreach_in_switch", "skip", "start.skip_processing.end"),
    ],
)
def test_switch(cli, client, shape, mode, lineage):
    run = client.Run(f"{SHAPES[shape]}/" + cli.run(shape, "--mode", mode))
    assert run.successful
    assert run["end"].task["lineage"].data == lineage
    passed = set(lineage.replace("(", "").replace(")", "").replace("|", ".").split("."))
    assert set(way(run)) == passed, "the other ways leave no trace"


@pytest.mark.parametrize("shape", ["switch_basic", "switch_in_branch", "foreach_in_switch"])
def test_switch_without_a_case(cli, client, shape):
    run_id, result = cli.fail(shape, "--mode", "nowhere")
    words = "Switch condition variable 'condition' has value 'nowhere' which is not in the available cases: ["
    assert words in result.out, result
    step = {"switch_basic": "switch_step", "switch_in_branch": "a", "foreach_in_switch": "start"}[shape]
    assert words in client.Run(f"{SHAPES[shape]}/{run_id}")[step].task.exception.exception


def test_switch_in_a_foreach(cli, client):
    run = client.Run("SwitchInForeach/" + cli.run("switch_in_foreach"))
    assert way(run) == {"start": 1, "process_item": 3, "handle_a": 2, "handle_b": 1, "join": 1, "end": 1}
    assert {task.index: task["item"].data for task in run["handle_a"]} == {0: "a1", 2: "a3"}
    assert {task.index: task["item"].data for task in run["handle_b"]} == {1: "b2"}
    assert run["join"].task["joined"].data == ["a1", "b2", "a3"]


def test_switch_that_repeats_its_step(cli, client):
    run = client.Run("RecursiveSwitch/" + cli.run("recursive_switch"))
    assert way(run) == {"start": 1, "loop_step": 10, "exit_loop": 1, "end": 1}
    rounds = sorted(run["loop_step"], key=lambda task: int(task.id))
    assert [task["rounds"].data for task in rounds] == list(range(1, 11))
    assert run["end"].task["lineage"].data == ".".join(["start", *["loop_step"] * 10, "exit_loop", "end"])


def test_switch_that_repeats_its_step_in_a_foreach(cli, client):
    run = client.Run("RecursiveSwitchInForeach/" + cli.run("recursive_switch_in_foreach"))
    assert way(run)["loop_body"] == 3 + 5 + 2
    assert [(task.index, task["rounds"].data) for task in sorted(run["exit_item_loop"], key=lambda t: t.index)] == [
        (0, 3), (1, 5), (2, 2)]  # fmt: skip
    assert run["join"].task["joined"].data == ["A3", "B5", "C2"]


# --- merges


def ordinary(graph):
    """The steps between start and end that neither split nor join."""
    return [s for s, following in graph.items() if len(following) == 1 and "join" not in s and "split" not in s and s != "start"]


JOINED = {"branch": "a_b", "nested_branches": "aaa_aab", "foreach": "x", "small_foreach": "x", "nested_foreach": "z"}


@pytest.mark.parametrize("shape", JOINED)
def test_merge(cli, client, shape):
    """Branches that agree, that do not, and an artifact that is left out; at every join of the graph."""
    graph = graph_of(client.Run(f"{SHAPES[shape]}/" + cli.run(shape)))
    changes = [f"{s} {deed}" for s in ordinary(graph) for deed in ("set_manual @task", "set_ignored @task", "set_same e")]
    joins = [s for s in graph if "join" in s]
    merges = [f"{j} {deed}" for j in joins for deed in ("merge_all", "set_manual by the join", "merge_without_ignored")]
    start = ["start set_passed a", "start set_same b", "start set_manual c", "start set_ignored d"]
    run = client.Run(f"{SHAPES[shape]}/" + cli.run(shape, env=plan(*start, *changes, *merges)))
    errors = [(task, task["merge_error"].data) for step in joins for task in run[step] if task["merge_error"].data]
    assert errors, "the innermost joins have conflicts"
    assert all("having conflicting values:\n[ignored, manual]" in error for _, error in errors)
    for step in joins:
        for task in run[step]:
            assert task["passed"].data == "a" and task["same"].data == "e" and task["manual"].data == "by the join"
            assert task["ignored"].data == "", "its initial value"


@pytest.mark.parametrize("shape", JOINED)
def test_merge_of_what_is_included(cli, client, shape):
    graph = graph_of(client.Run(f"{SHAPES[shape]}/" + cli.run(shape)))
    changes = [f"{s} {deed}" for s in ordinary(graph) for deed in ("set_manual @task", "set_same e")]
    joins = [s for s in graph if "join" in s]
    run_id = cli.run(shape, env=plan("start set_passed a", "start set_same b", *changes, *(f"{j} merge_passed_only" for j in joins)))
    run = client.Run(f"{SHAPES[shape]}/{run_id}")
    for step in joins:
        for task in run[step]:
            assert (task["passed"].data, task["same"].data, task["manual"].data) == ("a", "", "")


def test_merge_carries_what_one_item_changed(cli, client):
    run_id = cli.run("small_foreach", env=plan("foreach_inner:1 set_data from item 1", "foreach_join merge_all"))
    task = client.Run(f"SmallForeach/{run_id}")["end"].task
    assert task["data"].data == "from item 1" and task["merge_error"].data == ""


# --- the rest


def test_exception_of_the_last_step(cli, client):
    run_id, _ = cli.fail("linear", env=plan("end throw 'Something has gone wrong'"))
    task = client.Run(f"Linear/{run_id}")["end"].task
    assert task.exception.exception == "'Something has gone wrong'"
    assert task.exception.type == "shapes::Mishap"
    assert "shapes::Mishap" in str(task.exception)


def test_crash_keeps_what_was_printed(cli, client):
    run_id, _ = cli.fail("linear", env=plan("end out Something before", "end crash"))
    task = client.Run(f"Linear/{run_id}")["end"].task
    assert task.stdout == "Something before\n"
    assert "segmentation fault" in task.stderr and not task.successful


@splits
def test_logs_of_every_step(cli, client, shape):
    words = "A message with unicode: 年"
    run = client.Run(f"{SHAPES[shape]}/" + cli.run(shape, env=plan(f"* out {words} @task", f"* err {words}")))
    for step in run:
        for task in step:
            assert task.stdout == f"{words} {task.id}\n" and task.stderr == f"{words}\n"


def test_320_000_lines(cli, client):
    """32 tasks print 5000 lines each on both streams; a tenth of it with sanitizers."""
    count = 500 if SANITIZED else 5000
    items = ",".join(map(str, range(32)))
    run_id = cli.run("small_foreach", "--no-progress", "--items", items, env=plan(f"foreach_inner lines {count}"))
    for task in client.Run(f"SmallForeach/{run_id}")["foreach_inner"]:
        assert task.stdout == "".join(f"{task.id} stdout {i}\n" for i in range(count))
        assert task.stderr == "".join(f"{task.id} stderr {i}\n" for i in range(count))


def test_tags_change(cli, client):
    from metaflow.exception import MetaflowTaggingError

    run_id = cli.run("linear", "--tag", "first")
    run = client.Run(f"Linear/{run_id}")
    (system_tag,) = [tag for tag in run.system_tags if tag.startswith("user:")]
    user_tags = lambda: client.Run(run.pathspec).user_tags  # noqa: E731
    run.add_tags(["tag_along", system_tag])
    assert user_tags() == {"first", "tag_along"}
    with pytest.raises(MetaflowTaggingError):
        run.remove_tags(["tag_along", system_tag])
    assert user_tags() == {"first", "tag_along"}
    run.replace_tags(["tag_along", "first"], ["first", "新想法"])
    assert user_tags() == {"first", "新想法"}
    for wrong in ("", "a" * 600):
        with pytest.raises(MetaflowTaggingError):
            run.add_tag(wrong)
        assert cli("linear", "tag", "add", "--run-id", run_id, wrong).status == 1
    assert cli("linear", "tag", "replace", "--run-id", run_id, "--remove", "新想法", "--add", "FeatEng1").status == 0
    assert user_tags() == {"first", "FeatEng1"}
    run = client.Run(run.pathspec)
    assert run.end_task.tags == run.tags == run["start"].task["data"].tags
    assert list(client.Flow("Linear").runs("not a tag", "first")) == []


@both
@pytest.mark.parametrize(
    "options, branch, kind",
    [([], "user.tester", "user"), (["--branch", "b_1"], "test.b_1", "test"), (["--production"], "prod", "production"),
     (["--production", "--branch", "b_1"], "prod.b_1", "production")],
)  # fmt: skip
def test_branches_of_a_project(cli, client, shape, options, branch, kind):
    flow = SHAPES[shape]
    result = cli(cli.path(shape), *options, "run")
    assert result.status == 0 and f"Project: shapes, Branch: {branch}\n" in result.err, result
    run = client.Flow(flow).latest_run
    assert {"project:shapes", f"project_branch:{branch}"} <= run.system_tags
    for step in run:
        for task in step:
            assert task["belongs"].data == ["shapes", branch, f"shapes.{branch}.{flow}", kind]


def test_branch_by_the_environment(cli, client):
    run_id, _ = cli.fail("linear", env={"METAFLOW_BRANCH": "b", "METAFLOW_PRODUCTION": "True", **plan("a throw")})
    assert "project_branch:prod.b" in client.Run(f"Linear/{run_id}").system_tags
    debugged = cli("linear", "debug", f"{run_id}/a")  # where nothing tells it to throw
    assert debugged.status == 0 and "prod.b" in debugged.out + debugged.err, debugged
    # resume says anew where it belongs.
    resumed, _ = cli.resume("linear", env={"METAFLOW_BRANCH": "c"})
    run = client.Run(f"Linear/{resumed}")
    assert "project_branch:test.c" in run.system_tags and "project_branch:prod.b" not in run.system_tags
    assert run["start"].task["belongs"].data[1] == "prod.b" and run["end"].task["belongs"].data[1] == "test.c"


@pytest.mark.parametrize("branch, words", [("B", "must contain only lowercase"), ("a-b", "must contain only"), ("b" * 129, "Branch name is too long")])
def test_names_that_no_branch_can_have(cli, branch, words):
    result = cli("linear", "--branch", branch, "run")
    assert result.status == 1 and words in result.err, result


def test_options_of_a_flow_without_a_project(cli):
    assert cli("sweep", "--branch", "b", "run").status == 2
    assert "--branch" not in cli("sweep", "--help").out and "--production" in cli("linear", "--help").out


def test_run_id_file_is_there_before_the_first_task(cli, client):
    id_file = cli.directory / "run-id"
    run_id, _ = cli.fail("linear", env=plan(f"start check_run_id {id_file}", "start throw on purpose"))
    assert client.Run(f"Linear/{run_id}")["start"].task.exception.exception == "on purpose"
    resumed_file = cli.directory / "resumed-id"
    resumed, _ = cli.resume("linear", env=plan(f"start check_run_id {resumed_file}"))
    assert client.Run(f"Linear/{resumed}").successful and resumed != run_id
