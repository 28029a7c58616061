"""What goes wrong is said plainly, and loses nothing that was finished."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest
from conftest import SANITIZED




def fails(cli, how, *arguments, **more):
    result = cli("misbehave", "run", "--how", how, *arguments, **more)
    assert result.status == 1, result
    assert "Workflow failed." in result.lines
    assert "    Step failure:\n    Step middle (task-id 2) failed.\n" in result.err
    return result


def said(result, text):
    assert any(text in line for line in result.lines), result


@pytest.mark.parametrize(
    "how, words",
    [
        ("throw", "(anonymous namespace)::OwnException: boom"),
        ("throw_int", "int: 42"),
        ("throw_mf", "Invalid value: a message"),
        ("segv", "Task failed with a segmentation fault (SIGSEGV"),
        ("abort", "Task was killed by SIGABRT"),
        ("fpe", "Task was killed by SIGFPE"),
        ("overflow", "Task failed with a segmentation fault (SIGSEGV"),
        ("exit0", "Task exited with code 0 before its step was finished. Did it call exit()?"),
        ("exit3", "Task exited with code 3 before its step was finished."),
        ("_exit0", "Task exited with code 0 before its step was finished. Did it call exit()?"),
        ("kill", "Task was killed by SIGKILL"),
        ("term", "Task was killed by SIGTERM"),
        ("thread", "what():  in a thread"),
        ("noexcept", "what():  out of noexcept"),
        ("not_utf8", "artifact 'text': This text is not UTF-8: byte 0 of 2 is 0xff"),
    ],
)
def test_cause_is_named(cli, client, how, words):
    result = fails(cli, how)
    said(result, words)
    # The cause comes before the verdicts.
    lines = result.lines
    cause = next(i for i, line in enumerate(lines) if words in line)
    assert cause < lines.index("[middle/2] Task failed.") < lines.index("Workflow failed.")
    # What was printed before is kept, and so is the verdict.
    run = client.Flow("Misbehave").latest_run
    task = run["middle"].task
    assert task.stdout.startswith(f"about to do: {how}\n") or how in ("_exit0", "kill", "segv", "abort", "fpe", "overflow", "thread", "noexcept", "term")
    assert task.stderr.endswith("Task failed.\n")
    assert not run.successful and not run.finished and not task.successful


@pytest.mark.parametrize("speed, name", [(1, "medium (1)"), (1000, "1000"), (-3, "-3"), (5, "5")])
def test_a_choice_without_a_case_is_named(cli, speed, name):
    result = cli("undecided", "run", "--speed", speed)
    assert result.status == 1, result
    said(result, f"Switch condition variable 'speed' has value {name} which is not in the available cases: [slow, fast]")


def test_a_parameter_of_an_enum_is_given_as_a_number(cli):
    result = cli("undecided", "run", "--speed", 9)
    assert result.status == 0 and "[drive/2] Task finished successfully." in result.lines, result
    assert cli("undecided", "run", "--speed", "fast").status == 2


@pytest.mark.parametrize("how", ["throw", "segv", "abort", "noexcept"])
def test_stack_names_the_step(cli, how):
    said(fails(cli, how), "Misbehave::middle()")


def test_stack_begins_and_ends_with_what_the_user_wrote(cli):
    said(fails(cli, "library"), "    thrown in Misbehave::middle()")
    _, result = cli.fail("failing", "--where", "work")
    assert "(anonymous namespace)::Failing::fail() const" in result.out, result
    assert "metaflow::" not in result.out, result


def test_stack_has_lines(cli):
    result = cli("debug_lines", "run")
    assert "[start/1]     thrown in DebugLines::start() at debug_lines.cc:12" in result.lines, result


def test_a_step_that_throws_keeps_what_it_had_set(cli, client):
    fails(cli, "throw")
    task = client.Flow("Misbehave").latest_run["middle"].task
    assert task.finished is False
    assert task.data.before == 1 and task.data.after == 0
    assert task.exception.exception == "boom"
    assert task.exception.type == "(anonymous namespace)::OwnException"
    assert "Misbehave::middle()" in str(task.exception)


@pytest.mark.parametrize("how", ["segv", "kill", "exit0", "at_exit"])
def test_a_task_that_died_is_never_shown_as_done(cli, client, how):
    fails(cli, how)
    run = client.Flow("Misbehave").latest_run
    task = run["middle"].task
    assert not task.finished and not task.successful
    assert list(task.artifacts) == []
    result = cli("misbehave", "dump", f"{run.id}/middle/2")
    assert result.status == 1
    assert f"No completed attempts of the task was found for task 'Misbehave/{run.id}/middle/2'" in result.err


def test_crash_in_a_static_destructor_is_told_apart(cli):
    said(fails(cli, "at_exit"), "The step had finished; the process died in exit(), perhaps in a static destructor.")


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has its own operator new")
def test_more_memory_than_there_is(cli):
    result = cli("bigsum", "run", "--size", 2_000_000)
    assert result.status == 1
    said(result, "Out of memory: cannot allocate 32.0 TB (32,000,000,000,000 bytes): a task here can have ")
    said(result, "Workflow failed.")
    assert "Step start (task-id 1) failed." in result.err


@pytest.mark.skipif(SANITIZED, reason="a sanitizer maps more memory than any cap allows")
def test_memory_is_capped_at_what_the_machine_has(cli):
    """Many small allocations end in an exception, not in the hands of the kernel."""
    # A process limit stands in for a small machine.
    result = cli("misbehave", "run", "--how", "oom", preexec_fn=lambda: __import__("resource").setrlimit(__import__("resource").RLIMIT_DATA, (400_000_000, 400_000_000)))
    assert result.status == 1
    said(result, "Out of memory: cannot allocate 50.0 MB")
    said(result, "a task here can have 400.0 MB")


def test_standard_input_is_empty(cli):
    result = cli("misbehave", "run", "--how", "read_stdin")
    assert result.status == 0
    said(result, "read 0 bytes")


def test_any_bytes_can_be_printed(cli, client):
    result = cli("misbehave", "run", "--how", "bytes")
    assert result.status == 0
    said(result, "last without newline")
    assert client.Flow("Misbehave").latest_run["middle"].task.stdout == "about to do: bytes\na\ufffd\u00e3(b\0c\r\nlast without newline\n".replace("\u00e3", "\ufffd")


def test_log_limit(cli, client):
    result = cli("misbehave", "run", "--how", "flood", "--lines", 30_000, "--max-log-size", 1)
    assert result.status == 0
    assert sum("of the standard output" in line for line in result.lines) == 30_000  # the terminal has it all
    stdout = client.Flow("Misbehave").latest_run["middle"].task.stdout
    assert 200_000 < len(stdout) < 1_000_000  # every line costs a head of 63 bytes more
    assert stdout.endswith("[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]\n")


def test_gigabyte_line_does_not_fill_the_scheduler(cli):
    process = subprocess.Popen(
        ["/usr/bin/env", "time", "-f", "%M", cli.path("misbehave"), "--quiet", "run", "--how", "no_newline", "--lines", "60" if SANITIZED else "300"],
        cwd=cli.directory, env=cli.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) if pathlib.Path("/usr/bin/time").exists() else None
    if process is None:
        pytest.skip("needs the program time")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0
    if not SANITIZED:
        assert int(err.split()[-1]) < 60_000  # KB, of the scheduler and of every task


def test_the_copy_of_a_task_that_leaves_its_step_is_not_stored(cli, client):
    run = cli.run("misbehave", "--how", "forked_copy")
    task = client.Task(f"Misbehave/{run}/middle/2")
    assert (task.data.before, task.data.after) == (1, 1)
    assert "Its values are not stored" in task.stderr, task.stderr


def test_a_grandchild_that_keeps_the_pipe_open_is_not_waited_for(cli):
    begin = time.monotonic()
    assert cli("misbehave", "run", "--how", "grandchild").status == 0
    assert time.monotonic() - begin < 60  # it sleeps for 1,000 s


# --- stopping


def processes_of(directory):
    """Processes that have this directory as their current one."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if os.readlink(entry / "cwd") == str(directory) and "State:\tZ" not in (entry / "status").read_text():
                found.append(int(entry.name))
        except OSError:
            pass
    return found


