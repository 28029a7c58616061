"""A second machine for chaos.py: a `resume` that is started there while the first scheduler lives, is stopped, or was just killed."""

import os
import pathlib
import re
import signal
import subprocess
import threading
import uuid

from disturbances import PATIENCE, kill, processes, scheduler_of, send

# Leases end within three seconds then, and not within 90: test/preload/fast_leases.cc.
SPEED = 30
TERM = 90 / SPEED
HOST = "second-machine"
ARRIVE = 'hostname "$1" && mount --bind "$2" /proc/sys/kernel/random/boot_id && shift 2 && exec "$@"'
REFUSALS = "is being executed by", "is being resumed by", "was resumed by"
# Only what was on its way to the store when its scheduler was stopped may arrive later: docs/decisions/leases.md.
MOST_ON_THEIR_WAY = 4


def can_have_rivals():
    """That needs root, and a system that lets it have machines."""
    return subprocess.run(["unshare", "-u", "-m", "-p", "--fork", "--mount-proc", "true"], capture_output=True).returncode == 0


def fast_leases():
    """The environment in which leases end soon."""
    library = pathlib.Path(os.environ["METAFLOW_BUILD"]).resolve() / "programs/libfast_leases.so"
    assert library.exists(), library
    return {"LD_PRELOAD": str(library), "METAFLOW_TEST_LEASE_SPEED": str(SPEED)}


class Rival:
    """`resume` on another machine. Made when it begins; `first` is the execution (chaos.py) that it meets."""

    def __init__(self, chain, first):
        self.chain = chain
        self.first = first
        choice = chain.random
        self.killed = False
        self.state = choice.choice(["lives", "stopped", "stopped", "suspended", "killed"])
        self.takes_over = chain.fast and choice.random() < 0.6
        self.origin = chain.newest()
        if self.origin is None:
            self.process = None
            return
        self.stopped = self._stop()
        self.finished = chain.finished_now(self.origin)
        seconds = choice.uniform(0.1, 2 * TERM) if chain.fast else 2 * TERM * SPEED
        self.waker = threading.Timer(seconds, self.let_go_on)
        self.mark = f"METAFLOW_CHAOS_MARK={uuid.uuid4()}".encode()
        boot = chain.directory / "boot_id"
        boot.write_text(f"{uuid.UUID(int=choice.getrandbits(128))}\n")
        words = ["resume", "--origin-run-id", self.origin] + ["--take-over"] * self.takes_over
        machine = ["unshare", "-u", "-m"] + choice.choice([[], ["-p", "--fork", "--kill-child", "--mount-proc"]])
        self.path = chain.directory / "rival"
        with open(self.path, "wb") as said:
            self.process = subprocess.Popen(
                [*machine, "sh", "-c", ARRIVE, "sh", HOST, boot, chain.program, *words],
                cwd=chain.directory,
                env={**chain.environment, "METAFLOW_CHAOS_MARK": self.mark.split(b"=")[1].decode()},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        self.waker.start()
        self.killer = threading.Timer(choice.uniform(0, 2), self._kill)
        if chain.fast and choice.random() < 0.25:
            self.killer.start()

    def _stop(self):
        """What is to go on later."""
        guard = self.first.process.pid
        scheduler = scheduler_of(guard)
        pids = {"lives": [], "stopped": [scheduler] if scheduler else []}.get(self.state, list(processes(self.first.mark)))
        if self.state == "killed":
            self.first.kill_all()
            return []
        return [pid for pid in pids if send(pid, signal.SIGSTOP)]

    def _kill(self):
        self.killed = sum([kill(pid) for pid in processes(self.mark)]) > 0

    def let_go_on(self):
        for pid in self.stopped:
            send(pid, signal.SIGCONT)

    def await_end(self):
        """After the first one has ended."""
        self.status = self.process.wait(PATIENCE if self.chain.fast else 4 * TERM * SPEED)
        self.waker.cancel()
        self.killer.cancel()
        if self.killer.ident:
            self.killer.join()
        self.killed = self.killed and self.status != 0
        self.said = self.path.read_text()
        left = processes(self.mark)
        assert not left, f"left by the second machine: {left}"
        self.chain.figures[f"second machines, first {self.state}, {'taking over' if self.takes_over else 'waiting'}"] += 1
        if not self.chain.fast:
            self.chain.figures["second machines, with real leases"] += 1

    @property
    def run(self):
        found = re.search(r"Workflow starting \(run-id (\d+)\)", self.said)
        return found[1] if found else None

    def check(self):
        """After it has ended."""
        first, chain = self.first, self.chain
        told = "".join(first.lines) + first.err
        # Or it was stopped before it had begun.
        lost = any(words in told for words in ("was taken over by", *REFUSALS))
        if self.killed:
            assert first.status == 0 or lost or first.hit, first
            chain.figures["second machines that were killed"] += 1
            return
        if self.status != 0:
            assert not self.takes_over, self
            assert self.state != "killed" and any(words in self.said for words in REFUSALS), self
            chain.figures["second machines that were refused"] += 1
            return
        if not self.takes_over and first.status == 0 and "Task is starting" in self.said:
            # Else the first was suspended before it looked for the run to resume, and has cloned that of the second.
            assert "Task is starting" not in told, f"both have executed it: {self}\n{first}"
        if first.status == 0:
            chain.figures["second machines that came too late"] += 1
            return
        assert lost or first.hit, first
        chain.figures["schedulers that noticed their loss"] += lost
        self.check_origin()

    def check_origin(self):
        """What a scheduler has committed after another one had taken its run over, without its noticing: nothing."""
        if self.state in ("stopped", "suspended") and not self.takes_over:
            late = self.chain.finished_now(self.origin) - self.finished
            self.chain.figures["marks that were on their way"] += len(late)
            assert len(late) <= MOST_ON_THEIR_WAY, f"committed after the run was lost: {sorted(late)}\n{self}\n{self.first}"

    def __repr__(self):
        return f"second machine, first {self.state}, {'taking over' if self.takes_over else 'waiting'}, status {self.status}\n{self.said}"
