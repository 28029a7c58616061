"""The store fails: at the first call, at the second, ... of every kind of operation, with every error that is likely. Each time it is said
plainly, readers understand what is left, and resume completes the run. docs/failure-points.md describes how it is done."""

import collections
import errno
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest
from conftest import SANITIZED, Cli
from disturbances import scratch
from snapshots import difference, look_at, snapshot, use_store

POINTS = ["create", "write", "publish", "replace", "link", "append", "mkdir", "open", "read", "examine", "list", "sync", "start"]
# In turn, from call to call: what is done does not depend on which of them it is.
ERRORS = ["ENOSPC", "EIO", "EMFILE", "EROFS"]
# Where the operation is one that need not succeed.
HARMLESS = {"start", "link", "sync"}
LOOKS = {"open", "read", "examine", "list"}  # at the limits of the machine, at descendants: the scheduler can do without
SAMPLES = 4 if SANITIZED else 7  # of the calls of one point, in the scheduler; of a step's tasks there are few
FLOW = ("sweep", "Sweep", "--n", 2)


@pytest.fixture
def place():
    directory = scratch("failures")
    yield directory
    shutil.rmtree(directory)


class Place(Cli):
    """A directory whose store is made anew for each failure."""

    def fresh(self):
        shutil.rmtree(self.directory)
        self.directory.mkdir()

    def store(self, flow=FLOW[1]):
        return self.directory / ".metaflow" / flow

    def run_flow(self, env=None, *more):
        return self(FLOW[0], "run", *FLOW[2:], *more, env=env)

    def whole(self, flow=FLOW[1]):
        run = use_store(self.directory).Flow(flow).latest_run
        assert run.successful
        return snapshot(run)

    def complete(self):
        """Without the failure: resume, or run if there is nothing yet to resume."""
        begun = (self.store() / "latest_run").exists()
        result = self(FLOW[0], "resume") if begun else self.run_flow()
        assert result.status == 0, result
        return result


def count_operations(cli, *command):
    """{(where, point): the most calls in one process}"""
    log = cli.directory / "operations"
    log.unlink(missing_ok=True)
    result = cli(*command, env={"METAFLOW_FAIL_AT": "*:none:1:sticky", "METAFLOW_FAIL_LOG": str(log)})
    assert result.status == 0, result
    counted = collections.Counter(tuple(line.split()) for line in log.read_text().splitlines())
    log.unlink()
    return counted


