"""What steps print: on the terminal, in the store, through Metaflow's own client and Python's `logs`."""

import re

START_OUT = (
    "hello stdout\n"
    "from cout: 刺身 means sashimi\n"
    "  indented, blank behind  \n"
    "\n"
    "\ttab\n"
    "carriage\rreturn\n"
    "not UTF-8: \ufffd\ufffd\n"
    "zero: \0.\n"
    "no newline at the end\n"
)


def test_both_streams_through_the_client(cli, client):
    run = client.Run("Talk/" + cli.run("talk"))
    task = run["start"].task
    assert task.stdout == START_OUT
    assert task.stderr == "hello stderr\nfrom cerr\n"
    assert run["end"].task.stdout == "" and run["end"].task.stderr == ""
    assert run["long_line"].task.stdout == "y" * 200_000 + "\n"
    lines = list(task.loglines("stdout"))
    assert [text for _, text in lines] == START_OUT.split("\n")[:-1]
    times = [time for time, _ in lines]
    assert times == sorted(set(times))
    assert task.created_at.timestamp() <= times[0].timestamp() <= times[-1].timestamp() <= task.finished_at.timestamp() + 1


def test_the_terminal_shows_lines_of_both_streams(cli):
    result = cli("talk", "run")
    shown = [line for line in result.lines if line.startswith("[start/1] ")]
    shown = [line.removeprefix("[start/1] ") for line in shown]
    assert "hello stdout" in shown and "hello stderr" in shown
    assert "  indented, blank behind" in shown  # blanks at the end are not shown
    assert "" in shown
    assert "no newline at the end" in shown
    assert shown[0] == "Task is starting." and shown[-1] == "Task finished successfully."


def test_many_lines_keep_their_order(cli, client):
    run = client.Run("Talk/" + cli.run("talk", "--lines", 20_000))
    task = run["many"].task
    expected = [f"{i:06} " + "x" * 93 for i in range(20_000)]
    assert task.stdout.splitlines() == expected
    assert task.stderr.splitlines() == expected


def test_max_log_size_cuts_what_is_kept_not_what_is_shown(cli, client):
    run_id = cli.run("talk", "--lines", 10_000, "--max-log-size", 1)
    task = client.Run(f"Talk/{run_id}")["many"].task
    lines = task.stdout.splitlines()
    assert lines[-1] == "[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]"
    assert lines[:-1] == [f"{i:06} " + "x" * 93 for i in range(len(lines) - 1)]
    log = cli.directory / f".metaflow/Talk/{run_id}/many/{task.id}/0.runtime_stdout.log"
    assert 990_000 < log.stat().st_size < 1_000_300
    result = cli("talk", "run", "--lines", 10_000, "--max-log-size", 0)
    assert sum("xxxxx" in line for line in result.lines) == 20_000
    latest = client.Flow("Talk").latest_run
    assert latest["many"].task.stdout == "[TRUNCATED - MAXIMUM LOG FILE SIZE REACHED]\n"


def test_lines_that_carry_their_own_time(cli, client):
    result = cli("talk", "run", "--run-id-file", "run-id")
    shown = [line for line in result.out.splitlines() if "/structured/" in line and "Task " not in line]
    assert re.sub(r"\[.*?\] ", "", "\n".join(shown)).split("\n")[0].endswith("saved by another process")
    assert re.match(r"20(19-12-31|20-01-01) \d\d:\d\d:00\.000 ", shown[0])
    task = client.Run("Talk/" + (cli.directory / "run-id").read_text())["structured"].task
    # The first line has the form of a saved log line, so it is not saved again. Other lines are kept unchanged.
    assert task.stdout.splitlines() == ["to be saved here", "[MFLOG|0|not a time|task|x]an ordinary line"]


def test_python_logs_reads_ours(cli):
    run = cli.run("talk")
    theirs = cli.python("talk", "logs", f"{run}/start")
    assert theirs.status == 0, theirs
    assert theirs.out == cli("talk", "logs", f"{run}/start").out == START_OUT + "hello stderr\nfrom cerr\n"
    theirs = cli.python("talk", "logs", "--stderr", "--timestamps", f"{run}/start/1")
    assert theirs.out == cli("talk", "logs", "--stderr", "--timestamps", f"{run}/start/1").out
    assert re.fullmatch(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (hello stderr|from cerr)\n){2}", theirs.out)


def test_scrubbed_logs(cli, client):
    run = cli.run("talk")
    result = cli("talk", "logs", "scrub", "--stdout", f"{run}/start")
    assert result.status == 0
    assert result.out == f"Logs have been scrubbed for {run}/start/1 - attempt 0\n"
    task = client.Run(f"Talk/{run}")["start"].task
    assert task.stdout == "[REDACTED runtime stdout]\n"
    assert task.stderr == "hello stderr\nfrom cerr\n"
    assert cli.python("talk", "logs", f"{run}/start").out == "[REDACTED runtime stdout]\nhello stderr\nfrom cerr\n"
    # Python scrubs ours, too.
    assert cli.python("talk", "logs", "scrub", f"{run}/start").status == 0
    assert client.Run(f"Talk/{run}")["start"].task.stderr == "[REDACTED runtime stderr]\n"
