"""A reader of the output cannot stop a run, and gets everything if it only is slow."""

import os
import re
import select
import signal
import subprocess

import pytest
from remote import wait_until
from test_failures import processes_of
from test_supervise import Attempt

FLOOD = 200_000  # lines; as they are shown, more than what is kept for a reader


def start(cli, *words, **more):
    """Starts a run whose output is not read yet."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **more}
    command = [*map(str, [cli.path("misbehave"), *words])]
    return subprocess.Popen(command, cwd=cli.directory, env=cli.environment, stdin=subprocess.DEVNULL, text=True, **streams)


def flood(cli, lines, *words, **more):
    return start(cli, "run", "--how", "flood", "--lines", lines, *words, **more)


def is_full(pipe):
    """Nothing more can be written. (How many bytes that is depends on how they were written.)"""
    end = os.open(f"/proc/self/fd/{pipe.fileno()}", os.O_WRONLY | os.O_NONBLOCK)
    try:
        return not select.select([], [end], [], 0)[1]
    finally:
        os.close(end)


def how_it_ended(cli):
    """What a run's journal says; nothing: it goes on."""
    journal = "".join(path.read_text() for path in (cli.directory / ".metaflow").rglob("journal.jsonl"))
    return re.findall(r'"e":"over","t":\d+,"how":"(\w+)"', journal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("json", [False, True])
def test_a_run_that_nobody_reads_obeys_signals(cli, number, json):
    process = flood(cli, FLOOD, *(["--json"] if json else []))
    wait_until(lambda: is_full(process.stdout))
    process.send_signal(number)
    assert process.wait(timeout=60) == 1
    assert process.stderr.read().endswith("\nAborted!\n")
    assert processes_of(cli.directory) == []
    assert how_it_ended(cli) == ["interrupted"]


def test_neither_stream_stops_a_run(cli):
    process = flood(cli, FLOOD, stderr=subprocess.STDOUT)
    wait_until(lambda: is_full(process.stdout))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 1


def test_a_guard_is_not_kept_by_its_last_words(cli):
    """The scheduler is killed, and the guard's message has no reader."""
    process = flood(cli, FLOOD, stderr=subprocess.STDOUT)
    wait_until(lambda: is_full(process.stdout))
    (scheduler,) = (pid for pid in processes_of(cli.directory) if f"PPid:\t{process.pid}\n" in open(f"/proc/{pid}/status").read())
    os.kill(scheduler, signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL


def test_timeouts_fire_while_nobody_reads(cli):
    process = flood(cli, FLOOD, "--with", "timeout:seconds=1")
    wait_until(lambda: how_it_ended(cli) == ["failed"])
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1 and "Step failure:" in err
    assert "timed out after" in out and out.endswith("Flushing logs...\n"), out[-1000:]


def test_a_slow_reader_gets_everything(cli):
    process = flood(cli, FLOOD)
    wait_until(lambda: is_full(process.stdout))
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    numbers = [int(number) for number in re.findall(r"\] line (\d+) of the standard output\n", out)]
    assert numbers == list(range(FLOOD))
    assert out.endswith("Done!\n") and "not shown" not in out


def test_a_run_that_is_over_waits_for_its_reader(cli):
    process = flood(cli, 5000)
    wait_until(lambda: how_it_ended(cli) == ["done"])
    assert process.poll() is None, "there is more than the pipe has room for"
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and out.endswith("Done!\n") and out.count("of the standard output") == 5000


def test_a_run_that_is_over_waits_no_longer_than_it_is_let(cli):
    process = flood(cli, 5000)
    wait_until(lambda: how_it_ended(cli) == ["done"])
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    assert process.stdout.read().count("of the standard output") < 5000


@pytest.mark.parametrize("unread", ["stdout", "stderr"])
def test_a_supervisor_that_nobody_reads_obeys_signals(cli, unread):
    attempt = Attempt(cli, "flood", "--lines", FLOOD)
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, unread: subprocess.PIPE}
    process = start(cli, *attempt.words(), **streams)
    wait_until(lambda: is_full(getattr(process, unread)))
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert "its container got a SIGTERM" in attempt.report["cause"]
    assert attempt.log(unread).count("\n") > 100 and attempt.processes() == []


def test_a_slow_reader_of_a_container_gets_everything(cli):
    attempt = Attempt(cli, "flood", "--lines", 1_000_000)
    process = start(cli, *attempt.words(), stderr=subprocess.DEVNULL)
    wait_until(lambda: is_full(process.stdout))
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert out.count("of the standard output") == 1_000_000 and "not shown" not in out
