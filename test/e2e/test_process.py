"""Flows whose tasks a runner of this machine executes, as processes of its own: what all platforms have in common (delivery, reports, logs
and arrays by the store, jobs that outlive their scheduler), without a server or a network. The platform is test/platforms/process."""

import contextlib
import os
import pathlib
import re
import signal
import subprocess

import pytest

import shapes
from conftest import BUILD
from remote import User, interrupt, kill_scheduler, wait_until

RUNNER = BUILD / "programs" / "process_runner"
LISTED = re.compile(r"Run: (\d+) Step: (\w+) Task: (\d+) Attempt: 0 Job: (p-[0-9a-f]{16}(?::\d+)?) Started At: \S+Z Status: (\w+)(.*)")


class Runner(User):
    """The platform, and its user."""

    def __init__(self, cli):
        self.spool = cli.directory / "spool"
        super().__init__(cli, {"METAFLOW_PROCESS_SPOOL": str(self.spool)})
        self.start_runner()

    def start_runner(self):
        self.process = subprocess.Popen(
            [RUNNER, self.spool], env=self.cli.environment, start_new_session=True, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout.readline() == "ready\n"

    def left(self):
        """Files of jobs."""
        return sorted(file.name for file in self.spool.iterdir() if file.name != "runner")

    def processes(self):
        """Of jobs: their supervisors and their steps."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            with contextlib.suppress(OSError):
                variables = (entry / "environ").read_bytes().split(b"\0") if entry.name.isdigit() else []
                if f"METAFLOW_PROCESS_SPOOL={self.spool}".encode() in variables and any(v.startswith(b"PROCESS_JOB=") for v in variables):
                    found.append(int(entry.name))
        return found

    def list(self, run_id):
        result = self.cli("process_crew", "process", "list", "--run-id", run_id)
        assert result.status == 0, result
        return [LISTED.match(line).groups() for line in result.out.splitlines() if line.startswith("Run: ")]

    def end(self):
        self.process.kill()
        self.process.wait()
        for process in self.processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@pytest.fixture
def runner(cli):
    made = Runner(cli)
    yield made
    made.end()


def jobs_of(run, step):
    return [task["data"]["job"] for task in run["tasks"][step]]


def test_some_steps_there_the_others_here(runner):
    result = runner.run("process_crew", "--n", "6")
    assert result.status == 0, result
    run = runner.read("Crew")
    assert run["ok"] and run["tasks"]["join"][0]["data"]["squares"] == [0, 1, 4, 9, 16, 25]
    assert jobs_of(run, "start") == jobs_of(run, "join") == [""]
    assert len(set(jobs_of(run, "work"))) == 6 and len(set(jobs_of(run, "after"))) == 6
    (array,) = {job.partition(":")[0] for job in jobs_of(run, "work")}
    assert sorted(jobs_of(run, "work")) == [f"{array}:{place}" for place in range(6)], "alike tasks are an array"
    for task in run["tasks"]["work"]:
        assert re.fullmatch(r"working on \d\n", task["out"]) and task["err"] == "" and task["code"]
    for item in range(6):
        assert len(re.findall(rf"/work/\d+ \(job p-[0-9a-f:]+\)\] working on {item}\n", result.out)) == 1, result
    assert runner.left() == []


@pytest.mark.parametrize("shape", ["nested_branches", "nested_foreach", "switch_in_foreach"])
def test_shapes_are_what_they_are_here(runner, client, shape):
    """Every step there, against the same flow executed on this machine."""
    there = runner.run(f"process_{shape}", "--with", "process")
    assert there.status == 0, there
    flow = shapes.SHAPES[shape]
    there = client.Run(f"{flow}/{runner.run_id}")
    here = client.Run(f"{flow}/{runner.cli.run(shape)}")
    assert there.successful
    found, expected = shapes.places(there), shapes.places(here)
    assert found.keys() == expected.keys()
    for place, task in found.items():
        if place[0] != "_parameters":
            assert shapes.content(task) == shapes.content(expected[place])
    assert runner.left() == []


def test_program_with_several_flows(runner):
    """The supervisor and its step execute the flow that the scheduler executes."""
    result = runner.cli("process_several", "Train", "run", "--with", "process", "--run-id-file", runner.cli.directory / "id")
    assert result.status == 0 and "The score of Train is 3." in result.out, result
    run = runner.read("Train")
    assert run["ok"] and len(run["tasks"]["round"]) == 3
    assert runner.left() == []



@pytest.mark.parametrize(
    "how, words",
    [
        ("throw", "OwnException: boom"),
        ("segv", "Task failed with a segmentation fault (SIGSEGV"),
        ("exit3", "Task exited with code 3 before its step was finished."),
        ("kill", "Task was killed by SIGKILL"),
        ("at_exit", "the process died in exit(), perhaps in a static destructor"),
    ],
)
def test_what_fails_is_reported_by_its_supervisor(runner, how, words):
    result = runner.run("process_misbehave", "--how", how, "--with", "process")
    assert result.status == 1 and words in result.out, result
    assert "Step middle (task-id 2) failed." in result.err
    (task,) = runner.read("Misbehave")["tasks"]["middle"]
    assert not task["ok"] and task["out"] == f"about to do: {how}\n", "the log is stored, and once"
    assert words in task["err"]
    assert runner.left() == []


def test_an_attempt_that_failed_is_executed_again(runner):
    result = runner.run("process_crew", "--n", "5", "--fail", "3", "--with", "retry:times=1,minutes_between_retries=0")
    assert result.status == 0 and result.out.count("on purpose") == 1, result
    work = runner.read("Crew")["tasks"]["work"]
    again = [task["data"]["job"] for task in work if task["attempts"] == "1"]
    assert len(again) == 1 and ":" not in again[0], "one of the array failed; it alone was tried again"


def test_the_time_of_an_attempt_is_up(runner):
    result = runner.run("process_misbehave", "--how", "sleep", "--with", "process:seconds=1")
    assert result.status == 1 and "The process timed out." in result.out, result
    wait_until(lambda: not runner.processes())


def test_a_step_that_ends_itself_when_its_time_is_up(runner):
    result = runner.run("process_misbehave", "--how", "sleep", "--with", "process", "--with", "timeout:seconds=1")
    assert result.status == 1 and "timed out after 0 hours, 0 minutes, 1 seconds" in result.out, result


def test_nobody_to_execute_it(runner):
    runner.end()
    result = runner.run("process_misbehave", "--with", "process")
    assert result.status == 1 and "Process error:\n    There is no runner" in result.err, result
    assert not runner.run_id_is_known(), "nothing was begun"


def test_what_cannot_be_asked_for(runner):
    for with_, words in (
        (["process:slots=-1"], "slots and seconds are at least 0"),
        (["process:queue=x"], "Decorator 'process' does not support the attribute 'queue'"),
        (["process", "batch"], "is marked for execution both on"),
    ):
        result = runner.run("process_misbehave", *(word for each in with_ for word in ("--with", each)))
        assert result.status == 1 and words in result.err, result


def test_the_library_does_not_know_it(runner):
    result = runner.run("misbehave", "--with", "process")
    assert result.status == 1 and "process" in result.err, result
    assert " process " in runner.cli("process_misbehave", "--help").out
    assert " process " not in runner.cli("misbehave", "--help").out


def test_list_and_kill(runner, gate):
    running = runner.start("process_crew", "--n", "5", "--port", str(gate.port))
    gate.wait_for(3)
    listed = runner.list(runner.run_id)
    assert [(step, task) for _, step, task, *_ in listed] == [("work", str(task)) for task in range(2, 7)]
    assert sorted(status for *_, status, _ in listed) == ["RUNNING"] * 3 + ["WAITING"] * 2
    assert {reason for *_, status, reason in listed if status == "WAITING"} == {" (waits for one of 3 slots)"}
    killed = runner.cli("process_crew", "process", "kill", "--run-id", runner.run_id)
    assert killed.status == 0 and killed.out.count(f"Killed {runner.run_id}/work/") == 5, killed
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 1, out
    assert "was terminated externally" in out or "its container got a SIGTERM" in out, out
    wait_until(lambda: not runner.processes())
    assert len(gate.waiting) == 3, "what waited did not begin"
    assert runner.left() == []
    assert "No active processes found." in runner.cli("process_crew", "process", "list", "--run-id", runner.run_id).err


def test_jobs_outlive_a_scheduler_that_was_killed(runner, gate):
    """`resume` waits for those that run, ends those that do not yet, and executes each once."""
    process = runner.start("process_crew", "--n", "6", "--port", str(gate.port))
    gate.wait_for(3)
    origin = runner.run_id
    kill_scheduler(process)
    assert sorted(status for *_, status, _ in runner.list(origin)) == ["RUNNING"] * 3 + ["WAITING"] * 3
    out = runner.resume_beside("process_crew", origin, gate)
    assert f"3 tasks of run {origin} are still running in the runner" in out, out
    assert sorted(item for item, _ in gate.waiting) == list(range(6)), "each was executed once"
    run = runner.read("Crew")
    assert run["ok"] and run["tasks"]["join"][0]["data"]["squares"] == [0, 1, 4, 9, 16, 25]
    assert runner.left() == []


def test_jobs_of_a_scheduler_that_was_killed_can_be_killed(runner, gate):
    process = runner.start("process_crew", "--n", "4", "--port", str(gate.port))
    gate.wait_for(3)
    origin = runner.run_id
    kill_scheduler(process)
    assert runner.cli("process_crew", "process", "kill", "--run-id", origin).out.count("Killed ") == 4
    wait_until(lambda: not runner.processes())
    assert runner.list(origin) == []
    gate.release()
    resumed = runner.cli("process_crew", "resume", "--origin-run-id", origin, "--run-id-file", runner.cli.directory / "id")
    assert resumed.status == 0 and "still running" not in resumed.out, resumed
    assert runner.read("Crew")["ok"]


@pytest.mark.parametrize("twice", [False, True])
def test_nothing_is_left_of_an_interrupted_run(runner, gate, twice):
    process = runner.start("process_crew", "--n", "5", "--port", str(gate.port))
    gate.wait_for(3)
    out = interrupt(process, twice)
    assert process.returncode == 1, out
    wait_until(lambda: not runner.processes())
    wait_until(lambda: not runner.list(runner.run_id))
    assert len(gate.waiting) == 3, "what waited did not begin"
    gate.release()
    resumed = runner.cli("process_crew", "resume", "--origin-run-id", runner.run_id, "--run-id-file", runner.cli.directory / "id")
    assert resumed.status == 0, resumed
    assert runner.read("Crew")["ok"]


def test_what_is_lost_with_its_machine_is_no_retry(runner, gate):
    process = runner.start("process_crew", "--n", "2", "--port", str(gate.port))
    gate.wait_for(2)
    runner.end()
    gate.release()
    runner.start_runner()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert out.count("The process was lost with its runner.") == 2, out
    assert runner.read("Crew")["ok"] and len(gate.waiting) == 4