def start(cli, how, words, **more):
    """Starts a run and waits until it has printed something."""
    process = subprocess.Popen(
        [cli.path("misbehave"), "run", "--how", how], cwd=cli.directory, env=cli.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **more,
    )
    seen = []
    for line in process.stdout:
        seen.append(line)
        if words in line:
            return process, seen
    raise AssertionError("".join(seen) + process.stderr.read())


@pytest.mark.parametrize("how, words", [("sleep", "middle/2 (pid"), ("stubborn", "ignoring"), ("daemon_and_sleep", "left")])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_no_process_is_left_behind(cli, how, words, number):
    process, _ = start(cli, how, words)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Workflow interrupted" in out
    assert "1 running task was stopped." in out
    assert err.endswith("\nAborted!\n")
    assert processes_of(cli.directory) == []


def ignored_by(pid):
    """The signals that a process ignores."""
    (mask,) = re.findall(r"^SigIgn:\s*(\w+)$", pathlib.Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    return {number for number in signal.valid_signals() if int(mask, 16) >> (number - 1) & 1}


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_is_ignored_at_the_start_stays_ignored(cli, number):
    """SIGHUP under nohup, SIGINT of a background job of a script."""
    process, seen = start(cli, "sleep", "sleeping", preexec_fn=lambda: signal.signal(number, signal.SIG_IGN))
    task = int(re.search(r"middle/2 \(pid (\d+)\)", seen[-1])[1])
    assert number in ignored_by(task)
    for pid in processes_of(cli.directory):
        os.kill(pid, number)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert "Workflow interrupted by SIGTERM." in out and "Task failed" not in out, out
    assert process.returncode == 1 and err.endswith("\nAborted!\n")


def test_a_run_may_be_started_with_sigchld_ignored(cli):
    """Some parents do; the kernel would not keep the exit status of a task."""
    result = cli("chain", "run", timeout=60, preexec_fn=lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert result.status == 0, result


def test_second_interrupt_does_not_wait(cli):
    process, _ = start(cli, "stubborn", "ignoring")
    process.send_signal(signal.SIGINT)
    for line in process.stdout:
        if "Terminating" in line:
            break
    begin = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert time.monotonic() - begin < 4  # less than the five seconds of grace
    assert processes_of(cli.directory) == []


def test_tasks_die_with_a_scheduler_that_was_killed(cli, client):
    process, _ = start(cli, "stubborn", "ignoring")
    process.kill()
    process.wait()
    deadline = time.monotonic() + 30
    while processes_of(cli.directory) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert processes_of(cli.directory) == []
    run = client.Flow("Misbehave").latest_run
    assert run["start"].task.successful
    assert not run.finished and not run["middle"].task.finished


def test_output_that_nobody_reads_does_not_end_a_run(cli, client):
    process, _ = start(cli, "flood", "Workflow starting")
    process.stdout.close()
    assert process.wait(timeout=60) == 0
    assert client.Flow("Misbehave").latest_run.successful
