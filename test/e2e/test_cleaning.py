"""runs, rm and gc: what is listed, and that the official client reads everything that is left."""

import json
import os

from shapes import plan

DAY = 86_400_000_000  # microseconds
FLOW = "Linear"


def age(cli, days):
    """As if all values had been written, and all passes been made, so many days earlier."""
    root = cli.directory / ".metaflow" / FLOW
    for file in (root / "data").rglob("*"):
        then = file.stat().st_mtime - days * 86_400
        os.utime(file, (then, then))
    record = root / "_meta" / "unreferenced.json"
    if record.exists():
        text = json.loads(record.read_text())
        text["since"] = [[since - days * DAY, keys] for since, keys in text["since"]]
        record.write_text(json.dumps(text))


def keys(cli):
    return {file.name for file in (cli.directory / ".metaflow" / FLOW / "data").rglob("*") if not file.name.endswith("_meta")}


def values_of(client, run):
    return {task.pathspec: ({artifact.id: artifact.data for artifact in task if artifact.id != "_graph_info"}, task.stdout) for step in client.Run(f"{FLOW}/{run}") for task in step}


def test_the_client_reads_everything_that_is_left(cli, client):
    removed = cli.run("linear", "--tag", "old", env=plan("* set_data only of the removed run"))
    kept = cli.run("linear", env=plan("* set_data of the kept run"))
    python = cli.run_python("linear", env=plan("* set_data of Python"))
    origin, _ = cli.fail("linear", env=plan("a throw on purpose", "* set_data of the origin"))
    resumed, _ = cli.resume("linear")
    left = (kept, python, origin, resumed)
    before = {run: values_of(client, run) for run in left}

    listed = json.loads(cli("linear", "runs", "--json").out)
    assert listed["version"] == 1 and not listed["more"]
    assert [(run["run"], run["state"]) for run in listed["runs"]] == [
        (resumed, "done"), (origin, "failed"), (python, "done"), (kept, "done"), (removed, "done"),
    ]  # fmt: skip
    assert listed["runs"][0]["origin"] == origin

    refused = cli("linear", "rm", "latest-failed")
    assert refused.status == 1 and f"run {resumed} resumed it" in refused.err and f"rm {origin} {resumed}" in refused.err

    dry = cli("linear", "gc", "--tag", "old", "--dry-run")
    assert f"Would remove {FLOW}/{removed}\n" in dry.out and values_of(client, removed), dry
    first = cli("linear", "gc", "--tag", "old")
    assert f"Removed {FLOW}/{removed}\n" in first.out and "Removed 0 values" in first.out, first
    age(cli, 2)
    all_keys = keys(cli)
    second = cli("linear", "gc")
    assert second.status == 0 and keys(cli) < all_keys, second

    assert {run.id for run in client.Flow(FLOW)} == set(left)
    assert {run: values_of(client, run) for run in left} == before
    client.Run(f"{FLOW}/{resumed}").successful
    assert cli("linear", "rm", origin, resumed, "--no-gc").status == 0
    assert {run.id for run in client.Flow(FLOW)} == {kept, python}
    assert (cli.directory / ".metaflow" / FLOW / "latest_run").read_text() == python


def test_a_damaged_journal_is_reported(cli):
    run = cli.run("linear")
    journal = cli.directory / ".metaflow" / FLOW / run / "_meta" / "journal.jsonl"
    lines = journal.read_bytes().split(b"\n")
    lines[2] = bytes(len(lines[2]))  # a power loss
    journal.write_bytes(b"\n".join(lines))
    status = cli("linear", "status", run)
    assert "The journal is damaged (1 line)" in status.out, status
    assert json.loads(cli("linear", "status", run, "--json").out)["damaged_lines"] == 1
    listed = cli("linear", "runs")
    assert f"The journal of run {run} is damaged" in listed.err, listed


def test_one_damaged_run_hides_no_other(cli):
    runs = [cli.run("linear") for _ in range(2)]
    record = cli.directory / ".metaflow" / FLOW / runs[0] / "_meta" / "_self.json"
    text = record.read_text()[:20]
    record.unlink()  # it may be linked to others
    record.write_text(text)
    listed = cli("linear", "runs")
    assert listed.status == 0 and runs[1] in listed.out and f"Skipping run {runs[0]}: " in listed.err, listed
    assert runs[1] in cli("linear", "gc", "--older-than", "0m").out and record.exists()
