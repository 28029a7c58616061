"""What the tests of remote platforms share: who runs flows there, and a gate before which their tasks wait."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from conftest import BUILD

READ = """
import json, sys
from metaflow import Run, namespace
namespace(None)
run = Run(sys.argv[1])
def value(artifact):
    try:
        return artifact.data
    except AttributeError as error:  # of a class that only the flow knows
        return repr(error)
def of(task):
    return {"data": {a.id: value(a) for a in task if not a.id.startswith("_")}, "out": task.stdout, "err": task.stderr, "ok": task.successful,
            "attempts": task.metadata_dict.get("attempt"), "exception": str(task.exception) if task.exception else None, "code": bool(task.code)}
print(json.dumps({"ok": run.successful, "tasks": {step.id: [of(task) for task in step] for step in run}}, default=repr))
"""


def wait_until(holds, seconds=45):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it does not happen"
        time.sleep(0.05)


def check_backend(platform, environment):
    """What every backend promises (src/compute/backend_test.cc), of this one, with these variables. The flow is scripted_task, whose
    step `greedy` is to run out of memory."""
    process = subprocess.run(
        [BUILD / "test" / "unit_tests", f"--gtest_filter=*BackendTest*/{platform}"],
        env={**os.environ, **environment, "METAFLOW_TEST_PLATFORM": platform, "METAFLOW_TEST_S3": "s3://runs/suite"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stdout[-5000:] + process.stderr[-2000:]
    assert "[  PASSED  ]" in process.stdout and f"/{platform} (" in process.stdout, process.stdout


class User:
    """Runs flows elsewhere, with these variables, and reads what became of them."""

    def __init__(self, cli, variables):
        self.cli, self.variables = cli, variables
        cli.environment.update(variables)

    def run(self, program, *arguments, **more):
        return self.cli(program, "run", "--run-id-file", self.cli.directory / "id", *arguments, **more)

    @property
    def run_id(self):
        return (self.cli.directory / "id").read_text()

    def run_id_is_known(self):
        return (self.cli.directory / "id").exists()

    def start(self, program, *arguments, command="run"):
        """A run in the background."""
        command = [self.cli.path(program), command, "--run-id-file", self.cli.directory / "id", *arguments]
        return subprocess.Popen(
            [*map(str, command)], cwd=self.cli.directory, env=self.cli.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def resume_beside(self, program, origin, gate):
        """`resume` of a run whose tasks still wait at the gate: they may end when it has found them. Gives back what it printed."""
        process = self.start(program, "--origin-run-id", origin, command="resume")
        lines = []
        for line in process.stdout:
            lines.append(line)
            if "still running" in line:
                break
        assert f"of run {origin} " in lines[-1], lines
        gate.release()
        out = "".join(lines) + process.communicate(timeout=90)[0]
        assert process.returncode == 0, out
        return out

    def read(self, flow, run_id=None):
        """What the official client sees."""
        done = self.cli.read(READ, f"{flow}/{run_id or self.run_id}")
        assert done.status == 0, done
        return json.loads(done.out)


class Gate:
    """Where tasks of the flow `placed` report, and wait."""

    def __init__(self, address="127.0.0.1"):
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        self.waiting = []
        self.changed = threading.Condition()
        self.open = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            item = int(connection.makefile().readline() or "-1")
            with self.changed:
                self.waiting.append((item, connection))
                self.changed.notify_all()
                if self.open:
                    connection.sendall(b"!")

    def wait_for(self, number, seconds=60):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.waiting) >= number, seconds), f"{len(self.waiting)} of {number} tasks came"
            return [item for item, _ in self.waiting]

    def release(self):
        with self.changed:
            self.open = True
            for _, connection in self.waiting:
                try:
                    connection.sendall(b"!")
                except OSError:
                    pass


def interrupt(process, twice=False, seconds=60):
    """Ctrl-C, and once more when the first was understood. What it printed since."""
    lines = []
    process.send_signal(signal.SIGINT)
    if twice:
        for line in process.stdout:
            lines.append(line)
            if "Workflow interrupted" in line:
                break
        process.send_signal(signal.SIGINT)
    return "".join(lines) + process.communicate(timeout=seconds)[0]


def kill_scheduler(process):
    """The process that the guard, which was started, watches over."""
    (child,) = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[:1]
    os.kill(int(child), signal.SIGKILL)
    process.wait()
