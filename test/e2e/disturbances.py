"""What chaos.py and soak.py disturb runs with: their processes, and where they are."""

import os
import pathlib
import signal
import tempfile
import time

PATIENCE = 60  # seconds, for what must happen at once
FORK_SERVER = b"fork-server"  # its first argument: src/base/fork_protocol.h. In Python after interpreter, options and script


def processes(mark):
    """Every process with this variable in its environment: {pid: command line}. Zombies have none."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                words = (entry / "cmdline").read_bytes().split(b"\0")
                if words[0]:
                    found[int(entry.name)] = words
        except OSError:
            pass
    return found


def children_of(pid):
    """Of a process with one thread that makes some, the oldest first: {pid: command line}."""
    found = {}
    try:
        for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            found[int(child)] = pathlib.Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")
    except OSError:
        pass
    return found


def scheduler_of(guard):
    return next(iter(children_of(guard)), None)


def fork_server_of(scheduler):
    return next((pid for pid, words in children_of(scheduler).items() if FORK_SERVER in words), None)


def tasks_of(scheduler):
    return [pid for pid, words in children_of(scheduler).items() if b"step" in words]


def send(pid, number):
    """True if there was such a process."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def kill(pid):
    return send(pid, signal.SIGKILL)


def wait_until(what, words, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not what():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {patience} s: {words}")
        time.sleep(0.002)


def scratch(name):
    """In memory, if possible: thousands of files are made and removed."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    return pathlib.Path(tempfile.mkdtemp(prefix=f"metaflow-{name}-", dir=memory))