def sampled(count):
    """1, 2, 3, the last, one more, and some between."""
    if count == 0:
        return []
    step = max(1, count // max(1, SAMPLES - 4))
    return sorted({1, 2, 3, *range(1 + step, count, step), count, count + 1} - {n for n in (2, 3) if n > count + 1})


def check_words(result, error, detail):
    said = result.out + result.err
    assert result.status == 1, (detail, result)
    for bad in ("Internal error", "terminate called", "what():", "std::exception", "SIGABRT", "segmentation fault"):
        assert bad not in said, (detail, bad, result)
    reason = os.strerror(getattr(errno, error))
    assert reason in said, (detail, result)
    assert any(headline in result.err for headline in ("Data store error:", "Step failure:", "The configuration cannot be read:")), (detail, result)
    where = [line for line in said.splitlines() if reason in line]
    assert any("Cannot " in line and "'" in line for line in where), (detail, where)


def check_left(cli, detail):
    """What readers make of the store."""
    store = cli.store()
    if not (store / "_meta" / "_self.json").exists():
        return
    client = use_store(cli.directory)
    for run in client.Flow(FLOW[1]):
        look_at(run)


@pytest.mark.parametrize("where", ["scheduler", "start", "work", "join"])
def test_every_operation_fails_once(place, where):
    cli = Place(place)
    errors = itertools.cycle(ERRORS)
    counted = count_operations(cli, FLOW[0], "run", *FLOW[2:])
    reference = cli.whole()
    failures = 0
    for point in POINTS:
        calls = counted[where, point]
        if calls == 0:
            continue
        for number in sampled(calls):
            error = next(errors)
            detail = f"{where}.{point}:{error}:{number}"
            cli.fresh()
            log = place / "hits"
            result = cli.run_flow({"METAFLOW_FAIL_AT": detail, "METAFLOW_FAIL_LOG": str(log)})
            if not log.exists():  # the call before was the last
                assert result.status == 0, (detail, result)
                continue
            if result.status != 0:
                check_words(result, error, detail)
                check_left(cli, detail)
                cli.complete()
                failures += 1
            else:
                assert point in HARMLESS or where == "scheduler" and (point in LOOKS or not released(cli)), (detail, result)
            assert not difference(cli.whole(), reference), detail
    assert failures > 0


@pytest.mark.parametrize("where", ["scheduler", "task"])
def test_from_some_operation_on_every_one_fails(place, where):
    cli = Place(place)
    errors = itertools.cycle(ERRORS)
    counted = count_operations(cli, FLOW[0], "run", *FLOW[2:])
    reference = cli.whole()
    for point in ("create", "write", "publish", "append", "*"):
        calls = sum(count for (at, name), count in counted.items() if (at == "scheduler") == (where == "scheduler") and point in ("*", name))
        if where == "task":
            calls = calls // 5
        for number in sampled(calls)[:-1]:
            error = next(errors)
            detail = f"{where}.{point}:{error}:{number}:sticky"
            cli.fresh()
            log = place / "hits"
            result = cli.run_flow({"METAFLOW_FAIL_AT": detail, "METAFLOW_FAIL_LOG": str(log)})
            if result.status != 0:
                check_words(result, error, detail)
                check_left(cli, detail)
                cli.complete()
            else:
                # The last operations are those that need not succeed.
                assert not log.exists() or where == "scheduler", (detail, result)
            assert not difference(cli.whole(), reference), detail


def test_resume_fails(place):
    """Also resume can be resumed."""
    cli = Place(place)
    errors = itertools.cycle(ERRORS)
    cli.run_flow()
    reference = cli.whole()
    counted = count_operations(cli, FLOW[0], "resume")
    origin = (cli.store() / "latest_run").read_text()
    for point in ("create", "write", "publish", "replace", "append", "mkdir", "open", "examine"):
        for number in sampled(counted["scheduler", point]):
            error = next(errors)
            detail = f"scheduler.{point}:{error}:{number}"
            result = cli(FLOW[0], "resume", "--origin-run-id", origin, env={"METAFLOW_FAIL_AT": detail})
            if result.status != 0:
                check_words(result, error, detail)
                result = cli(FLOW[0], "resume", "--origin-run-id", origin)
                assert result.status == 0, (detail, result)
                assert not difference(cli.whole(), reference), detail
    check_left(cli, "")


@pytest.mark.parametrize("error", ["EIO", "EMFILE"])
def test_a_large_value_cannot_be_mapped(place, error):
    """It is by s06, and by end."""
    cli = Place(place)
    result = cli("chain", "run", env={"METAFLOW_FAIL_AT": f"task.map:{error}"})
    check_words(result, error, error)
    assert "Step s06 (task-id 7) failed." in result.err, result
    assert "Cannot map '" in result.out
    assert cli("chain", "resume").status == 0
    run = use_store(cli.directory).Flow("Chain").latest_run
    assert run.successful and run["s06"].task.data.array.sum() == 1


@pytest.mark.skipif(SANITIZED, reason="a kill -9 leaves nothing to a sanitizer")
@pytest.mark.parametrize("command", ["run", "resume"])
def test_killed_at_every_operation(place, command):
    """Between any two files that the scheduler writes the official client understands what there is."""
    cli = Place(place)
    cli.run_flow()
    words = [FLOW[0], "resume", "--origin-run-id", (cli.store() / "latest_run").read_text()] if command == "resume" else [FLOW[0], "run", *FLOW[2:]]
    before = cli.directory / "before"
    shutil.copytree(cli.directory / ".metaflow", before)
    seen = collections.Counter()
    for number in itertools.count(1):
        shutil.rmtree(cli.directory / ".metaflow")
        shutil.copytree(before, cli.directory / ".metaflow")
        if cli(*words, env={"METAFLOW_FAIL_AT": f"scheduler.*:KILL:{number}"}).status == 0:
            break  # it has fewer
        client = use_store(cli.directory)
        for run in cli.store().iterdir():
            if not (before / FLOW[1] / run.name).exists() and (run / "_meta" / "_self.json").exists():
                seen[look_at(client.Run(f"{FLOW[1]}/{run.name}"))] += 1
    assert len(seen) > 3, seen


def released(cli):
    """Whether the scheduler could give its lease back: the one thing it writes that need not be there."""
    (lease,) = (cli.store() / (cli.store() / "latest_run").read_text() / "_meta").glob("lease_execute.*")
    return json.loads(lease.read_text())["released"]


# --- what becomes of the store itself


def pause_at(cli, words):
    """A run that has come to these words, and waits."""
    process = subprocess.Popen(
        [cli.path("misbehave"), "run", "--how", "sleep"], cwd=cli.directory, env=cli.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    seen = ""
    for line in process.stdout:
        seen += line
        if words in line:
            return process
    raise AssertionError(seen + process.stderr.read())


def end_task(cli, process):
    """The task that sleeps is killed: the scheduler has to write that down."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.readlink(entry / "cwd").startswith(str(cli.directory)) and b"\0step\0" in (entry / "cmdline").read_bytes():
                    os.kill(int(entry.name), 9)
                    return
            except OSError:
                pass
    raise AssertionError("no task")


def test_the_store_vanishes(cli):
    process = pause_at(cli, "sleeping")
    (cli.directory / ".metaflow").rename(cli.directory / "elsewhere")
    end_task(cli, process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Internal error" not in err and ("Data store error:" in err or "Step failure:" in err), out + err
    shutil.rmtree(cli.directory / ".metaflow", ignore_errors=True)
    (cli.directory / "elsewhere").rename(cli.directory / ".metaflow")
    result = cli("misbehave", "status")
    assert result.status == 0, result


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_the_store_becomes_read_only(cli):
    process = pause_at(cli, "sleeping")
    for path in [cli.directory / ".metaflow", *(cli.directory / ".metaflow").rglob("*")]:
        if path.is_dir():
            path.chmod(0o500)
    end_task(cli, process)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "Permission denied" in out + err, out + err
    for path in [cli.directory / ".metaflow", *(cli.directory / ".metaflow").rglob("*")]:
        if path.is_dir():
            path.chmod(0o700)


# --- what a power loss leaves


def task_of(cli, run, step):
    return sorted((cli.directory / ".metaflow" / "Sweep" / run / step).glob("[0-9]*"))[0]


def empty_blob(cli, run, step):
    key = json.loads((task_of(cli, run, step) / "0.data.json").read_text())["objects"]["result" if step == "work" else "best"]
    (cli.directory / ".metaflow/Sweep/data" / key[:2] / key).write_bytes(b"")


def file_of_task(name, content):
    def damage(cli, run, step):
        path = task_of(cli, run, step) / name
        path.unlink()  # not what is linked to it
        if content is not None:
            path.write_bytes(content)

    return damage


POWER_LOSS = {
    "an empty blob": empty_blob,
    "DONE.lock without data.json": file_of_task("0.data.json", None),
    "an empty data.json": file_of_task("0.data.json", b""),
    "half a data.json": file_of_task("0.data.json", b'{"datastore": "local", "ver'),
    "no DONE.lock": file_of_task("0.DONE.lock", None),
    "no attempt.json": file_of_task("0.attempt.json", None),
}


@pytest.mark.parametrize("step", ["work", "join"])
@pytest.mark.parametrize("damage", POWER_LOSS.values(), ids=POWER_LOSS)
def test_a_task_that_a_power_loss_damaged_is_executed_again(cli, client, damage, step):
    run = cli.run("sweep", "--n", 3)
    whole = snapshot(client.Run(f"Sweep/{run}"))
    damage(cli, run, step)
    result = cli("sweep", "resume")
    assert result.status == 0, result
    assert any(f"[{step}/" in line and "Task finished successfully." in line for line in result.lines), result
    cloned = sum("Cloning previously run task" in line for line in result.lines)
    assert cloned == (3 if step == "work" else 4) or damage is empty_blob, result  # others may have had the same value
    assert not difference(snapshot(client.Flow("Sweep").latest_run), whole)


@pytest.mark.parametrize("content", [b"", b"\xff" * 40])
def test_a_lease_that_a_power_loss_damaged_holds_nobody_up(cli, content):
    run = cli.run("sweep", "--n", 3)
    (cli.directory / ".metaflow/Sweep" / run / "_meta/lease_execute.0.json").write_bytes(content)
    result = cli("sweep", "resume", "--take-over")
    assert result.status == 0 and "Taken over from an unknown process" in result.err, result
    assert cli("sweep", "status", run).status == 0


@pytest.mark.parametrize("cut", [0, 1, 10, 200, 500, -1, -20])
def test_a_journal_that_a_power_loss_cut_off(cli, cut):
    run = cli.run("sweep", "--n", 3)
    path = cli.directory / ".metaflow/Sweep" / run / "_meta/journal.jsonl"
    path.write_bytes(path.read_bytes()[:cut])
    result = cli("sweep", "resume")  # status and timeline: test_watching
    assert result.status == 0, result


def test_a_run_whose_parameters_were_lost_says_so(cli):
    run = cli.run("sweep", "--n", 3)
    (task,) = (cli.directory / ".metaflow/Sweep" / run / "_parameters").glob("[0-9]*")
    (task / "0.data.json").unlink()
    result = cli("sweep", "resume")
    assert result.status == 1 and "was stopped before its parameters were stored" in result.err, result
