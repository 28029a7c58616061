"""Watching a run: status, timeline, the live view of a terminal, --no-progress."""

import fcntl
import html
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

from conftest import SANITIZED
from shapes import plan
from test_failures import processes_of


def lines_of_table(result):
    """{step: [cells]} of what status prints."""
    rows = {}
    for line in result.out.splitlines()[2:]:
        if not line.startswith("  "):
            break
        step, *cells = line.split("  ")[1:]
        rows[step.strip()] = [cell.strip() for cell in cells if cell.strip()]
    return rows


def test_status_of_a_run_that_is_done(cli):
    run_id = cli.run("sweep", "--n", 5)
    result = cli("sweep", "status")
    assert result.status == 0
    assert result.out.startswith(f"Sweep/{run_id}: done, after 0:00:0")
    rows = lines_of_table(result)
    assert list(rows) == ["start", "work", "join", "end"]
    assert rows["work"][:5] == ["5", "5", "-", "-", "-"]  # tasks, done, cloned, running, failed
    assert rows["work"][6].endswith("MB") and rows["work"][7].endswith("ms")
    assert "resume" not in result.out and "Failed" not in result.out


def test_status_of_a_run_that_failed(cli):
    run_id, _ = cli.fail("misbehave", "--how", "throw")
    result = cli("misbehave", "status", run_id)
    assert f"Misbehave/{run_id}: failed" in result.out
    assert f"  {run_id}/middle/2: (anonymous namespace)::OwnException: boom\n" in result.out
    assert f"resume --origin-run-id {run_id}" in result.out
    as_json = json.loads(cli("misbehave", "status", run_id, "--json").out)
    assert as_json["state"] == "failed" and as_json["why"] == "Step middle (task-id 2) failed."
    assert as_json["failures"] == [
        {"step": "middle", "task": f"{run_id}/middle/2", "attempt": 0, "where": as_json["failures"][0]["where"], "cause": "(anonymous namespace)::OwnException: boom"}
    ]
    steps = {step["step"]: step for step in as_json["steps"]}
    assert (steps["start"]["done"], steps["middle"]["failed"], steps["end"]["tasks"]) == (1, 1, 0)
    assert steps["start"]["peak_memory"] > 1_000_000 and steps["start"]["cpu_seconds"] > 0


def started(cli, *arguments):
    """A run that has come to its middle step."""
    process = subprocess.Popen(
        [cli.path("misbehave"), "run", *arguments], cwd=cli.directory, env=cli.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    for line in process.stdout:
        if "middle/2" in line and "Task is starting" in line:
            return process
    raise AssertionError("the run did not get to its middle step")


def scheduler_of(guard):
    return int(subprocess.run(["pgrep", "-P", str(guard)], capture_output=True, text=True, check=True).stdout)


def test_status_of_a_run_in_another_terminal(cli):
    process = started(cli, "--how", "sleep")
    result = cli("misbehave", "status")
    assert ": running, for 0:00:0" in result.out
    assert lines_of_table(result)["middle"][:4] == ["1", "-", "-", "1"]
    assert re.search(r"Running longest:\n  \d+/middle/2 for 0:00:\d\d \(pid \d+\)\n", result.out)

    os.kill(scheduler_of(process.pid), signal.SIGKILL)
    process.wait(timeout=60)
    result = cli("misbehave", "status")
    assert ": scheduler died, after 0:00:0" in result.out
    assert "Running longest" not in result.out
    assert "To continue:" in result.out
    assert processes_of(cli.directory) == []


def test_status_of_a_resumed_run(cli):
    run_id, _ = cli.fail("misbehave", "--how", "throw")
    assert cli("misbehave", "resume").status == 1  # it fails again
    as_json = json.loads(cli("misbehave", "status", "--json").out)
    assert as_json["origin"] == run_id
    assert {step["step"]: step["cloned"] for step in as_json["steps"]}["start"] == 1


def test_status_says_what_it_cannot_tell(cli):
    result = cli("sweep", "status")
    assert result.status == 1 and "Flow Sweep has no run in" in result.err
    cli.run("sweep")
    assert "No run Sweep/17 found" in cli("sweep", "status", 17).err
    cli.run_python("maze")
    result = cli("maze", "status")
    assert result.status == 1 and "has no journal" in result.err and "Python" in result.err


# --- the page


def page_of(cli, program, *arguments):
    result = cli(program, "timeline", *arguments, "-o", "run.html")
    assert result.status == 0, result
    return (cli.directory / "run.html").read_text()


def rendered(cli):
    """The page as a browser has made it: what its script has put in."""
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("needs the program chromium")
    result = subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom",
         f"--user-data-dir={cli.directory}/chromium", f"file://{cli.directory}/run.html"],
        capture_output=True, text=True, timeout=120,
    )
    return result.stdout


