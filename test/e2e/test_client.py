"""A run through Metaflow's own client: identity, times, tags, namespaces, metadata, parameters, constants, attempts."""

import datetime
import json
import time

import pytest


@pytest.fixture
def context(cli, client):
    return client.Run("Context/" + cli.run("context", "--zeta", 2, "--tag", "one tag", "--tag", "刺身"))


def seen(run):
    """What mf::current() told each task, by the task."""
    return {task: task.data.seen for step in run for task in step}


def test_current_identifies_the_task(cli, context):
    for task, current in seen(context).items():
        assert current["pathspec"] == task.pathspec
        assert [current["flow_name"], current["run_id"], current["step_name"], current["task_id"]] == task.path_components
        assert current["retry_count"] == 0
        assert current["origin_run_id"] == ""
        assert current["username"] == "tester"
        assert current["name_space"] == "user:tester"
        assert current["tags"] == ["one tag", "刺身"]
        assert current["parameter_names"] == ["zeta", "alpha"]
        assert current["cpus"] >= 1
    assert all(task.data.seen["cpus"] == 1 for task in context["right"])  # resources{.cpu = 1}


def test_current_tells_the_foreach_frames(context):
    for task, current in seen(context).items():
        stack = [[f.step, f.var, f.num_splits, f.index, f.value] for f in task["_foreach_stack"].data]
        assert [list(frame.values()) for frame in current["frames"]] == stack
        assert current["index"] == task.index == (stack[-1][3] if stack else None)
    inner = sorted(context["inner"], key=lambda t: [f.index for f in t["_foreach_stack"].data])
    frames = [[(f.value, f.index, f.num_splits) for f in task["_foreach_stack"].data] for task in inner]
    assert frames[0] == [("a", 0, 3), ("(1, 'a1')", 0, 2)]
    assert frames[5] == [("c", 2, 3), ("(2, 'a rather long item, wi...", 1, 2)]
    assert [step.id for step in context if step.task.index is None][::-1] == [
        "start", "left", "right", "join_letters", "join_sides", "repeat", "end"]  # fmt: skip


def test_items_of_inner_and_outer_foreachs(context):
    for task in context["inner_next"]:
        outer, inner = [frame.index for frame in task["_foreach_stack"].data]
        letter = "abc"[outer]
        assert task.data.item_of_outer == task.data.item_of_letters == letter
        assert task.data.item_of_numbers == [
            (1, letter + "1"),
            (2, "a rather long item, with more than thirty characters"),
        ][inner]
    # After the inner foreach is joined, the innermost item is that of the outer one.
    assert sorted(task.data.item_of_letters for task in context["join_inner"]) == ["a", "b", "c"]


def test_namespace_option_changes_what_steps_see(cli, client):
    run = client.Run("Context/" + cli.run("context", "--namespace", "user:joe"))
    assert run["start"].task.data.seen["name_space"] == "user:joe"
    assert "user:tester" in run.system_tags and "user:joe" not in run.tags
    run = client.Run("Context/" + cli.run("context", "--namespace="))
    assert run["start"].task.data.seen["name_space"] == ""


def test_tags(cli, client, context):
    assert context.user_tags == {"one tag", "刺身"}
    assert {"user:tester", "runtime:dev", "language:c++"} <= context.system_tags
    assert len([tag for tag in context.system_tags if tag.startswith("metaflow_version:")]) == 1
    assert context.tags == context.user_tags | context.system_tags
    for step in context:
        assert step.tags == context.tags and all(task.tags == context.tags for task in step)
    assert context["end"].task["seen"].tags == context.tags
    # The client writes tags; both sides read them.
    context.add_tag("from Python")
    context.remove_tag("one tag")
    assert cli("context", "--quiet", "tag", "list", "--flat", "--hide-system-tags", context.id).out.splitlines() == [
        "from Python",
        "刺身",
    ]
    assert client.Run(context.pathspec)["end"].task.user_tags == {"from Python", "刺身"}
    assert cli("context", "tag", "add", "--run-id", context.id, "from C++").status == 0
    assert client.Run(context.pathspec).user_tags == {"from Python", "from C++", "刺身"}


def test_runs_with_a_tag(cli, client, context):
    other = cli.run("context", "--tag", "other")
    assert [run.id for run in client.Flow("Context").runs("one tag")] == [context.id]
    assert [run.id for run in client.Flow("Context").runs("user:tester")] == [other, context.id]
    assert [task.index for task in context["fan"].tasks("one tag")] == [2, 1, 0]


def test_namespaces(cli, client, context):
    client.namespace("user:tester")
    assert client.Run(context.pathspec).successful
    assert client.default_namespace() == "user:tester"
    client.namespace("one tag")
    assert client.Flow("Context").latest_run.id == context.id
    client.namespace("user:joe")
    with pytest.raises(Exception, match="namespace"):
        client.Run(context.pathspec)
    with pytest.raises(Exception, match="namespace"):
        client.Flow("Context")


