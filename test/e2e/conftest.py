"""Whole flows, run as a user runs them.

The environment variable METAFLOW_BUILD names the build tree. Every test has a directory of its own as current directory, in which
the store is made."""

import os
import pathlib
import re
import signal
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import warm  # noqa: E402
from python_cli import configured, py  # noqa: E402, F401

# Flows inherit what is ignored, which it is where the tests are a background job of a script: here they are not.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)

BUILD = pathlib.Path(os.environ["METAFLOW_BUILD"]).resolve()
# Milliseconds: a scheduler whose loop waits longer for anything ends with SIGABRT, and says what waited. Disks may take their time, and
# instrumented programs. METAFLOW_TEST_WATCHDOG: another limit, to look for what waits.
SANITIZED = os.environ.get("METAFLOW_SANITIZED") == "1"
IN_MEMORY = os.environ.get("PYTEST_DEBUG_TEMPROOT", "").startswith("/dev/shm")
WATCHDOG = os.environ.get("METAFLOW_TEST_WATCHDOG") or ("100" if IN_MEMORY and not SANITIZED else "2000")
PYTHON_FLOWS = pathlib.Path(__file__).parent / "python"


class Result:
    """What a command printed, and its status."""

    def __init__(self, process):
        self.status = process.returncode
        self.out = process.stdout.decode("utf-8", "replace")
        self.err = process.stderr.decode("utf-8", "replace")

    @property
    def lines(self):
        """The lines of the standard output without times and process ids: '[start/1] Task is starting.'"""
        lines = []
        for line in self.out.splitlines():
            line = re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} ", "", line)
            line = re.sub(r"^\[\d{16}/([^ \]]*)(?: \(pid \d+\))?\]", r"[\1]", line)
            line = re.sub(r"\d{16}", "RUN", line)
            lines.append(line)
        return lines

    def __repr__(self):
        return f"status {self.status}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


class Cli:
    """Runs the programs of the build tree in one directory."""

    build = BUILD

    def __init__(self, directory):
        self.directory = directory
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "USER": "tester",
            "METAFLOW_CLIENT_CACHE_PATH": str(directory / "client_cache"),
            "METAFLOW_LOOP_WATCHDOG": WATCHDOG,
        }

    def path(self, program):
        """Examples go by their names, the flows of the tests without their _flow."""
        for place in (BUILD / "examples" / program, BUILD / "flows" / f"{program}_flow", BUILD / "programs" / program):
            if place.exists():
                return place
        raise FileNotFoundError(program)

    def execute(self, command, env=None, timeout=120, **more):
        process = subprocess.run(
            [*map(str, command)],
            cwd=self.directory,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            **more,
        )
        result = Result(process)
        blocked = re.search(r"The event loop was blocked.*(\n  .*)*", result.err)
        assert not blocked, blocked.group()
        return result

    def __call__(self, program, *arguments, **more):
        return self.execute([self.path(program), *arguments], **more)

    def python(self, program, *arguments, interpreter=sys.executable, **more):
        """A flow in Python: python/PROGRAM_flow.py, with the official metaflow."""
        return self.execute([interpreter, "-B", PYTHON_FLOWS / f"{program}_flow.py", "--no-pylint", *arguments], **more)

    def read(self, program, *arguments):
        """A program in Python that reads runs with the official client: its text, or its path."""
        code = [program] if isinstance(program, pathlib.Path) else ["-c", program]
        return Result(warm.run([*code, *arguments], env=self.environment, cwd=self.directory))

    def run(self, program, *arguments, **more):
        """`run`, which must succeed; gives back the run id."""
        return self._run(lambda *words: self(program, *words, **more), *arguments)

    def run_python(self, program, *arguments, **more):
        return self._run(lambda *words: self.python(program, *words, **more), *arguments)

    def _run(self, execute, *arguments):
        id_file = self.directory / "run-id"
        id_file.unlink(missing_ok=True)
        result = execute("run", "--run-id-file", id_file, *arguments)
        assert result.status == 0, result
        return id_file.read_text()

    def resume(self, program, *arguments, status=0, **more):
        """`resume` of the flow; gives back the id of the new run (nothing if it did not begin) and what it printed."""
        id_file = self.directory / "resumed-id"
        id_file.unlink(missing_ok=True)
        result = self(program, "resume", "--run-id-file", id_file, *arguments, **more)
        assert result.status == status, result
        return id_file.read_text() if id_file.exists() else None, result

    def fail(self, program, *arguments, **more):
        """`run`, which must fail after it has begun; gives back the run id and what it printed."""
        id_file = self.directory / "run-id"
        id_file.unlink(missing_ok=True)
        result = self(program, "run", "--run-id-file", id_file, *arguments, **more)
        assert result.status == 1, result
        return id_file.read_text(), result


# Cases of these tests differ in their graphs, their data or their faults, not in the code that they execute: instrumented, every so
# many are enough.
SAMPLED_CASES = {
    "test_shapes.py": 18,
    "test_retry.py": 16,
    "test_resume.py": 18,
    "test_resume_damage.py": 9,
    "test_resume_python.py": 18,
    "test_values.py": 4,
    "test_damage.py": 4,
    "test_failures.py": 4,
    "test_joins.py": 3,
    "test_store_failures.py": 2,
    "test_transcripts.py": 2,
}
# What executes packages in containers, or talks to many servers: every so many tests of the file.
SAMPLED_TESTS = {
    "test_batch.py": 14,
    "test_batch_docker.py": 6,
    "test_client_library.py": 2,
    "test_kubernetes.py": 22,
    "test_kubernetes_client.py": 3,
    "test_kubernetes_credentials.py": 3,
    "test_kubernetes_failures.py": 22,
    "test_kubernetes_stopping.py": 22,
    "test_kubernetes_waiting.py": 22,
    "test_package.py": 12,
    "test_package_fetching.py": 12,
    "test_completion.py": 4,
    "test_process.py": 6,
    "test_s3.py": 8,
    "test_init.py": 4,
    "test_several_flows.py": 4,
    "test_service.py": 8,
    "test_service_access.py": 4,
}


def pytest_collection_modifyitems(config, items):
    """The others are counted as deselected."""
    if not SANITIZED:
        return
    seen, kept, left = {}, [], []
    for item in items:
        file = item.path.name
        number = seen.setdefault(file if file in SAMPLED_TESTS else item.nodeid.partition("[")[0], [0])
        chosen = number[0] % SAMPLED_TESTS.get(file, SAMPLED_CASES.get(file, 1)) == 0
        number[0] += 1
        (kept if chosen else left).append(item)
    items[:] = kept
    config.hook.pytest_deselected(items=left)


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Cli(tmp_path)


@pytest.fixture
def client(cli, monkeypatch):
    """Metaflow's own client, looking at the store of this test."""
    monkeypatch.setenv("METAFLOW_USER", "tester")
    import metaflow
    from metaflow.client import core

    (cli.directory / ".metaflow").mkdir(exist_ok=True)
    metaflow.metadata(f"local@{cli.directory}")
    metaflow.namespace(None)
    # One file cache per process: a fresh one per test, since run ids and roots may repeat.
    from metaflow.client.filecache import FileCache

    core.filecache = FileCache(cache_dir=str(cli.directory / "client_cache"))
    return metaflow


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """An S3 server with the bucket `runs`, for all tests of this worker."""
    import s3

    with s3.moto(tmp_path_factory.mktemp("moto")) as server:
        s3.make_bucket(server)
        yield server


@pytest.fixture
def gate():
    """Where tasks report, and wait."""
    from remote import Gate

    gate = Gate()
    yield gate
    gate.release()
    gate.listener.close()