def test_timeline_needs_no_network(cli):
    cli.run("nested")
    page = page_of(cli, "nested")
    addresses = re.findall(r"https?://[^\"' ]+", page)
    assert set(addresses) == {"http://www.w3.org/2000/svg"}  # the name of a name space
    assert "<link" not in page and "src=" not in page and "@import" not in page
    assert cli("nested", "timeline").out == page  # without -o: to the standard output


def test_timeline_in_a_browser(cli):
    run_id, _ = cli.fail("misbehave", "--how", "throw")
    page_of(cli, "misbehave", run_id)
    shown = html.unescape(rendered(cli))
    assert f"<title>Misbehave/{run_id}</title>" in shown
    assert ">failed</span>" in shown
    assert "<td>middle/2</td>" in shown and "<td>(anonymous namespace)::OwnException: boom</td>" in shown
    assert re.search(r'<canvas width="[1-9]\d+" height="[1-9]\d+"', shown)  # it has been drawn on
    assert shown.count("<rect") == 3  # a box per step of the graph
    assert '<h2 id="failed-title">Failed attempts</h2>' in shown


def test_timeline_shows_text_as_text(cli):
    """What a task said cannot become part of the page."""
    run_id, _ = cli.fail("failing", "--where", "start", "--what", "markup")
    page = page_of(cli, "failing", run_id)
    assert "</script><img" not in page
    assert "<img" not in rendered(cli).split("<script>")[0]


@pytest.mark.parametrize("name", ["status", "timeline"])
def test_a_journal_that_was_cut_off(cli, name):
    """By a kill -9 or a power loss, at any byte: what is left is shown."""
    run_id = cli.run("sweep", "--n", 2)
    journal = cli.directory / ".metaflow" / "Sweep" / run_id / "_meta" / "journal.jsonl"
    whole = journal.read_bytes()
    first = whole.index(b"\n") + 1  # what began
    for size in [0, first // 2, first, *range(first + 7, len(whole), max(1, len(whole) // 40))]:
        journal.write_bytes(whole[:size])
        result = cli("sweep", name, run_id)
        if result.status == 0:
            assert size >= first and run_id in result.out, (size, result)
        else:
            assert size < first and f"The journal of run Sweep/{run_id} has no first entry" in result.err, (size, result)


# --- a terminal


def on_terminal(cli, program, *arguments, status=0):
    """What a program writes to a terminal of 100 columns."""
    path = str(cli.path(program))  # an exception in the child would be that of a second pytest
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cli.directory)
        os.execve(path, [path, *map(str, arguments)], {**cli.environment, "COLUMNS": "100"})
    text = b""
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            break
        if not piece:
            break
        text += piece
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == status
    return text.decode()


WIDE = 99 if SANITIZED else 300


def test_terminal_counts_the_tasks_of_a_wide_step(cli):
    text = on_terminal(cli, "sweep", "run", "--n", WIDE, "--max-num-splits", WIDE)
    assert "start/1" in text and f"join/{WIDE + 2}" in text
    assert not re.search(r"work/\d+ ", text)  # not two lines each about starts and ends
    assert re.search(rf"work \[#*-*\] \d+ of {WIDE}, \d+ running", text)
    # What stays is what was printed; the live view is wiped.
    assert "running" not in text.rsplit("\033[K", 1)[1]
    # A pipe gets every line.
    result = cli("sweep", "run", "--n", WIDE, "--max-num-splits", WIDE)
    assert sum("Task finished successfully." in line for line in result.lines) == WIDE + 3 and "running" not in result.out


def test_no_progress(cli):
    result = cli("sweep", "run", "--no-progress", "--n", 3)
    assert result.lines == [
        "Workflow starting (run-id RUN):",
        "[end/6] The minimum of 3 points is -0.475866 at 1.333333.",
        "Done!",
    ]
    _, result = cli.fail("misbehave", "--no-progress", "--how", "throw")
    assert "[middle/2] Task failed." in result.lines  # a failure is printed


def test_quiet_is_one_thing_wherever_it_stands(cli):
    results = [cli("single", "--quiet", "run"), cli("single", "run", "--quiet"), cli("single", "run", env={"METAFLOW_QUIET": "1"})]
    assert all(result.err == "" and "[compute/1] Task is starting." in result.lines for result in results)
    shown = [[line for line in result.lines if not line.startswith("Tasks:")] for result in results]
    assert shown[0] == shown[1] == shown[2]


def test_terminal_gets_no_timeline(cli):
    run_id = cli.run("single")
    text = on_terminal(cli, "single", "timeline", status=1)
    assert f"timeline {run_id} -o run.html" in text and "<html" not in text


