"""A run of very many tasks that is disturbed all the time, until it has succeeded: dev/soak. soak.py [TASKS [SECONDS [SEED]]]

For SECONDS, at random instants: signals to the scheduler, its guard, its fork server and its tasks; operations on files that fail; a
disk that is full for a while; a terminal or pipe that is not read for a while. What ends the run is followed by a resume. Then the run
is left in peace, and must end with the undisturbed result. Memory and descriptors of each scheduler and fork server are watched, and
must not grow."""

import collections
import os
import pathlib
import pty
import random
import re
import select
import shutil
import signal
import statistics
import subprocess
import sys
import threading
import time
import uuid

from disturbances import children_of, fork_server_of, kill, processes, scheduler_of, scratch, send, tasks_of, wait_until
from snapshots import use_store

STEP = "work"
PACE = 2.0  # seconds between two disturbances that a run survives, on average
ROOM = 1 << 36  # bytes; a disk is full when it has no more room than it needs
ENDS = 12  # about so many disturbances end it
# What may grow: the keys of what a join will read. Bytes per task, and in all for what an allocator does.
BYTES_PER_TASK = 150
BYTES = 3 << 20
DESCRIPTORS = 80  # two pipes and a process for each of 16 workers, and some
POINTS = "open read examine list create write publish replace link append mkdir sync start thread".split()
ERRORS = "ENOSPC EIO EMFILE EAGAIN EROFS EACCES EINTR KILL".split()


class Output:
    """Reads what a run prints, as long as it is not told to stop."""

    def __init__(self, fd):
        self.fd = fd
        self.lines = 0
        self.last = b""
        self.reads = threading.Event()
        self.reads.set()
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self):
        while True:
            self.reads.wait()
            if not select.select([self.fd], [], [], 0.2)[0]:
                continue
            try:
                data = os.read(self.fd, 65536)
            except OSError:  # a terminal that no process has open any more
                data = b""
            if not data:
                break
            self.lines += data.count(b"\n")
            self.last = (self.last + data)[-5000:]
        os.close(self.fd)


class Watched:
    """What a process needs, while there are more and more tasks."""

    def __init__(self, name):
        self.name = name
        self.samples = []  # tasks, bytes, descriptors

    def look(self, pid, tasks):
        try:
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            own = int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024
            self.samples.append((tasks, own, len(os.listdir(f"/proc/{pid}/fd"))))
        except (OSError, TypeError):
            pass

    def judge(self, say):
        """It grows if its last third needs more than its second: the first fills what is kept for later use."""
        third = len(self.samples) // 3
        if third < 5:
            return []
        parts = [self.samples[i * third : (i + 1) * third] for i in range(3)]
        tasks, own, fds = ([statistics.median(sample[i] for sample in part) for part in parts] for i in range(3))
        most = [max(sample[2] for sample in part) for part in parts]
        for part in zip(tasks, own, fds, most):
            say("{}: {:,.0f} tasks, {:,.0f} KiB, {:.0f} descriptors (at most {})".format(self.name, part[0], part[1] / 1024, *part[2:]))
        found = []
        if own[2] - own[1] > BYTES + BYTES_PER_TASK * max(0, tasks[2] - tasks[1]):
            found.append(f"{self.name}: its memory grows")
        if max(most) > DESCRIPTORS:
            found.append(f"{self.name}: it has too many descriptors")
        return found


