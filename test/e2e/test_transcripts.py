"""The command line as a user sees it: transcripts/*.txt.

A transcript holds commands ("$ sweep run") with what they print: the standard output as it is, the standard error
stream behind "!", and the status if it is not 0. Each line is given to bash, all lines of a file in one directory that
is empty at first; $RUN1, $RUN2, ... are the runs that have been started so far. Times, process ids, run ids and paths
are masked, and of stacks only the function that threw is kept.

    BLESS=1 pytest test/e2e/test_transcripts.py        writes down what is printed now; look at it with git diff
"""

import json
import os
import pathlib
import re
import select
import socket
import subprocess

import pytest

from conftest import BUILD

TRANSCRIPTS = sorted(pathlib.Path(__file__).parent.glob("transcripts/*.txt"))


class Streams:
    """Standard output and standard error of one command, in the order of writing: every write is a datagram, and both
    streams end in one socket."""

    def __init__(self, directory):
        self.receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.receiver.bind(str(directory / "all"))
        self.senders = {}
        for name in ("out", "err"):
            sender = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            sender.bind(str(directory / name))
            sender.connect(str(directory / "all"))
            self.senders[name] = sender

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for each in (self.receiver, *self.senders.values()):
            pathlib.Path(each.getsockname()).unlink()
            each.close()

    def lines(self, process):
        """Lines as (stream, text), until the process has ended and everything has been read."""
        started = {"out": b"", "err": b""}
        while True:
            ended = process.poll() is not None
            readable, _, _ = select.select([self.receiver], [], [], 0 if ended else 0.05)
            if not readable:
                if ended:
                    break
                continue
            data, sender = self.receiver.recvfrom(1 << 20)
            stream = pathlib.Path(sender).name
            *whole, started[stream] = (started[stream] + data).split(b"\n")
            for line in whole:
                yield stream, line.decode("utf-8", "replace")
        for stream, rest in started.items():
            if rest:
                yield stream, rest.decode("utf-8", "replace") + "[no newline]"


class Recorder:
    def __init__(self, directory):
        self.work = directory / "work"
        self.sockets = directory / "sockets"
        self.work.mkdir()
        self.sockets.mkdir()
        self.runs = []

    def environment(self):
        return {
            "PATH": os.pathsep.join([str(BUILD / "examples"), str(BUILD / "flows"), os.environ["PATH"]]),
            "HOME": str(self.work),
            "USER": "tester",
            "TZ": "UTC",
            "LC_ALL": "C.UTF-8",
            **{f"RUN{i + 1}": run for i, run in enumerate(self.runs)},
        }

    def mask(self, line):
        def run_name(match):
            if match[0] not in self.runs:
                self.runs.append(match[0])
            return f"RUN{self.runs.index(match[0]) + 1}"

        line = line.replace(str(self.work), "DIR").replace(str(BUILD), "BUILD")
        line = re.sub(r"\b1\d{15}\b", run_name, line)
        line = re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d\.\d{3}(\d{3}Z)?", "TIME", line)
        line = re.sub(r"\bpid \d+", "pid N", line)
        line = re.sub(r"( Wall time ).*, CPU time .*, peak memory of a task .*", r"\1T, CPU time T, peak memory of a task M.", line)
        line = re.sub(r"^(\d+ runs?): \S+ \w?B, ", r"\1: SIZE, ", line)
        line = re.sub(r"\b\d+\.\d+\.\d+ \(C\+\+\)", "VERSION", line)
        if "DIR" in line:
            line = re.sub(r"size: \d+", "size: N", line)
        # What is left of a stack depends on the build: which functions were inlined, whether there are lines.
        line = re.sub(r"(    thrown in .*?)(?: at \w+\.cc:\d+)?$", r"\1", line)
        line = re.sub(r"^_exception \[size: \d+", "_exception [size: N", line)
        line = re.sub(r"('stacktrace': '[^']*?\\n)[^']*'", r"\1STACK'", line)
        return re.sub(r"\+cpp\d+\.\d+\.\d+", "+cppVERSION", line)

    def record(self, command):
        """The command and what it printed."""
        with Streams(self.sockets) as streams:
            process = subprocess.Popen(
                ["bash", "-c", command],
                cwd=self.work,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=streams.senders["out"],
                stderr=streams.senders["err"],
            )
            printed = [f"$ {command}"]
            for stream, line in streams.lines(process):
                if "    called by " in line:
                    continue
                line = self.mask(line)
                printed.append(line if stream == "out" else f"! {line}" if line else "!")
        if process.returncode != 0:
            printed.append(f"[status {process.returncode}]")
        for run in sorted(path.name for path in self.work.glob(".metaflow/*/1*")):
            if run not in self.runs:  # started without a word
                self.runs.append(run)
        return printed


class Table:
    """The commands and options of a flow, and those that transcripts use, as (("tag", "add"), "--run-id")."""

    def __init__(self, root):
        self.root = root
        self.known = set(self.entries(root, ()))
        self.used = set()

    def entries(self, command, path):
        yield path, ""
        for option in command["options"]:
            yield path, option["name"]
        for sub in command["commands"]:
            yield from self.entries(sub, (*path, sub["name"]))

    def use(self, words):
        """Notes the words after the name of a program."""
        command, path = self.root, ()
        words = list(words)
        while words:
            word = words.pop(0)
            sub = next((c for c in command["commands"] if c["name"] == word), None)
            option = next((o for o in command["options"] if word.split("=")[0] in (o["name"], o["short_name"] or None, o["off_name"] or None)), None)
            if option:
                self.used.add((path, option["name"]))
                if option["value"] and "=" not in word:
                    words = words[1:]
            elif sub or (command["default_command"] and path):
                if not sub:
                    sub = next(c for c in command["commands"] if c["name"] == command["default_command"])
                    words.insert(0, word)
                command, path = sub, (*path, sub["name"])
                self.used.add((path, ""))


def test_every_command_and_option_is_in_a_transcript(cli):
    """A new one gets a line in transcripts/commands.txt; many options fit on one line."""
    table = Table(json.loads(cli("sweep", "help", "--json").out))
    table.used.add(((), ""))
    for file in TRANSCRIPTS:
        for line in file.read_text(errors="replace").splitlines():
            for command in re.split(r"[;|&()]|\$\(", line[2:]) if line.startswith("$ ") else ():
                # Quotes and redirections do not matter here.
                words = re.sub("['\"]", "", command).split()
                program = next((i for i, word in enumerate(words) if (BUILD / "examples" / word).is_file() or word.endswith("_flow")), None)
                if program is not None:
                    table.use(words[program + 1 :])
    unused = sorted(" ".join([*path, option]) for path, option in table.known - table.used)
    assert not unused


@pytest.mark.parametrize("file", TRANSCRIPTS, ids=lambda file: file.stem)
def test_transcript(file, tmp_path):
    recorder = Recorder(tmp_path)
    expected = file.read_bytes().decode().split("\n")
    actual = []
    for line in expected:
        if line.startswith("# "):
            actual.append(line)
        elif line.startswith("$ "):
            actual += [*recorder.record(line[2:]), ""]
    if os.environ.get("BLESS"):
        file.write_bytes("\n".join(actual).encode())
    else:
        assert actual == expected