def test_ctrl_c_on_a_terminal_reaches_the_run(cli):
    path = cli.path("misbehave")
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(cli.directory)
        os.execve(path, ["misbehave", "run", "--how", "sleep"], cli.environment)
    text = b""
    pressed = False
    while True:
        try:
            text += os.read(terminal, 65536)
        except OSError:
            break
        if not pressed and b"middle/2" in text:
            os.write(terminal, b"\x03")
            pressed = True
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert text.count(b"Workflow interrupted.") == 1 and b"Aborted!" in text
    assert processes_of(cli.directory) == []


class Terminal:
    """A program on a terminal that is 100 columns wide."""

    def __init__(self, cli, program, *arguments, **environment):
        self.text = b""
        path = str(cli.path(program))
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
            os.chdir(cli.directory)
            os.execve(path, [path, *map(str, arguments)], {**cli.environment, **environment})

    def read(self, until=lambda text: False, seconds=60):
        """Reads until what has come since the last call is enough, or to the end."""
        begin = len(self.text)
        deadline = time.monotonic() + seconds
        while not until(self.text[begin:].decode("utf-8", "replace")):
            ready, _, _ = select.select([self.fd], [], [], max(0, deadline - time.monotonic()))
            assert ready, self.text[begin:]
            try:
                piece = os.read(self.fd, 65536)
            except OSError:
                break
            if not piece:
                break
            self.text += piece
        return self.text[begin:].decode("utf-8", "replace")

    def resize(self, columns):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def wait(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def views_of(text):
    return re.findall(r"\033\[2m(.*?)\033\[0m", text)


def test_live_view_follows_the_width_of_the_window(cli):
    terminal = Terminal(cli, "small_foreach", "run", **plan("foreach_inner:1 block"))
    terminal.read(lambda text: any(len(view) >= 30 and "1 running" in view for view in views_of(text)))
    terminal.resize(30)
    terminal.read(lambda text: any(len(view) < 30 for view in views_of(text)))
    os.write(terminal.fd, b"\x03")
    views = views_of(terminal.read())
    assert terminal.wait() == 1
    assert all(len(view) < 30 for view in views), views


@pytest.mark.parametrize(
    "environment, colours",
    [({}, True), ({"NO_COLOR": "1"}, False), ({"CLICOLOR": "0"}, False), ({"TERM": "dumb"}, False)],
    ids=["default", "NO_COLOR", "CLICOLOR", "dumb"],
)
def test_colours_of_a_terminal(cli, environment, colours):
    terminal = Terminal(cli, "single", "run", **environment)
    text = terminal.read()
    assert terminal.wait() == 0 and "Done!" in text
    assert ("\033[3" in text) == colours
    if environment.get("TERM") == "dumb":
        assert "\033" not in text


def test_colours_can_be_forced(cli):
    assert "\033[35m" in cli("single", "run", env={"CLICOLOR_FORCE": "1"}).out
    assert "\033[" not in cli("single", "run", env={"CLICOLOR_FORCE": "1", "NO_COLOR": "1"}).out


# --- status --watch


@pytest.mark.parametrize("how, code", [(signal.SIGINT, 4), (signal.SIGKILL, 5)], ids=["interrupted", "killed"])
def test_watch_prints_changes_until_the_run_ends(cli, how, code):
    process = started(cli, "--how", "sleep")
    watch = subprocess.Popen(
        [cli.path("misbehave"), "status", "--watch"], cwd=cli.directory, env=cli.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    first = watch.stdout.readline()
    assert re.search(r": running, 1 of 2 tasks done, 1 running$", first), first
    os.kill(scheduler_of(process.pid), how)
    rest = watch.stdout.read()
    assert watch.wait() == code, rest
    assert (": interrupted, after " if code == 4 else ": scheduler died, after ") in rest and "To continue: " in rest
    process.wait(timeout=60)
    assert cli("misbehave", "status", "--watch").status == code  # it has ended already


def test_watch_tells_success(cli):
    cli.run("single")
    result = cli("single", "status", "--watch", "--json")
    assert result.status == 0 and json.loads(result.out)["state"] == "done"


def test_watch_on_a_terminal(cli):
    process = started(cli, "--how", "sleep")
    terminal = Terminal(cli, "misbehave", "status", "--watch")
    width = lambda screen: max(len(row.strip("\r\n")) for row in screen.split("\033[K"))  # noqa: E731
    widths = lambda text: [width(screen) for screen in re.findall(r"\033\[H(.*?)\033\[J", text, re.DOTALL)]  # noqa: E731
    first = terminal.read(lambda text: "\033[J" in text.partition("Running longest:")[2])
    assert widths(first)[-1] > 30
    terminal.resize(30)
    terminal.read(lambda text: any(width <= 30 for width in widths(text)))
    os.write(terminal.fd, b"\x03")
    end = terminal.read()
    assert terminal.wait() == 130
    assert ": running, for 0:" in end.partition("\033[?1049l")[2]  # what stays on the terminal
    assert process.poll() is None  # the run goes on
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
