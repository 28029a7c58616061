"""Whole flows, run as a user runs them.

The environment variable METAFLOW_BUILD names the build tree. Every test has a directory of its own as current directory, in which
the store is made."""

import os
import pathlib
import re
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["METAFLOW_BUILD"])


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

    def __init__(self, directory):
        self.directory = directory
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(directory),
            "USER": "tester",
            "METAFLOW_CLIENT_CACHE_PATH": str(directory / "client_cache"),
        }

    def path(self, program):
        for place in (BUILD / "examples" / program, BUILD / "flows" / f"{program}_flow"):
            if place.exists():
                return place
        raise FileNotFoundError(program)

    def __call__(self, program, *arguments, env=None, timeout=120, **more):
        process = subprocess.run(
            [self.path(program), *map(str, arguments)],
            cwd=self.directory,
            env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            **more,
        )
        return Result(process)

    def run(self, program, *arguments, **more):
        """`run`, which must succeed; gives back the run id."""
        id_file = self.directory / "run-id"
        result = self(program, "run", "--run-id-file", id_file, *arguments, **more)
        assert result.status == 0, result
        return id_file.read_text()


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
