"""Disturbs a flow at random instants, resumes it until it has succeeded, and compares what it left with an undisturbed run.

For test_chaos.py, and a program of its own (dev/chaos): chaos.py DISTURBANCES [SEED]. Every second chain is of the flow in Python. A chain is a run, or a resume, that is disturbed one
to four times and then left in peace: its processes are killed, a second machine resumes it, or its reader stops reading. The instants come
from the seed; what happens at them also depends on the machine."""

import collections
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
import typing
import uuid

from disturbances import PATIENCE, fork_server_of, kill, processes, scheduler_of, scratch, send, wait_until
from rivals import Rival, can_have_rivals, fast_leases
from snapshots import difference, look_at, snapshot, use_store

ROOT = pathlib.Path(__file__).resolve().parents[2]
RUN_DIRECTORY = re.compile(r"\d{16}")
PATIENCE = 60  # seconds, for what must happen at once


# --- what is in the store


def finished_positions(run_directory):
    """The tasks of a run that are marked as done: (step, place, pass)."""
    found = set()
    for done in run_directory.glob("*/*/*.DONE.lock"):
        attempt = int(done.name.split(".")[0])
        task = done.parent
        if (task / f"{attempt + 1}.attempt.json").exists() or task.parent.name == "_parameters":
            continue
        data = json.loads((task / f"{attempt}.data.json").read_text())
        own = data["cpp"]
        if not own.get("ok", True):
            continue
        found.add((task.parent.name, "".join(f"{index}," for index in own.get("place", [])), own.get("iteration") or 0))
    return found


# --- executions