def test_times(cli, client):
    before = datetime.datetime.now()
    run_id = cli.run("context")
    after = datetime.datetime.now()
    run = client.Run(f"Context/{run_id}")
    steps = list(run)[::-1]
    assert before <= run.created_at <= steps[0].created_at
    assert [s.created_at for s in steps] == sorted({s.created_at for s in steps})
    for step in steps:
        tasks = list(step)[::-1]
        assert [int(task.id) for task in tasks] == sorted(int(task.id) for task in tasks)
        assert [task.created_at for task in tasks] == sorted({task.created_at for task in tasks})
        for task in tasks:
            assert step.created_at <= task.created_at <= task.finished_at <= after
            if step.id != "repeat":  # the client calls all iterations parents of each other
                assert all(parent.finished_at <= task.created_at for parent in task.parent_tasks)
        # The step is finished when the newest task is, says the client.
        assert step.finished_at == max(task.finished_at for task in tasks)
    assert run.finished_at == run.end_task.finished_at


def test_whole_run(client, context):
    assert context.successful is True and context.finished is True
    assert context.end_task.pathspec.startswith(context.pathspec + "/end/")
    assert context.data.answer == 42
    assert context.id in [run.id for run in client.Flow("Context")]
    assert [flow.id for flow in client.Metaflow()] == ["Context"]
    assert context.parent.pathspec == "Context"
    assert context["end"].task.parent.pathspec == context["end"].pathspec
    assert context.code is None and context.trigger is None
    assert all(task.successful and task.finished and task.exception is None for step in context for task in step)


def test_parameters_and_constants(context):
    parameters = context["_parameters"].task
    assert parameters.id == "0"
    assert parameters.data.zeta == 2 and parameters.data.alpha == "a" and parameters.data.answer == 42
    assert "letters" not in parameters
    assert parameters.metadata_dict["start_step"] == "start" and parameters.metadata_dict["end_step"] == "end"
    graph = parameters["_graph_info"].data
    assert graph["parameters"] == [{"name": "zeta", "type": "Parameter"}, {"name": "alpha", "type": "Parameter"}]
    assert graph["constants"] == [{"name": "answer", "type": "int"}]
    for step in context:
        for task in step:
            for name in ("zeta", "alpha", "answer"):
                assert task[name]._object["sha"] == parameters[name]._object["sha"]
            assert task["_graph_info"]._object["sha"] == parameters["_graph_info"]._object["sha"]


@pytest.mark.parametrize("size", [17_000, 40_000])
def test_long_texts_of_decorators_are_stored_as_they_are(cli, client, size):
    variables = {"COLOUR": "red " * (size // 4), "SHAPE": "round", "N" * size: ""}
    run = client.Run("Surroundings/" + cli.run("surroundings", "--with", "environment:vars=" + json.dumps(variables)))
    (environment,) = run["_parameters"].task["_graph_info"].data["steps"]["start"]["decorators"]
    assert environment["attributes"]["vars"] == dict.fromkeys(variables, "***"), "everybody can read this"
    assert run["start"].task.data.variables["COLOUR"] == variables["COLOUR"]


def test_metadata_of_a_task(cli, context):
    task = context["end"].task
    assert task.metadata_dict["ds-type"] == "local"
    assert task.metadata_dict["ds-root"] == str(cli.directory / ".metaflow")
    assert task.metadata_dict["attempt-done"] == "0"
    assert all(entry.task.pathspec == task.pathspec for entry in task.metadata)
    assert abs(task.metadata[0].created_at / 1000 - time.time()) < 100
    assert task.runtime_name == "dev"
    assert task.current_attempt == 0
    assert task.origin_pathspec is None


def test_artifacts(cli, client, context):
    task = context["start"].task
    artifact = task["letters"]
    assert artifact.data == ["a", "b", "c"]
    assert artifact.size == (cli.directory / ".metaflow/Context/data" / artifact.sha[:2] / artifact.sha).stat().st_size
    assert artifact.pathspec == f"{task.pathspec}/letters"
    assert artifact.sha == artifact._object["sha"] and len(artifact.sha) == 40
    assert artifact.created_at.replace(microsecond=0) <= task.finished_at
    assert client.DataArtifact(artifact.pathspec).data == ["a", "b", "c"]
    names = {"zeta", "alpha", "answer", "letters", "numbers", "seen", "item_of_outer", "item_of_letters",
             "item_of_numbers", "rounds", "enough", "name"}  # fmt: skip
    assert {a.id for a in task} == set(task.artifacts._fields) == names


def test_one_attempt_of_a_task(client, context):
    task = client.Task(context["start"].task.pathspec, attempt=0)
    assert task.successful and task.data.answer == 42 and task["letters"].data == ["a", "b", "c"]
    assert task["letters"].size == context["start"].task["letters"].size
    assert task.metadata_dict["ds-type"] == "local"
    missing = client.Task(context["start"].task.pathspec, attempt=1)
    assert list(missing.metadata_dict) == []


def test_what_is_not_there(client, context):
    from metaflow.exception import MetaflowNotFound

    for missing in ("Context/1", f"{context.pathspec}/nope", f"{context.pathspec}/start/99"):
        with pytest.raises(MetaflowNotFound):
            {2: client.Run, 3: client.Step, 4: client.Task}[len(missing.split("/"))](missing)
    with pytest.raises(KeyError):
        context["start"].task["nope"]
    with pytest.raises(MetaflowNotFound):
        client.Flow("Nope")
