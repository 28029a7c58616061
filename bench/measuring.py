"""Runs commands, measures their cost, and prints the table."""
import mmap
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from dataclasses import dataclass


MAP_POPULATE = 0x8000  # mmap(2); Python has it from 3.10 on


@dataclass
class Measured:
    wall: float  # seconds
    cpu: float   # user and system time of the process and of all its descendants
    peak: int    # the largest resident set of the process itself, in bytes; 0 if not measured
    out: str


class MemoryWatch:
    """Reads the high-water mark of a process, and of its children, while it lives."""

    def __init__(self, pid):
        self.peak = 0
        self._pid, self._stop = pid, threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self):
        while not self._stop.wait(0.02):
            for pid in (self._pid, *self._children()):
                try:
                    with open(f"/proc/{pid}/status") as status:
                        for line in status:
                            if line.startswith("VmHWM:"):
                                self.peak = max(self.peak, int(line.split()[1]) * 1024)
                except OSError:
                    pass

    def _children(self):
        """A run is executed by a child: its scheduler."""
        try:
            with open(f"/proc/{self._pid}/task/{self._pid}/children") as children:
                return children.read().split()
        except OSError:
            return []

    def end(self):
        self._stop.set()
        self._thread.join()
        return self.peak


def measure(command, env=None, memory=False):
    """Runs a command to its end. It must succeed."""
    command = [str(part) for part in command]
    with tempfile.TemporaryFile() as out, open(os.devnull) as nothing:
        files = [(os.POSIX_SPAWN_DUP2, nothing.fileno(), 0), (os.POSIX_SPAWN_DUP2, out.fileno(), 1),
                 (os.POSIX_SPAWN_DUP2, out.fileno(), 2)]
        begin = time.monotonic()
        pid = os.posix_spawnp(command[0], command, {**os.environ, **(env or {})}, file_actions=files)
        watch = MemoryWatch(pid) if memory else None
        _, status, used = os.wait4(pid, 0)
        wall = time.monotonic() - begin
        peak = watch.end() if watch else 0
        out.seek(0)
        text = out.read().decode(errors="replace")
    if status != 0:
        sys.exit(f"bench: {' '.join(command)} failed:\n{text[-2000:]}")
    return Measured(wall, used.ru_utime + used.ru_stime, peak, text)


def touch_memory():
    """Writes to nearly all free memory, and frees it. A hypervisor takes back what its machine has freed, and gives it again at the next write:
    2 s per GiB with Firecracker, which would be measured in place of the copy."""
    with open("/proc/meminfo") as file:
        free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemFree:"))
    mmap.mmap(-1, free * 9 // 10 // mmap.PAGESIZE * mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_POPULATE).close()


def in_turns(repetitions, commands):
    """Measures functions in turns, so that other work on the machine affects all: {name: [Measured, ...]}."""
    measured = {name: [] for name in commands}
    for _ in range(repetitions):
        for name, command in commands.items():
            measured[name].append(command())
    return measured


def least(measured, of="cpu"):
    return min(getattr(each, of) for each in measured)


def middle(measured, of="wall"):
    return statistics.median(getattr(each, of) for each in measured)


class Room:
    """A directory for the files of a benchmark, on the disk of the build. Every store is a new directory."""

    def __init__(self, directory):
        self._directory = directory
        self._count = 0

    def __enter__(self):
        os.makedirs(self._directory, exist_ok=True)
        self._top = tempfile.mkdtemp(dir=self._directory)
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._top)

    def fresh(self):
        self._count += 1
        path = os.path.join(self._top, str(self._count))
        os.mkdir(path)
        return path


def store(path):
    """The environment that makes flows, ours and official ones, store below `path`."""
    return {"METAFLOW_DATASTORE_SYSROOT_LOCAL": path, "METAFLOW_USER": "bench", "METAFLOW_HOME": path, "HOME": path,
            "METAFLOW_DEFAULT_METADATA": "local", "METAFLOW_DEFAULT_DATASTORE": "local"}


@dataclass
class Files:
    files: int   # directory entries that are files, without blobs
    blobs: int   # directory entries that are blobs
    inodes: int  # directories and files, hard links counted once
    disk: int    # bytes allocated


def files_below(path):
    files, blobs, inodes, disk = 0, 0, set(), 0
    for directory, _, names in os.walk(path):
        if f"{os.sep}data{os.sep}" in directory:
            blobs += len(names)
        else:
            files += len(names)
        for name in [".", *names]:
            found = os.lstat(os.path.join(directory, name))
            if found.st_ino not in inodes:
                inodes.add(found.st_ino)
                disk += found.st_blocks * 512
    return Files(files, blobs, len(inodes), disk)


def seconds(value):
    for unit, scale in (("s", 1), ("ms", 1e3), ("us", 1e6)):
        if value * scale >= 1:
            return f"{value * scale:.2f} {unit}"
    return f"{value * 1e9:.1f} ns"


def amount(value):
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def size(value):
    for unit in ("B", "KB", "MB"):
        if value < 1024:
            return f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
        value /= 1024
    return f"{value:.2f} GB"


class Budget:
    """The limit of a row: of our number, or of its ratio to the peer's."""

    def __init__(self, text, ours=None, ratio=None):
        self.text, self.ours, self.ratio = text, ours, ratio

    def kept(self, ours, ratio):
        return ours <= self.ours if self.ours is not None else ratio <= self.ratio


class Table:
    WIDTHS = (46, 10, 43, 8, 22, 7)

    def __init__(self):
        self.missed = 0
        self._line("what", "ours", "peer", "ratio", "budget", "verdict")
        self._line(*("-" * width for width in self.WIDTHS))

    def _line(self, *cells):
        print("| " + " | ".join(f"{cell:<{width}}" for cell, width in zip(cells, self.WIDTHS)) + " |", flush=True)

    def row(self, what, ours, peer="", theirs=None, unit=seconds, budget=None):
        ratio = ours / theirs if theirs else None
        verdict = ""
        if budget:
            verdict = "kept" if budget.kept(ours, ratio) else "MISSED"
            self.missed += verdict == "MISSED"
        self._line(what, unit(ours), f"{peer}: {unit(theirs)}" if theirs else peer, f"{ratio:.3g}" if ratio else "",
                   budget.text if budget else "", verdict)