class Disturbed:
    """One execution of the program that is disturbed, perhaps. `target`: what is killed (scheduler, guard, task, all; server, which it
    survives; point, at an operation on files), rival (a second machine), reader (of its output)."""

    def __init__(self, chain, words, target, instant):
        self.chain = chain
        self.target = target
        self.mark = f"METAFLOW_CHAOS_MARK={uuid.uuid4()}".encode()
        env = {**chain.environment, "METAFLOW_CHAOS_MARK": self.mark.split(b"=")[1].decode()}
        if target == "point":  # the scheduler is gone at its n-th operation on files
            env["METAFLOW_FAIL_AT"] = f"scheduler.*:KILL:{instant}"
        self.hit = False
        self.guard_killed = False
        self.rival = None
        self.lines = []
        with open(chain.directory / "stderr", "wb") as err:
            self.process = subprocess.Popen(
                [chain.program, *words], cwd=chain.directory, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=err
            )
        if target == "reader":  # a little is waited for
            fcntl.fcntl(self.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        if target and target != "point" and isinstance(instant, float):
            time.sleep(instant)  # the instant itself: there is nothing to be waited for
            self._disturb()
        for number, line in enumerate(self.process.stdout, 1):
            self.lines.append(line.decode())
            if target and target != "point" and number == instant and self._disturb() == "goes away":
                break
        self.process.stdout.close()
        self.status = self.process.wait(PATIENCE if chain.fast else 10 * PATIENCE)
        self.err = (chain.directory / "stderr").read_text()
        self.hit = self.hit and self.status != 0  # else it was over
        if target == "point":
            self.hit = self.status != 0
            self.guard_killed = self.status == -signal.SIGKILL and "was killed by SIGKILL" not in self.err
        self._nothing_is_left()
        if self.rival and self.rival.process:
            self.rival.await_end()

    def _disturb(self):
        """What it has become, if that is to be known."""
        if self.target == "rival":
            self.rival = Rival(self.chain, self)
        elif self.target == "reader":
            return self._stop_reading()
        elif self.target == "guard":
            self.guard_killed = self.hit = self.process.poll() is None and kill(self.process.pid)
        elif self.target == "scheduler":
            self._kill_scheduler()
        elif self.target == "all":
            self.kill_all()
        else:  # the next that there is
            while self.process.poll() is None and not self._kill_what_begins():
                pass
        return None

    def _kill_scheduler(self):
        scheduler = scheduler_of(self.process.pid)
        self.hit = scheduler is not None and kill(scheduler)

    def kill_all(self):
        order = list(processes(self.mark))
        self.chain.random.shuffle(order)
        self.guard_killed = self.hit = sum([kill(pid) for pid in order]) > 0

    def _kill_what_begins(self):
        if self.target == "task":
            tasks = [pid for pid, words in processes(self.mark).items() if b"step" in words]
            self.hit = bool(tasks) and kill(self.chain.random.choice(tasks))
            return self.hit
        server = fork_server_of(scheduler_of(self.process.pid))
        return server is not None and send(server, self.chain.random.choice([signal.SIGKILL, signal.SIGSTOP]))

    def _stop_reading(self):
        then = self.chain.random.choice(["goes on", "goes away", "scheduler is killed meanwhile"])
        self.chain.figures["readers: " + then] += 1
        if then != "goes away":
            time.sleep(self.chain.random.uniform(0.1, 3))
        if then == "scheduler is killed meanwhile":
            self._kill_scheduler()
        return then

    def _nothing_is_left(self):
        """A guard that lives takes all with it. Else the scheduler does, and with both gone the tasks die by themselves; what tasks
        have left behind is for resume."""
        own = str(self.chain.program).encode()
        if self.guard_killed:
            # The program may be a script, after an interpreter and its options.
            wait_until(lambda: not [w for w in processes(self.mark).values() if own in w[:3]], "a process of the run is left")
        else:
            left = processes(self.mark)
            assert not left, f"processes are left: {left}"

    def __repr__(self):
        rival = f"--- {self.rival}\n" if self.rival else ""
        return f"{self.target}, status {self.status}\n--- stdout\n{''.join(self.lines)}\n--- stderr\n{self.err}{rival}"


# --- chains


class Chain:
    """A flow that is disturbed, and resumed until it has succeeded, in a directory of its own. `fast`: leases end soon."""

    def __init__(self, program, directory, seed, reference, figures, fast):
        self.program = program.path
        self.flow = program.flow
        self.directory = directory
        self.random = random.Random(seed)
        self.reference = reference
        self.figures = figures
        directory.mkdir()
        self.log = directory / "executed"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "USER": "tester",
            "METAFLOW_CHAOS_LOG": str(self.log),
            **program.environment,
            **(fast_leases() if fast else {}),
        }
        self.fast = fast
        self.finished = set()  # tasks that may not be executed any more
        self.runs = set()
        self.marks = []

    def store(self):
        return self.directory / ".metaflow" / self.flow

    def command(self):
        return ["resume"] if (self.store() / "latest_run").exists() else ["run"]

    def newest(self):
        latest = self.store() / "latest_run"
        return latest.read_text() if latest.exists() else None

    def finished_now(self, run):
        return finished_positions(self.store() / run)

    def disturb(self, target, instant):
        """True if there is more to do."""
        words = self.command()
        if words == ["run"]:
            self.finished = set()  # there is nothing yet that a resume could find
        disturbed = Disturbed(self, words, target, instant)
        self.marks.append(disturbed.mark)
        self._check_run(words[0], disturbed)
        self.figures["kills " + target] += disturbed.hit
        self.figures["kills in " + words[0]] += disturbed.hit
        self.figures["disturbances"] += disturbed.hit or target in ("rival", "reader", "server")
        if disturbed.rival and disturbed.rival.process:
            self._check_rival(disturbed)
            return disturbed.rival.killed
        if disturbed.status == 0:
            self._check_end(disturbed)
            return False
        assert disturbed.hit, disturbed
        self._check_words(disturbed)
        return True

    def _check_rival(self, disturbed):
        rival = disturbed.rival
        rival.check()
        for pid in processes(disturbed.mark):
            assert rival.state == "killed", f"left by what stopped: {disturbed}"
            kill(pid)  # what tasks of another machine have left behind, resume cannot kill
        if rival.killed:
            self.finished = self.finished_now(self.newest())  # the other scheduler may have finished tasks without reporting them
            return
        if rival.status == 0 and disturbed.status != 0:
            assert self.newest() == rival.run, f"resume would not continue the run of who has it: {disturbed}"
        self._check_end(disturbed)

    def finish(self):
        words = self.command()
        if words == ["run"]:
            self.finished = set()
        last = Disturbed(self, words, "", 0)
        self.figures["resumes that succeeded"] += words == ["resume"]
        self._check_run(words[0], last)
        assert last.status == 0, last
        self._check_end(last)

    def _check_words(self, disturbed):
        said = "".join(disturbed.lines) + disturbed.err
        assert "Internal error" not in said and "terminate called" not in said, disturbed
        if disturbed.status == -signal.SIGKILL and not disturbed.guard_killed:
            assert "The scheduler of this run was killed by SIGKILL" in disturbed.err, disturbed
        elif disturbed.target == "task":
            assert disturbed.status == 1 and "Task was killed by SIGKILL" in said and "Workflow failed." in said, disturbed

    def _check_run(self, command, disturbed):
        """Of the runs that this execution made, if it came to that, and of that of a rival."""
        there = {path.name for path in self.store().glob("*") if RUN_DIRECTORY.fullmatch(path.name)}
        new = there - self.runs
        self.runs = there
        rival = disturbed.rival if disturbed.rival and disturbed.rival.process else None
        assert len(new) <= 1 + bool(rival), new
        before = self.finished
        for run in sorted(new):
            executed = collections.Counter()
            for line in self.log.read_text().splitlines() if self.log.exists() else []:
                run_id, step, *place, number = line.split(" ")
                if run_id == run:
                    executed[(step, place[0] if place else "", int(number))] += 1
            again = (rival.finished if rival and run == rival.run else before) & executed.keys()
            assert not again, f"finished before, and executed again: {sorted(again)}\n{disturbed}"
            twice = [position for position, count in executed.items() if count > 1]
            assert not twice, f"executed twice in one run: {twice}\n{disturbed}"
            self.figures["tasks executed"] += sum(executed.values())
            self.finished = self.finished | self.finished_now(run)
            client = use_store(self.directory)
            if (self.store() / run / "_meta" / "_self.json").exists() and (self.store() / "_meta" / "_self.json").exists():
                look_at(client.Run(f"{self.flow}/{run}"))
        if command == "resume":
            self.figures["tasks cloned"] += sum("Cloning previously run task" in line for line in disturbed.lines)

    def _check_end(self, last):
        run = use_store(self.directory).Run(f"{self.flow}/{self.newest()}")
        assert run.successful, last
        what = difference(snapshot(run), self.reference)
        assert not what, f"another result: {what}"
        for mark in self.marks:
            left = processes(mark)
            assert not left, f"left by what was killed: {left}"
        for name in self.store().rglob("*"):
            if name.name.startswith("."):
                assert re.fullmatch(r"\.mf-\d+-\d+\.tmp", name.name), f"{name} is left"
                self.figures["temporary files left"] += 1
        status = subprocess.run([self.program, "status", run.id], cwd=self.directory, env=self.environment, capture_output=True, timeout=60)
        assert status.returncode == 0, status


