"""Graphs of every shape, through Metaflow's own client: order, lineage, indices, the artifacts of every task."""

import collections

from conftest import SANITIZED


def by_index(step):
    return sorted(step.tasks(), key=lambda task: task.index)


def steps_in_order(run):
    """The names of the steps, oldest first; the client lists the newest first."""
    return [step.id for step in run][::-1]


def execution_path(task):
    """'take:1,inner:0': which items of which foreachs the task is about."""
    return task.metadata_dict.get("foreach-execution-path", "")


def by_place(run):
    """The tasks of each step and execution path, oldest first: words that do not depend on task ids."""
    places = collections.defaultdict(list)
    for step in run:
        for task in sorted(step, key=lambda task: int(task.id)):
            places[place(task)].append(task)
    return places


def place(task):
    return task.path_components[2], execution_path(task)


def lineage(run):
    """Who follows whom."""

    def count(tasks):
        return collections.Counter(map(place, tasks))

    return (
        {at: [(t.index, count(t.parent_tasks), count(t.child_tasks)) for t in tasks] for at, tasks in by_place(run).items()},
        {step.id: ({s.id for s in step.parent_steps}, {s.id for s in step.child_steps}) for step in run},
    )


# What costs a file per task and says nothing new: docs/format.md. A task in Python has the facts about the machine twice.
LEFT_OUT = {"attempt", "attempt_ok", "origin-run-id", "foreach-stack", "runtime", "user", "metaflow_version", "script-name"}
OF_PYTHON = {"python_version", "git-info"}


def kinds_of_metadata(task):
    return {(entry.name, entry.type) for entry in task.metadata if entry.name not in OF_PYTHON}


def check_metadata(ours, theirs):
    our_parameters, their_parameters = (run["_parameters"].task for run in (ours, theirs))
    assert kinds_of_metadata(our_parameters) == kinds_of_metadata(their_parameters)
    for name in ("runtime", "user", "start_step", "end_step", "attempt-done"):
        assert our_parameters.metadata_dict[name] == their_parameters.metadata_dict[name]
    assert their_parameters.metadata_dict["script-name"].removesuffix(".py") == our_parameters.metadata_dict["script-name"].removesuffix(".py")
    our_tasks = by_place(ours)
    for at, tasks in by_place(theirs).items():
        assert kinds_of_metadata(our_tasks[at][0]) == {(name, kind) for name, kind in kinds_of_metadata(tasks[0]) if name not in LEFT_OUT}


def test_a_run_looks_like_that_of_the_same_flow_in_python(cli, client):
    """A foreach, a switch, a recursion and a static split inside each other."""
    ours = client.Run("Maze/" + cli.run("maze"))
    theirs = client.Run("Maze/" + cli.run_python("maze"))
    assert lineage(ours) == lineage(theirs)
    check_metadata(ours, theirs)
    our_tasks = by_place(ours)
    for at, their_tasks in by_place(theirs).items():
        for our_task, their_task in zip(our_tasks[at], their_tasks, strict=True):
            for artifact in their_task:
                if artifact.id not in ("handlers", "sums", "summary"):  # Python's inputs are in no certain order
                    assert our_task[artifact.id].data == artifact.data, (our_task, artifact)


def test_switch_recursion_and_splits_inside_a_foreach(cli, client):
    run = client.Run("Maze/" + cli.run("maze"))
    assert run.successful and run.finished
    assert {"start", "many", "one", "take", "even", "odd", "gather", "shrink", "split_again", "left", "right",
            "join_again", "join_items", "join_all", "end"} == set(steps_in_order(run))  # fmt: skip
    assert [task.data.parity for task in by_index(run["take"])] == ["odd", "even"]
    assert [task.index for task in run["odd"]] == [0]
    assert [task.index for task in run["even"]] == [1]
    # One task per iteration: one for the item 1, two for the item 2.
    iterations = collections.Counter(task.index for task in run["shrink"])
    assert iterations == {0: 1, 1: 2}
    second = sorted((t for t in run["shrink"] if t.index == 1), key=lambda t: int(t.id))
    assert [t.data.steps_taken for t in second] == [1, 2]
    assert [t.data.done for t in second] == [False, True]
    assert [t.data.both for t in by_index(run["join_again"])] == [110, 220]
    # A join is given its inputs in the order of the items, whichever way they came.
    assert run["join_items"].task.data.handlers == ["odd", "even"]
    assert run["join_items"].task.data.sums == [110, 220]
    assert run["join_all"].task.data.alone == 1
    assert run.data.summary == "even1"
    assert run.data.item == -1  # not merged: its initial value


def test_nested_foreach(cli, client):
    run = client.Run("Nested/" + cli.run("nested"))
    assert steps_in_order(run) == ["start", "load", "train", "join_models", "join_data_sets", "end"]
    scores = {"linear": 6.0, "tree": 4.0, "forest": 6.0}
    assert run.data.table == {"iris": scores, "wine": scores}
    trains = list(run["train"])
    assert len(trains) == 6
    for task in trains:
        outer, inner = [frame.index for frame in task["_foreach_stack"].data]
        assert task.index == inner
        assert task.data.data_set == ["iris", "wine"][outer]
        assert task.data.model == ["linear", "tree", "forest"][inner]
        assert execution_path(task) == f"load:{outer},train:{inner}"
        (parent,) = task.parent_tasks
        assert (parent.path_components[2], parent.index) == ("load", outer)
        (child,) = task.child_tasks
        assert (child.path_components[2], child.index) == ("join_models", outer)
    frames = [[tuple(frame) for frame in task["_foreach_stack"].data] for task in trains]
    assert sorted(frames)[-1] == [("load", "data_sets", 2, 1, "wine"), ("train", "models", 3, 2, "forest")]
    assert [task.index for task in by_index(run["join_models"])] == [0, 1]
    assert run["join_data_sets"].task.index is None
    assert len(list(run["join_data_sets"].task.parent_tasks)) == 2