class Soak:
    def __init__(self, program, directory, tasks, seconds, seed, say):
        self.program = program
        self.errors = directory / "stderr"
        self.directory = directory / "disk"
        self.tasks = tasks
        self.random = random.Random(seed)
        self.say = say
        self.store = self.directory / ".metaflow/Wide"
        self.figures = collections.Counter()
        self.grown = []
        self.ends = []
        self.begin = time.monotonic()
        self.disturbed_until = self.begin + seconds
        self.pace_of_ends = max(seconds / ENDS, 5)
        self.executions = 0
        self.has_disk = self._mount()

    def _mount(self):
        """A disk of its own, which can be full."""
        self.directory.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", "nr_inodes=0", "soak", self.directory]
        if subprocess.run(mount, capture_output=True).returncode != 0:
            return False
        self._make_room(ROOM)
        return True

    def _make_room(self, size):
        subprocess.run(["mount", "-o", f"remount,size={size},nr_inodes=0", self.directory], check=True, capture_output=True)

    def is_over(self):
        return time.monotonic() > self.disturbed_until

    def newest(self):
        try:
            return (self.store / "latest_run").read_text()
        except FileNotFoundError:
            return None

    def count(self, run):
        try:
            return sum(name.isdigit() for name in os.listdir(self.store / run / STEP))
        except (OSError, TypeError):
            return 0

    def execute(self):
        """One run or resume, to its end. True: it has succeeded."""
        newest = self.newest()
        for old in self.store.glob("[0-9]*"):
            if old.name != newest:  # room for more
                shutil.rmtree(old)
        words = ["resume"] if newest else ["run", "--width", str(self.tasks)]
        words += ["--max-num-splits", str(self.tasks)]
        if self.random.random() < 0.3:
            words += ["--with", "retry:times=2"]
        self.executions += 1
        self.mark = f"METAFLOW_SOAK_MARK={uuid.uuid4()}".encode()
        env = {"PATH": os.environ["PATH"], "HOME": str(self.directory), "USER": "tester", "TERM": "xterm"}
        env["METAFLOW_SOAK_MARK"] = self.mark.split(b"=")[1].decode()
        self.may_fail = False
        failure = "none"
        if not self.is_over() and self.random.random() < 0.3:
            where = self.random.choice(["scheduler", "scheduler", "scheduler", STEP])
            instant = self.random.randint(1, 5 * self.tasks if where == "scheduler" else 30)
            failure = f"{where}.{self.random.choice(POINTS)}:{self.random.choice(ERRORS)}:{instant}"
            env["METAFLOW_FAIL_AT"] = failure
            self.may_fail = True
            self.figures["executions with a failing operation"] += 1
        terminal = self.random.random() < 0.3
        ours, theirs = pty.openpty() if terminal else os.pipe()
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                [self.program, *words], cwd=self.directory, env=env, stdin=subprocess.DEVNULL, stdout=theirs, stderr=errors
            )
        os.close(theirs)
        self.out = Output(ours)
        begin = time.monotonic()
        self._disturb_until_it_ends()
        self.out.reads.set()
        status = self.process.wait(60)
        wait_until(lambda: not self._left(), "a process of the run is left")
        self.out.thread.join(60)
        said = self.out.last.decode("utf-8", "replace") + self.errors.read_text()[-5000:]
        seconds = time.monotonic() - begin
        self.say(f"{words[0]} {self.executions}: status {status} after {seconds:.0f} s, {self.count(self.newest()):,} tasks, failing: {failure}")
        assert "Internal error" not in said and "terminate called" not in said, said
        assert status == 0 or self.may_fail, f"status {status}, and nothing had ended it: {said}"
        self.figures["lines read"] += self.out.lines
        return status == 0

    def _left(self):
        own = str(self.program).encode()
        return [words for words in processes(self.mark).values() if words[0] == own]

    def _disturb_until_it_ends(self):
        now = time.monotonic()
        next_end = now + self.random.expovariate(1 / self.pace_of_ends)
        next_other = now + self.random.expovariate(1 / PACE)
        later = []  # (time, what is to be undone then)
        watched = {}
        sampled = 0.0
        while self.process.poll() is None:
            now = time.monotonic()
            for item in [item for item in later if item[0] <= now]:
                later.remove(item)
                item[1]()
            if now - sampled > 1:
                sampled = now
                self._sample(watched)
            if self.is_over():
                pass
            elif now > next_end:
                self.may_fail = True
                self.end_it()
                next_end = now + self.random.expovariate(1 / self.pace_of_ends)
            elif now > next_other:
                undo = self.disturb()
                if undo:
                    later.append((now + self.random.choice([0.1, 1, 4, 15]) * self.random.random(), undo))
                next_other = now + self.random.expovariate(1 / PACE)
            time.sleep(0.02)
        for _, undo in later:
            undo()
        for process in watched.values():
            self.grown += process.judge(self.say)

    def _sample(self, watched):
        scheduler = scheduler_of(self.process.pid)
        if scheduler is None:
            return
        run = max((path.name for path in self.store.glob("[0-9]*")), default=None)
        tasks = self.count(run)
        for name, pid in (("scheduler", scheduler), ("fork server", fork_server_of(scheduler))):
            if pid is not None:
                watched.setdefault((name, pid), Watched(f"  {name} {pid}")).look(pid, tasks)

    # --- what ends it

    def end_it(self):
        guard = self.process.pid
        if not self.ends:  # each of them, in some order
            self.ends = ["scheduler", "guard", "all", "task", "SIGTERM", "SIGINT", "SIGHUP", "full disk"]
            self.random.shuffle(self.ends)
        what = self.ends.pop()
        self.figures["ends: " + what] += 1
        scheduler = scheduler_of(guard)
        if what == "scheduler" and scheduler:
            kill(scheduler)
        elif what == "guard":
            kill(guard)
        elif what == "all":
            for pid in processes(self.mark):
                kill(pid)
        elif what == "task" and scheduler:
            for pid in tasks_of(scheduler)[:1]:
                kill(pid)
        elif what.startswith("SIG"):
            send(guard, getattr(signal, what))
        elif what == "full disk" and self.has_disk:
            self._fill_the_disk()
            time.sleep(self.random.uniform(0.5, 4))
            self._make_room(ROOM)

    def _fill_the_disk(self):
        """Up to what little is needed between a look and the order."""
        for left in (1 << 20, 1 << 22, 1 << 24):
            now = os.statvfs(self.directory)
            try:
                return self._make_room((now.f_blocks - now.f_bfree) * now.f_frsize + left)
            except subprocess.CalledProcessError:
                pass
        raise AssertionError("the disk cannot be filled")

    # --- what it survives

    def disturb(self):
        """What undoes it, if that is to be done."""
        scheduler = scheduler_of(self.process.pid)
        if scheduler is None:
            return None
        what = self.random.choice(["stop scheduler", "stop tasks", "stop all", "kill fork server", "stop fork server", "no reader"])
        if what == "no reader":
            self.figures[what] += 1
            self.out.reads.clear()
            return self.out.reads.set
        server = fork_server_of(scheduler)
        stopped = {
            "stop scheduler": [scheduler],
            "stop tasks": tasks_of(scheduler),
            "stop all": [scheduler, *children_of(scheduler)],
            "stop fork server": [server] if server else [],
        }
        self.figures[what] += 1
        if what == "kill fork server":
            if server and self.random.random() < 0.3:  # else there is none any more
                kill(server)
            return None
        pids = [pid for pid in stopped[what] if send(pid, signal.SIGSTOP)]
        return lambda: [send(pid, signal.SIGCONT) for pid in pids]

    # --- the end

    def check(self):
        run = use_store(self.directory).Flow("Wide").latest_run
        assert run.successful and run.id == self.newest(), run
        assert run["join"].task["values"].data == list(range(self.tasks - 1, -1, -1)), "another result"
        done = [path.parent.name for path in (self.store / run.id / STEP).glob("*/*.DONE.lock")]
        assert len(done) == len(set(done)) == self.tasks, f"{len(done)} tasks are done, {len(set(done))} of them different"
        left = [path for path in (self.store / run.id).rglob(".*")]
        assert not left, f"left: {left[:5]}"
        assert not self.grown, "\n".join(self.grown)


def main():
    tasks, seconds, seed = [int(word) for word in sys.argv[1:]] + [100_000, 1800, random.SystemRandom().randrange(1_000_000)][len(sys.argv) - 1 :]
    program = pathlib.Path(os.environ["METAFLOW_BUILD"]).resolve() / "flows/wide_flow"
    directory = scratch("soak")
    soak = Soak(program, directory, tasks, seconds, seed, lambda text: print(text, flush=True))
    disk = "" if soak.has_disk else " (no full disk: that needs root)"
    print(f"{tasks:,} tasks, disturbed for {seconds} s, seed {seed}, in {directory}{disk}", flush=True)
    try:
        while not soak.execute():
            pass
        soak.check()
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    soak.figures["executions"] = soak.executions
    soak.figures["seconds"] = round(time.monotonic() - soak.begin)
    for name in sorted(soak.figures):
        print(f"{soak.figures[name]:8,}  {name}")
    if soak.has_disk:
        subprocess.run(["umount", soak.directory], check=True)
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