class Program(typing.NamedTuple):
    path: pathlib.Path
    flow: str
    environment: dict = {}


def in_python(directory):
    """The flow in Python, as a program."""
    path = directory / "chaos"
    path.write_text(f"#!{sys.executable} -B\n" + (ROOT / "test/e2e/flows_in_python/chaos.py").read_text())
    path.chmod(0o755)
    engine = pathlib.Path(os.environ["METAFLOW_BUILD"]).resolve() / "python/metaflow_cpp/native"
    return Program(path, "Chaos", {"PYTHONPATH": str(ROOT / "python"), "METAFLOW_ENGINE_DIRECTORY": str(engine)})


def undisturbed(program, directory):
    """The results, the number of lines, the seconds and the operations on files of the scheduler, of a run and of a resume of it."""
    directory.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(directory), "USER": "tester", "METAFLOW_FAIL_AT": "scheduler.*:none:1:sticky"}
    environment |= program.environment
    found = {}
    for command in ("run", "resume"):
        log = directory / f"{command}_operations"
        begin = time.monotonic()
        out = subprocess.run(
            [program.path, command], cwd=directory, env={**environment, "METAFLOW_FAIL_LOG": str(log)}, stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
        )
        assert out.returncode == 0, out
        found[command] = (out.stdout.count(b"\n"), time.monotonic() - begin, log.read_text().count("\n"))
    return snapshot(use_store(directory).Flow(program.flow).latest_run), found


TARGETS = ["scheduler", "scheduler", "guard", "task", "all", "point", "point", "point", "server", "reader"]
PATIENT = 0.01  # of the chains wait for real leases, which takes minutes


def chaos(programs, directory, disturbances, seed, patient=PATIENT, say=lambda text: None):
    """Gives back what happened, counted."""
    figures = collections.Counter()
    begin = time.monotonic()
    references = [undisturbed(program, directory / f"undisturbed_{number}") for number, program in enumerate(programs)]
    targets = TARGETS + ["rival"] * 3 * can_have_rivals()
    while figures["disturbances"] < disturbances:
        chains = figures["chains"]
        choice = random.Random(f"{seed}/{chains}")
        which = chains % len(programs)
        reference, scale = references[which]
        place = directory / f"chain_{chains}"
        fast = choice.random() >= patient
        chain = Chain(programs[which], place, f"{seed}/{chains}/kills", reference, figures, fast)
        target, instant = "", 0
        try:
            for _ in range(choice.randint(1, 4)):
                lines, seconds, operations = scale[chain.command()[0]]
                target = choice.choice(targets) if fast else "rival"
                if target == "point":
                    instant = choice.randint(1, operations)
                elif target in ("task", "server", "reader") or choice.random() < 0.5:
                    instant = choice.randint(1, lines)
                else:
                    instant = choice.random() * seconds
                if not chain.disturb(target, instant):
                    break
            else:
                target = "left in peace"
                chain.finish()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, chain {chains}, {target} at {instant}, in {place}: {error}") from error
        for mark in chain.marks:
            for pid in processes(mark):
                kill(pid)
        shutil.rmtree(place)
        figures["chains"] += 1
        if figures["chains"] % 20 == 0:
            say(f"{figures['disturbances']} disturbances in {figures['chains']} chains, {time.monotonic() - begin:.0f} s")
    figures["seconds"] = round(time.monotonic() - begin)
    return figures


def main():
    disturbances = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(1_000_000)
    build = pathlib.Path(os.environ["METAFLOW_BUILD"]).resolve()
    print(f"{disturbances} disturbances, seed {seed}", flush=True)
    directory = scratch("chaos")
    programs = [Program(build / "flows/chaos_flow", "Chaos"), in_python(directory)]
    try:
        figures = chaos(programs, directory, disturbances, seed, say=lambda text: print(text, flush=True))
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    for name in sorted(figures):
        print(f"{figures[name]:8,}  {name}")
    shutil.rmtree(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
