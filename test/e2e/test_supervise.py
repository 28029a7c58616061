"""supervise: the parent of a task in a container. What it keeps, commits and reports, however the step ends."""

import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

TASK = "90"


class Attempt:
    """An attempt of the middle step of a run whose first step is done."""

    def __init__(self, cli, how, *words):
        # The run ends at this step, before it does anything.
        self.cli = cli
        self.run_id, _ = cli.fail("misbehave", "--how", how, *words, env={"METAFLOW_FAIL_AT": "middle.*:EIO:1:sticky"})
        self.directory = cli.directory / ".metaflow/Misbehave" / self.run_id / "middle" / TASK

    def words(self, *options, with_=()):
        return [
            *("supervise", *options, "--", "--quiet", "--datastore", "local", "--datastore-root", self.cli.directory / ".metaflow"),
            *(word for spec in with_ for word in ("--with", spec)),
            *("step", "middle", "--run-id", self.run_id, "--task-id", TASK, "--input-paths", f"{self.run_id}/start/1"),
            *("--retry-count", "0", "--max-user-code-retries", "0", "--namespace", "n"),
        ]

    def supervise(self, *options, with_=(), **more):
        return self.cli("misbehave", *self.words(*options, with_=with_), **more)

    def start(self, *options):
        """Returns when the step has said what it is about to do."""
        process = subprocess.Popen(
            [*map(str, [self.cli.path("misbehave"), *self.words(*options)])],
            cwd=self.cli.directory,
            env=self.cli.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout.readline().startswith("about to do: ")
        return process

    def file(self, name):
        return self.directory / f"0.{name}"

    @property
    def done(self):
        return self.file("DONE.lock").exists()

    @property
    def report(self):
        return json.loads(self.file("exit.json").read_text())

    def log(self, stream):
        file = self.file(f"task_{stream}.log")
        return file.read_text() if file.exists() else ""

    def processes(self):
        """What is left of it."""
        mark = f"METAFLOW_RUN_ID={self.run_id}".encode()
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(entry.name)
            except OSError:
                pass
        return found


def test_a_step_that_ends_well(cli):
    attempt = Attempt(cli, "well")
    result = attempt.supervise()
    assert result.status == 0 and result.out == "about to do: well\n", result
    assert attempt.done and attempt.file("attempt.json").exists()
    report = attempt.report
    assert report["stage"] == "commit" and report["committed"] and report["exited"] and report["exit_code"] == 0
    assert report["mem"] > 1_000_000 and report["cpu"] > 0 and report["began"] <= report["ended"]
    assert report["cause"] == ""
    assert "|task|" in attempt.log("stdout") and attempt.log("stdout").endswith("]about to do: well\n")
    assert cli("misbehave", "logs", f"{attempt.run_id}/middle/{TASK}").out == "about to do: well\n"


@pytest.mark.parametrize(
    "how, status, committed, cause",
    [
        ("throw", 1, True, "OwnException: boom"),
        ("exit3", 3, False, "exited with code 3"),
        ("exit0", 1, False, "Did it call exit()?"),
        ("abort", 134, False, "SIGABRT"),
        ("segv", 139, False, "segmentation fault"),
        ("kill", 137, False, "SIGKILL"),
        ("at_exit", 139, False, "segmentation fault"),
    ],
)
def test_a_step_that_fails(cli, how, status, committed, cause):
    attempt = Attempt(cli, how)
    result = attempt.supervise()
    assert result.status == status, result
    assert attempt.done == committed
    report = attempt.report
    assert report["stage"] == "step" and report["committed"] == committed
    assert cause in report["cause"]
    assert (report["exit_code"] if report["exited"] else 128 + report["signal"]) in (status, 0)
    assert f"about to do: {how}" in attempt.log("stdout")
    if not committed:
        assert cause in result.err, "the container's output shows it, too"


@pytest.mark.parametrize("how", ["grandchild", "daemon"])
def test_nothing_is_left(cli, how):
    attempt = Attempt(cli, how)
    result = attempt.supervise(timeout=30)  # the grandchild sleeps for 1000 seconds, and holds the pipes
    assert result.status == 0 and attempt.done, result
    assert attempt.processes() == []


def test_a_flood_is_kept_whole(cli):
    attempt = Attempt(cli, "flood")
    result = attempt.supervise()
    assert result.status == 0
    assert result.out.count("\n") == 1001 and result.err.count("\n") == 100
    assert attempt.log("stdout").count("\n") == 1001 and attempt.log("stderr").count("\n") == 100


def test_a_log_has_a_limit(cli):
    attempt = Attempt(cli, "flood")
    result = attempt.supervise("--max-log-size", "0")
    assert result.status == 0 and result.out.count("\n") == 1001
    assert attempt.log("stdout").endswith("[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]\n")


def test_a_long_log_where_tmpdir_is_none(cli):
    attempt = Attempt(cli, "flood", "--lines", "20000")
    result = attempt.supervise(env={"TMPDIR": "/proc/nowhere"})
    assert result.status == 0 and attempt.done and result.out.count("\n") == 20001
    assert attempt.log("stdout").count("\n") == 20001


def test_the_log_is_there_while_the_step_runs(cli):
    attempt = Attempt(cli, "sleep")
    process = attempt.start()
    until = time.monotonic() + 30
    while "about to do: sleep" not in attempt.log("stdout") and time.monotonic() < until:
        time.sleep(0.05)
    assert "about to do: sleep" in attempt.log("stdout") and process.poll() is None
    process.terminate()
    process.communicate(timeout=30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_container_that_is_stopped(cli, number):
    attempt = Attempt(cli, "sleep")
    process = attempt.start()
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert not attempt.done and attempt.processes() == []
    report = attempt.report
    assert report["stopped_by"] == number and report["signal"] == number and not report["timed_out"]
    assert "its container got a SIG" in report["cause"]


def test_a_step_that_ignores_it(cli):
    attempt = Attempt(cli, "stubborn")
    process = attempt.start("--grace", "1")
    assert process.stdout.readline() == "ignoring\n"
    process.terminate()
    process.communicate(timeout=30)
    assert process.returncode == 137 and attempt.report["stopped_by"] == signal.SIGTERM


def test_a_time_limit(cli):
    attempt = Attempt(cli, "sleep")
    result = attempt.supervise("--time-limit", "1", timeout=30)
    assert result.status == 143, result
    assert attempt.report["timed_out"] and "timed out after 1" in attempt.report["cause"]
    assert attempt.report["stopped_by"] == 0


def test_the_time_limit_of_the_step(cli):
    attempt = Attempt(cli, "sleep")
    result = attempt.supervise(with_=["timeout:seconds=1"], timeout=30)
    assert result.status > 128 and attempt.report["timed_out"], result
    assert "timed out after" in attempt.log("stderr")


def test_the_supervisor_is_killed(cli):
    attempt = Attempt(cli, "sleep")
    process = attempt.start()
    process.kill()
    process.communicate(timeout=30)
    until = time.monotonic() + 30
    while attempt.processes() and time.monotonic() < until:
        time.sleep(0.05)
    assert attempt.processes() == [] and not attempt.done and not attempt.file("exit.json").exists()


def test_the_work_is_not_done_twice(cli):
    attempt = Attempt(cli, "well")
    assert attempt.supervise().status == 0
    again = attempt.supervise()
    assert again.status == 0 and again.out == "" and "has already finished" in again.err
    thrown = Attempt(cli, "throw")
    assert thrown.supervise().status == 1
    again = thrown.supervise()
    assert again.status == 1 and again.out == ""


# --- the store


def test_a_store_that_fails_at_the_end(cli):
    attempt = Attempt(cli, "well")
    result = attempt.supervise(env={"METAFLOW_FAIL_AT": "scheduler.write:ENOSPC:2:sticky"})
    assert result.status == 98, result
    assert result.out == "about to do: well\n" and not attempt.done
    assert "log could not be stored" in result.err and "could not be committed" in result.err
    assert "No space left on device" in result.err


def test_a_store_that_is_not_there_at_first(cli):
    attempt = Attempt(cli, "well")
    result = attempt.supervise(env={"METAFLOW_FAIL_AT": "scheduler.write:ENOSPC:1:sticky"})
    assert result.status == 98 and "Cannot start the attempt" in result.err, result
    assert result.out == "" and not attempt.done


def test_a_moment_in_which_the_store_is_away(cli):
    attempt = Attempt(cli, "well")
    result = attempt.supervise(env={"METAFLOW_FAIL_AT": "scheduler.write:EIO:2"})
    assert result.status == 0 and attempt.done, result
    assert "about to do: well" in attempt.log("stdout")


# --- memory


def memory_group():
    """A control group below that of this process, with 200 MB; nothing where that is not permitted."""
    for line in pathlib.Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            directory, limit, swap = pathlib.Path("/sys/fs/cgroup/memory" + path), "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"
        elif controllers == "" and pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists():
            directory, limit, swap = pathlib.Path("/sys/fs/cgroup" + path), "memory.max", "memory.swap.max"
        else:
            continue
        group = directory / f"supervise-{os.getpid()}"
        try:
            group.mkdir()
            (group / limit).write_text("200000000")
        except OSError:
            return None
        try:
            (group / swap).write_text("200000000" if "memsw" in swap else "0")
        except OSError:
            pass  # not every kernel counts it
        return group
    return None


@pytest.mark.skipif(os.environ.get("METAFLOW_SANITIZED") == "1", reason="sanitizers take more than that")
def test_out_of_memory(cli):
    group = memory_group()
    if group is None:
        pytest.skip("control groups are not permitted here")
    try:
        attempt = Attempt(cli, "oom")
        result = attempt.supervise(preexec_fn=lambda: (group / "cgroup.procs").write_text("0"))
    finally:
        group.rmdir()
    assert result.status == 137, result
    report = attempt.report
    assert report["oom_kills"] >= 1 and report["signal"] == 9
    assert "ran out of memory: limit 200.0 MB" in report["cause"] and report["mem"] > 100_000_000
    assert "about to do: oom" in attempt.log("stdout")


# --- words


@pytest.mark.parametrize("words", [["supervise"], ["supervise", "--grace", "x", "--", "step"], ["supervise", "--what", "1", "--"], ["supervise", "--", "step", "x"]])
def test_wrong_words(cli, words):
    assert cli("misbehave", *words).status == 2