def test_static_branches(cli, client):
    run = client.Run("Branches/" + cli.run("branches", "--text", "foo bar oo"))
    assert run.data.summary == "3 words, 4 times o"
    assert run.data.vowels == {"a": 1, "o": 4}
    assert sorted(step.id for step in run["start"].child_steps) == ["count_vowels", "count_words"]
    assert sorted(step.id for step in run["join"].parent_steps) == ["count_vowels", "count_words"]
    assert run["count_words"].task.data.vowels == {} and run["count_vowels"].task.data.words == 0
    assert run["end"].task.stdout == "3 words, 4 times o\n"


def test_switch_picks_the_next_step(cli, client):
    run = client.Run("Switch/" + cli.run("switch", "--x", 9, "--slow", "yes"))
    assert set(steps_in_order(run)) == {"start", "bisection", "end"}
    assert abs(run.data.root - 3) < 1e-3
    rounds = sorted(run["bisection"], key=lambda task: int(task.id))
    assert [task.data.iterations for task in rounds] == list(range(1, len(rounds) + 1))
    assert set(steps_in_order(client.Run("Switch/" + cli.run("switch")))) == {"start", "newton", "end"}


def test_foreach_over_every_kind_of_range(cli, client):
    data = client.Run("Ranges/" + cli.run("ranges", "--in_parameter", "4,5")).data
    assert data.of_vector == [{"x": 1, "label": "a"}, {"x": 2, "label": "b"}]
    assert data.of_array == [0.5, 1.5, 2.5]
    assert data.of_deque == [True, False]
    assert data.of_set == ["x", "y"]
    assert data.of_map == [("one", 1), ("two", 2)]
    assert data.of_numpy == [0.5, 0.25]
    assert data.of_lazy == ["l", "m"]
    assert data.of_parameter == [4, 5]
    assert data.of_constant == [[1, 2], [3]]


def test_values_in_the_frames_of_every_kind_of_range(cli, client):
    """What the UI and foreach_stack show: the label of the item, at most thirty characters."""
    run = client.Run("Ranges/" + cli.run("ranges"))

    def values(step):
        return [task["_foreach_stack"].data[0].value for task in by_index(run[step])]

    assert values("do_vector") == ["x=1, label=a", "x=2, label=b"]
    assert values("do_array") == ["0.5", "1.5", "2.5"]
    assert values("do_deque") == ["True", "False"]
    assert values("do_set") == ["x", "y"]
    assert values("do_map") == ["('one', 1)", "('two', 2)"]
    assert values("do_numpy") == ["0.5", "0.25"]
    assert values("do_constant") == ["2 numbers", "1 numbers"]  # mf::label


MANY = 300 if SANITIZED else 1200


def test_many_tasks_side_by_side(cli, client):
    run = client.Run("Wide/" + cli.run("wide", "--width", MANY, "--max-num-splits", MANY))
    assert run.successful
    assert run.data.values == list(range(MANY))[::-1]
    tasks = list(run["work"])
    assert len(tasks) == MANY
    # Newest first, as the client lists them: made in the order of the items.
    assert [task.index for task in tasks] == list(range(MANY))[::-1]
    assert [task.id for task in tasks] == [str(i) for i in range(MANY + 1, 1, -1)]
    assert all(task.data.value == MANY - 1 - task.index for task in tasks[::50])
    assert run["end"].task.stdout == f"{MANY} values\n"


def test_a_flow_of_one_step(cli, client):
    run = client.Run("Single/" + cli.run("single", "--x", 4))
    assert run.successful and run.finished
    assert steps_in_order(run) == ["compute"]
    assert run.end_task.pathspec == f"Single/{run.id}/compute/1"
    assert run.data.twice == 8.0
    assert list(run["compute"].parent_steps) == [] and list(run["compute"].child_steps) == []
    assert list(run["compute"].task.parent_tasks) == [] and list(run["compute"].task.child_tasks) == []


def test_a_long_chain(cli, client):
    run = client.Run("Chain/" + cli.run("chain"))
    names = ["start", *(f"s{i:02}" for i in range(1, 13)), "end"]
    assert steps_in_order(run) == names
    assert run.data.way == names[1:-1]
    for name, following in zip(names, names[1:]):
        assert [step.id for step in run[name].child_steps] == [following]
        assert [task.path_components[2] for task in run[name].task.child_tasks] == [following]
        assert [task.path_components[2] for task in run[following].task.parent_tasks] == [name]


def test_what_is_not_touched_is_stored_once(cli, client):
    """Lazy and Array that a step does not touch are passed on by reference; equal values are one blob."""
    run = client.Run("Chain/" + cli.run("chain"))

    def shas(artifact):
        return [step.task[artifact]._object["sha"] for step in list(run)[::-1]]

    assert len(set(shas("lazy"))) == 1
    assert len(set(shas("untouched"))) == 1
    array = shas("array")
    assert len(set(array)) == 2 and len(set(array[:6])) == 1 and len(set(array[6:])) == 1
    assert run["s05"].task.data.array.sum() == 0 and run["s06"].task.data.array.sum() == 1
    assert run.data.lazy == "z" * 2000
    assert run.data.note == "zzz1"
    blobs = {sha for step in run for artifact in step.task for sha in [artifact._object["sha"]]}
    files = [p.name for p in (cli.directory / ".metaflow/Chain/data").glob("*/*") if not p.name.endswith("_meta")]
    assert blobs <= set(files)
    # depth and way change in 13 steps each; everything else is the handful of values above and Metaflow's own.
    assert len(files) < 13 * 2 + 14 * 4 + 15
