"""Runs whose objects are damaged are resumed: what cannot be read is executed again."""

import re

import pytest
from shapes import is_clone, plan


# --- damage


def data_json(cli, flow, task):
    return cli.directory / f".metaflow/{flow}" / "/".join(task.path_components[1:]) / f"{task.current_attempt}.data.json"


def blob(cli, task, artifact):
    sha = task[artifact].sha
    return cli.directory / ".metaflow" / task.path_components[0] / "data" / sha[:2] / sha


@pytest.mark.parametrize("damage", ["cut off", "missing", "empty"])
def test_a_task_with_a_damaged_blob_is_executed_again(cli, client, damage):
    origin_id, _ = cli.fail("small_foreach", env=plan("foreach_inner set_data of item @task", "foreach_join throw x"))
    origin = client.Run(f"SmallForeach/{origin_id}")
    (task,) = [task for task in origin["foreach_inner"] if task.index == 1]
    path = blob(cli, task, "data")
    if damage == "missing":
        path.unlink()
    else:
        content = path.read_bytes()
        path.unlink()  # it may be a link
        path.write_bytes(content[:-3] if damage == "cut off" else b"")
    resumed_id, result = cli.resume("small_foreach", env=plan("foreach_inner set_data anew"))
    words = rf"Task {origin_id}/foreach_inner/{task.id} is rerun instead of cloned: .*'data'"
    assert re.search(words, result.out), result
    resumed = client.Run(f"SmallForeach/{resumed_id}")
    assert resumed.successful
    assert {t.index: t["data"].data for t in resumed["foreach_inner"]} == {
        0: "of item 3", 1: "anew", 2: "of item 5"}  # fmt: skip


@pytest.mark.parametrize("content", ["", "{", "[" * 100_000])
def test_a_task_with_a_damaged_record_is_executed_again(cli, client, content):
    origin_id, _ = cli.fail("linear", env=plan("end throw x"))
    path = data_json(cli, "Linear", client.Run(f"Linear/{origin_id}")["a"].task)
    path.unlink()
    path.write_text(content)
    resumed_id, _ = cli.resume("linear")
    resumed = client.Run(f"Linear/{resumed_id}")
    assert resumed.successful and is_clone(resumed["start"].task) and not is_clone(resumed["a"].task)


def test_a_run_without_parameters(cli):
    origin_id, _ = cli.fail("linear", env=plan("start throw x"))
    for lock in (cli.directory / f".metaflow/Linear/{origin_id}/_parameters").rglob("*.DONE.lock"):
        lock.unlink()
    result = cli("linear", "resume")
    assert result.status == 1
    assert f"Run {origin_id} was stopped before its parameters were stored" in result.err, result
