"""debug: one task, executed again by itself."""

import pathlib
import re
import shutil
import subprocess

import pytest


def files_of(directory):
    return {str(path): path.stat().st_mtime_ns for path in sorted(pathlib.Path(directory).rglob("*")) if path.is_file()}


def told(result):
    """The command that a failed run says, without the program."""
    command = re.search(r"To rerun only this task: \S+ (debug \S+)", result.out)
    assert command, result
    return command[1].split()


def test_failed_task_tells_how_to_execute_it_again(cli):
    _, result = cli.fail("misbehave", "--how", "throw")
    before = files_of(cli.directory / ".metaflow")
    again = cli("misbehave", *told(result))
    assert again.status == 1
    assert "about to do: throw" in again.out
    assert "(anonymous namespace)::OwnException: boom" in again.err
    assert files_of(cli.directory / ".metaflow") == before  # the run is as it was


def test_task_of_a_foreach_gets_its_item(cli):
    run_id = cli.run("wide", "--width", 3)
    result = cli("wide", "debug", f"{run_id}/work/3")
    assert result.status == 0
    assert "  value = 1   (as in the run)\n" in result.out  # later items come first
    join = cli("wide", "debug", f"{run_id}/join/5")
    assert "  values = [2, 1, 0]   (as in the run)\n" in join.out
    # Runs and tasks have the same names everywhere.
    assert "  value = 1   (as in the run)\n" in cli("wide", "debug", "latest/work[1]").out
    assert "  values = [2, 1, 0]   (as in the run)\n" in cli("wide", "debug", "Wide/latest/join").out
    assert "task_id=3\n" in cli("wide", "dump", "latest/work[1]").err
    assert cli("wide", "status", "latest").out.startswith(f"Wide/{run_id}: done") and cli("wide", "tag", "add", "--run-id", "latest", "x").status == 0
    assert f"Cloning Wide/{run_id}\n" in cli("wide", "resume", "--origin-run-id", "latest").out
    # Also a clone.
    assert "  value = 1   (as in the run)\n" in cli("wide", "debug", "latest/work[1]").out


def test_join_of_many_inputs(cli):
    run_id = cli.run("wide", "--width", 150, "--max-num-splits", 150)  # their list is in a file
    assert cli("wide", "debug", f"{run_id}/join/152").status == 0


def test_crash_is_named(cli):
    _, result = cli.fail("misbehave", "--how", "segv")
    again = cli("misbehave", *told(result))
    assert again.status == 128 + 11
    assert "Fatal signal SIGSEGV" in again.err and "The task was killed by SIGSEGV." in again.err


def test_under_another_program(cli):
    run_id = cli.run("surroundings")
    result = cli("surroundings", "debug", f"{run_id}/start/1", "--wrap", "env 'ADDED=one two'")
    assert result.status == 0, result


def test_missing_program_is_named(cli):
    run_id = cli.run("surroundings")
    nowhere = {"PATH": "/nonexistent", "TMPDIR": str(cli.directory)}
    result = cli("surroundings", "debug", f"{run_id}/start/1", "--wrap", "no-such-program -x", env=nowhere)
    assert result.status == 1 and "no-such-program: it is not in PATH" in result.err
    result = cli("surroundings", "debug", f"{run_id}/start/1", "--perf", env=nowhere)
    assert result.status == 1 and "Install it: sudo apt-get install linux-perf\n" in result.err
    assert not list(cli.directory.glob("metaflow-debug-*"))


def test_under_gdb(cli):
    if shutil.which("gdb") is None:
        pytest.skip("needs the program gdb")
    _, result = cli.fail("misbehave", "--how", "segv")
    process = subprocess.run(
        [cli.path("misbehave"), *told(result), "--gdb"], cwd=cli.directory, env=cli.environment, capture_output=True, text=True,
        input="set confirm off\nset debuginfod enabled off\nhandle SIGSEGV stop\nrun\nbacktrace\nquit\n", timeout=120,
    )
    assert "received signal SIGSEGV" in process.stdout
    assert re.search(r"#\d+ .*Misbehave::middle", process.stdout)


def test_clone_is_what_it_was_cloned_from(cli):
    run_id, _ = cli.fail("misbehave", "--how", "throw")
    assert cli("misbehave", "resume", "--run-id-file", "resumed").status == 1
    resumed = (cli.directory / "resumed").read_text()
    result = cli("misbehave", "debug", f"{resumed}/start/1")
    assert result.status == 0 and f"{resumed}/start/1 is a clone of {run_id}/start/1." in result.err


def test_keeps_what_was_written(cli):
    run_id = cli.run("wide")
    assert cli("wide", "debug", f"{run_id}/end/7", "--keep", "kept").status == 0
    assert (cli.directory / f"kept/Wide/{run_id}/end/7/0.data.json").exists()


@pytest.mark.parametrize(
    "words, message",
    [
        (["debug"], "Missing argument"),
        (["debug", "17"], "'17' is not a run_id/step_name/task_id"),
        (["debug", "17/work/3"], "No run Wide/17 found in "),
        (["debug", "RUN/work"], "Name one by its id or its index, such as RUN/work/2 or RUN/work[0]."),
        (["debug", "RUN/work[99]"], "has no task work[99]"),
        (["debug", "RUN/work/99"], "has no attempt"),
        (["debug", "RUN/work/3", "--attempt", "4"], "has no attempt 4"),
        (["debug", "RUN/work/3", "--gdb", "--perf"], "Only one of"),
    ],
)
def test_bad_calls(cli, words, message):
    run_id = cli.run("wide")
    result = cli("wide", *[word.replace("RUN", run_id) for word in words])
    assert result.status in (1, 2) and message.replace("RUN", run_id) in result.err
