"""What a join carries over by itself, and what inputs.merge() makes an error."""

import pytest

HOW = ["nothing", "all", "resolved", "include", "exclude", "include_conflict", "not_this"]

CARRIED = {
    "constant": "same",
    "before": "set in start",
    "by_left": "left",
    "by_right": "right",
    "by_both_alike": "both",
    "lazy_by_left": "left",
    "array_by_right": [7],
    "left_only": "left",
}


def how(name):
    return ["--how", HOW.index(name)]


def values(task):
    return {a.id: a.data.tolist() if hasattr(a.data, "tolist") else a.data for a in task if a.id not in ("how", "name")}


def test_what_only_one_branch_changed_is_carried_over(cli, client):
    run = client.Run("Merge/" + cli.run("merge"))
    # Conflicts start at their initial values.
    assert values(run["join"].task) == {**CARRIED, "conflict": "initial", "list_conflict": [], "array_conflict": []}
    assert values(run["end"].task) == values(run["join"].task)


def test_merge_after_the_conflicts_are_resolved(cli, client):
    run = client.Run("Merge/" + cli.run("merge", *how("resolved")))
    expected = {**CARRIED, "conflict": "leftright", "list_conflict": [2], "array_conflict": [2]}
    assert values(run["join"].task) == expected


def test_merge_of_what_is_included(cli, client):
    run = client.Run("Merge/" + cli.run("merge", *how("include")))
    task = values(run["join"].task)
    assert {name: task[name] for name in ("by_left", "lazy_by_left")} == {"by_left": "left", "lazy_by_left": "left"}
    # What is left out starts at its initial value; constants and parameters are always there.
    assert {name: task[name] for name in ("before", "by_right", "by_both_alike", "array_by_right", "constant")} == {
        "before": "set before the split",
        "by_right": "initial",
        "by_both_alike": "initial",
        "array_by_right": [],
        "constant": "same",
    }
    assert run["join"].task["how"].data == HOW.index("include")


def test_merge_without_what_is_excluded(cli, client):
    run = client.Run("Merge/" + cli.run("merge", *how("exclude")))
    expected = {**CARRIED, "by_right": "initial", "conflict": "initial", "list_conflict": [], "array_conflict": []}
    assert values(run["join"].task) == expected


@pytest.mark.parametrize(
    "name, kind, message",
    [
        (
            "all",
            "Unhandled artifacts in merge",
            "Step join cannot merge the following artifacts due to them having conflicting values:\n"
            "[array_conflict, conflict, list_conflict].\n"
            "To remedy this issue, be sure to explicitly set those artifacts (using array_conflict = ...) prior to "
            "calling merge, or leave them out with mf::exclude.",
        ),
        (
            "include_conflict",
            "Unhandled artifacts in merge",
            "Step join cannot merge the following artifacts due to them having conflicting values:\n"
            "[conflict].\n"
            "To remedy this issue, be sure to explicitly set those artifacts (using conflict = ...) prior to calling "
            "merge, or leave them out with mf::exclude.",
        ),
        (
            "not_this",
            "Invalid command",
            "inputs.merge() merges into the flow of the running join: inputs.merge(*this)",
        ),
    ],
)
def test_merge_errors(cli, client, name, kind, message):
    run_id, result = cli.fail("merge", *how(name))
    task = client.Run(f"Merge/{run_id}")["join"].task
    assert task.exception.type == kind
    assert task.exception.exception == message
    assert f"<flow Merge step join> failed:\n{kind}: {message}\n" in task.stderr


def test_what_is_carried_over_is_no_new_blob(cli, client):
    run = client.Run("Merge/" + cli.run("merge"))
    sha = lambda step, name: run[step].task[name]._object["sha"]  # noqa: E731
    assert sha("join", "lazy_by_left") == sha("left", "lazy_by_left") != sha("start", "lazy_by_left")
    assert sha("join", "array_by_right") == sha("right", "array_by_right") != sha("start", "array_by_right")
    assert sha("join", "before") == sha("start", "before")
    assert len({sha(step, "constant") for step in ("start", "left", "right", "join", "end")}) == 1


def test_a_transient_is_not_stored(cli, client):
    run = client.Run("Merge/" + cli.run("merge"))
    assert all("transient" not in step.task for step in run)
