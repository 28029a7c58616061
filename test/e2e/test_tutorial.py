"""The lessons of docs/tutorial: the code on a page is that of its file, and every console block prints what the page shows.

The commands of a page run in one directory, in which `build` holds the programs. A line "..." stands for any lines. Lines of tasks are
sorted by task, since tasks run in parallel. Times, run ids, process ids, sizes and job names are masked.

    BLESS=1 pytest test/e2e/test_tutorial.py        writes files and output into the pages; look at them with git diff
"""

import difflib
import os
import pathlib
import re
import socket
import subprocess
import sys

import pytest

from conftest import BUILD, SANITIZED
from kubernetes_runs import MISSING, make  # noqa: F401

ROOT = pathlib.Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "docs" / "tutorial").glob("[0-9]*.md"))
HOME = "/home/ada/tutorial"
BLOCK = re.compile(r"^(?:<!-- (?P<file>docs/tutorial/\S+) -->\n)?```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
RUN_ID = re.compile(r"\b1\d{15}\b")
MASKS = [
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(\.\d{3})?", "TIME"),
    (r"\bpid \d+", "pid N"),
    (r"\b\d+\.\d+\.\d+ \(C\+\+\)", "VERSION (C++)"),
    (r"\d+(\.\d+)? (ms|s|min)\b", "N s"),  # a slow machine takes seconds where the page has milliseconds
    (r"\d+(\.\d+)? (kB|MB|GB)\b", "N MB"),
    (r"\b\d+:\d\d:\d\d\b", "DURATION"),
    (r"\bmf-([a-z-]+)-[0-9a-f]{16}\b", r"mf-\1-JOB"),
    (r"metaflow-debug-\w+", "metaflow-debug-X"),
    (r"(    thrown in .*?)(?: at \w+\.cc:\d+)?$", r"\1"),  # lines of sources depend on the build
    (r" +", " "),  # columns are as wide as what is in them
]


def masked(lines):
    runs = {}
    for line in lines:
        line = RUN_ID.sub(lambda match: f"RUN{runs.setdefault(match[0], len(runs) + 1)}", line)
        for pattern, word in MASKS:
            line = re.sub(pattern, word, line)
        yield line.strip()


def sorted_by_task(lines):
    """Neighbouring lines of tasks, in the order of the tasks."""
    def task(line):
        match = re.match(r"\S+ \S+ \[\d+/\w+/(\d+)", line)
        return int(match[1]) if match else None

    result, tasks = [], []
    for line in lines:
        if task(line) is None:
            result += sorted(tasks, key=task) + [line]
            tasks = []
        else:
            tasks.append(line)
    return result + sorted(tasks, key=task)


def matches(shown, printed):
    """Whether these lines, in which "..." stands for any lines, are those lines."""
    if not shown:
        return not printed
    if shown[0] == "...":
        return any(matches(shown[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and shown[0] == printed[0] and matches(shown[1:], printed[1:])


class Terminal:
    def __init__(self, directory, environment):
        self.directory, self.runs = directory, {}
        (directory / "build").symlink_to(BUILD / "tutorial")
        python = pathlib.Path(sys.executable).parent
        self.environment = {**environment, "PATH": f"{python}:{environment['PATH']}", "USER": "ada", "LC_ALL": "C.UTF-8"}

    def execute(self, command):
        """What a command of the page prints, as it would be on the page."""
        command = RUN_ID.sub(lambda match: self.runs.get(match[0], match[0]), command)
        process = subprocess.run(
            ["bash", "-c", command], cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        text = process.stdout.decode().replace(str(self.directory), HOME).replace(f"on {socket.gethostname()},", "on vm,")
        omitted = "    called by |Pod is "  # the stack depends on the build, and whether a pod is slow on the machine
        return [line for line in sorted_by_task(text.rstrip("\n").splitlines()) if not re.search(omitted, line)]

    def remember(self, shown, printed):
        """Runs of the page get the ids of the runs that took place."""
        new = [[*dict.fromkeys(run for line in lines for run in RUN_ID.findall(line))] for lines in (shown, printed)]
        self.runs |= {page: real for page, real in zip(*new) if page not in self.runs}


def replayed(block, terminal):
    """A console block with what its commands print now, where that is not what it shows."""
    result = []
    for part in re.split(r"^(?=\$ )", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        blank = "\n" if shown.endswith("\n\n") else ""
        shown = shown.rstrip("\n").splitlines()
        printed = terminal.execute(command[2:])
        if matches([*masked(shown)], [*masked(printed)]):
            terminal.remember(shown, printed)
        else:
            terminal.remember(printed, printed)
            shown = printed
        result.append("\n".join([command, *shown]) + "\n" + blank)
    return "".join(result)


@pytest.mark.skipif(SANITIZED, reason="the lessons are not instrumented")
@pytest.mark.parametrize("page", LESSONS, ids=lambda page: page.stem)
def test_lesson(page, cli, request):
    terminal = None

    def block(match):
        nonlocal terminal
        text = match["text"]
        if match["file"]:
            text = (ROOT / match["file"]).read_text()
        elif match["language"] == "console":
            terminal = terminal or Terminal(cli.directory, cli.environment)
            text = replayed(text, terminal)
        start = match.start("text") - match.start()
        return match[0][:start] + text + "```"

    old = page.read_text()
    if "--with kubernetes" in old:
        if MISSING:
            pytest.skip(f"KUBERNETES IS NOT TESTED: it needs {MISSING}")
        request.getfixturevalue("make")()  # its variables are in cli.environment
    new = BLOCK.sub(block, old)
    if os.environ.get("BLESS"):
        page.write_text(new)
    else:
        difference = "\n".join(difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm=""))
        assert new == old, f"{page.name} is not what the commands print:\n{difference}"


def test_every_file_is_on_a_page():
    shown = {match["file"] for page in LESSONS for match in BLOCK.finditer(page.read_text())}
    assert {str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "tutorial").iterdir() if path.suffix != ".md"} == shown - {None}


def test_guides(cli):
    """The fragments of docs/how-to, in one flow."""
    (cli.directory / "data.txt").write_text("hello\n")
    result = cli("guides", "run", "--file", "data.txt")
    assert result.status == 0 and "] 6 bytes, 450000 in all\n" in result.out, result
    result = cli("guides", "run", "--file", "data.txt", "--source", "gone")
    assert result.status == 0 and "] Skipped: no such file: gone\n" in result.out, result
