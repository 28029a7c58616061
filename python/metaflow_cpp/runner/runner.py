"""Starts runs of a flow file."""

import asyncio
import json
import os
import pathlib
import shlex
import shutil
import site
import subprocess
import sys
import time
from typing import Any, AsyncIterator, Dict, List, Optional, Tuple, TypeVar

from ..client import Run
from .options import Options
from .process import ATTRIBUTES, POLL_SECONDS, Process

_Self = TypeVar("_Self", bound="ExecutingProcess")


class ExecutingProcess:
    """A command that a Runner has started. As a context manager, it removes its files at the end."""

    def __init__(self, runner: "Runner", process: Process) -> None:
        self.runner = runner
        self._process = process

    def __enter__(self: _Self) -> _Self:
        return self

    def __exit__(self, *_reason: Any) -> None:
        self.runner.cleanup()

    async def wait(self: _Self, timeout: Optional[float] = None, stream: Optional[str] = None) -> _Self:
        """Waits for the end. timeout: seconds; then the run is stopped. stream: "stdout" or "stderr", printed meanwhile."""
        try:
            await asyncio.wait_for(self._process.ended() if stream is None else self._print(stream), timeout)
        except asyncio.TimeoutError:
            self._process.timed_out = True
            await self._process.terminated()
            words = shlex.join(self._process.command)
            print(f"Timeout: The process (PID {self._process.process.pid}; command: '{words}') did not complete within {timeout} seconds.")
        return self

    async def _print(self, stream: str) -> None:
        async for _, line in self.stream_log(stream):
            print(line)

    async def stream_log(self, stream: str, position: Optional[int] = None) -> AsyncIterator[Tuple[int, str]]:
        """The lines of "stdout" or "stderr" until the end, each with the position behind it. position: where to start."""
        async for found in self._process.lines(stream, position):
            yield found

    def terminate(self) -> None:
        """Stops the run, and waits for its end. `resume` can continue it."""
        self._process.terminate()

    @property
    def returncode(self) -> Optional[int]:
        """The exit code; None while it is running."""
        return self._process.exit_code

    @property
    def status(self) -> str:
        """"running", "successful", "failed" or "timeout"."""
        if self._process.timed_out:
            return "timeout"
        code = self.returncode
        return "running" if code is None else "successful" if code == 0 else "failed"

    @property
    def stdout(self) -> str:
        """The standard output so far."""
        return self._process.output("stdout")

    @property
    def stderr(self) -> str:
        """The standard error so far."""
        return self._process.output("stderr")


class ExecutingRun(ExecutingProcess):
    """A run that a Runner has started. `run`: the Run of the client."""

    def __init__(self, runner: "Runner", process: Process, run: Run) -> None:
        super().__init__(runner, process)
        self.run = run


class Runner:
    """Starts runs of a flow file, which may import metaflow or metaflow_cpp.

    flow_file: relative to the current directory. show_output: of run() and resume(), printed. profile: METAFLOW_PROFILE.
    env: variables in addition to those of this process. cwd: the directory of the run, default the current one.
    file_read_timeout: of async_run() and async_resume(), seconds within which the run must have begun. kwargs: options
    before the command: metadata="service".
    As a context manager, it removes its files at the end.
    """

    def __init__(
        self,
        flow_file: str,
        show_output: bool = True,
        profile: Optional[str] = None,
        env: Optional[Dict[str, str]] = None,
        cwd: Optional[str] = None,
        file_read_timeout: int = 3600,
        **kwargs: Any,
    ) -> None:
        self.flow_file = os.path.abspath(flow_file)
        if not os.path.exists(self.flow_file):
            raise FileNotFoundError(f"Flow file not present at '{self.flow_file}'")
        self.show_output = show_output
        self.cwd = cwd or os.getcwd()
        self.file_read_timeout = file_read_timeout
        self.top_level_kwargs = kwargs
        self.env_vars = {**os.environ, **(env or {})}
        if profile:
            self.env_vars["METAFLOW_PROFILE"] = profile
        package = str(pathlib.Path(__file__).resolve().parents[2])
        if package not in (*site.getsitepackages(), site.getusersitepackages()):
            self.env_vars["PYTHONPATH"] = os.pathsep.join(filter(None, [package, self.env_vars.get("PYTHONPATH")]))
        self._processes: List[Process] = []
        self._help: Optional[Dict[str, Any]] = None

    def __enter__(self) -> "Runner":
        return self

    async def __aenter__(self) -> "Runner":
        return self

    def __exit__(self, *_reason: Any) -> None:
        self.cleanup()

    async def __aexit__(self, *_reason: Any) -> None:
        self.cleanup()

    def run(self, **kwargs: Any) -> ExecutingRun:
        """Executes `run`, and waits for its end. kwargs: parameters of the flow, and options: max_workers=8, tags=["a"].

        Raises ValueError and TypeError for wrong arguments, RuntimeError if no run has begun. A run that fails has `status`.
        """
        return self._execute("run", kwargs)

    def resume(self, **kwargs: Any) -> ExecutingRun:
        """Executes `resume`, and waits for its end. kwargs: its options: origin_run_id="17", step_to_rerun="train"."""
        return self._execute("resume", kwargs)

    async def async_run(self, **kwargs: Any) -> ExecutingRun:
        """Like run(), but returns when the run has begun."""
        return await self._begin("run", kwargs)

    async def async_resume(self, **kwargs: Any) -> ExecutingRun:
        """Like resume(), but returns when the run has begun."""
        return await self._begin("resume", kwargs)

    def cleanup(self) -> None:
        """Removes the files with the output of what was started."""
        for process in self._processes:
            shutil.rmtree(process.files, ignore_errors=True)

    def _execute(self, command: str, given: Dict[str, Any]) -> ExecutingRun:
        process = self._started(command, given, self.show_output)
        process.wait()
        return self._executing(process)

    async def _begin(self, command: str, given: Dict[str, Any]) -> ExecutingRun:
        process = self._started(command, given, False)
        latest = time.monotonic() + self.file_read_timeout
        while process.attributes() is None and process.exit_code is None:
            if time.monotonic() > latest:
                await process.terminated()
                raise process.failure() from TimeoutError(f"The run has not begun within {self.file_read_timeout} seconds")
            await asyncio.sleep(POLL_SECONDS)
        return self._executing(process)

    def _executing(self, process: Process) -> ExecutingRun:
        attributes = process.attributes()
        if attributes is None:
            raise process.failure()
        pathspec = f"{attributes['flow_name']}/{attributes['run_id']}"
        return ExecutingRun(self, process, Run(pathspec, _namespace_check=False, _current_metadata=attributes["metadata"]))

    def _started(self, command: str, given: Dict[str, Any], shown: bool) -> Process:
        before = self._options("").words(self.top_level_kwargs, self.env_vars) if self.top_level_kwargs else []
        after = self._options(command).words(given, self.env_vars) if given else []
        process = Process([], self.env_vars, self.cwd)
        self._processes.append(process)
        attributes = os.path.join(process.files, ATTRIBUTES)
        process.command = self._program(*before, command, "--runner-attribute-file", attributes, *after)
        process.start(shown)
        return process

    def _program(self, *words: str) -> List[str]:
        return [sys.executable, "-m", "metaflow_cpp", self.flow_file, *words]

    def _options(self, name: str) -> Options:
        """Of a command, or of the program: ""."""
        if self._help is None:
            told = subprocess.run(
                self._program("--quiet", "help", "--json"), cwd=self.cwd, env=self.env_vars, stdin=subprocess.DEVNULL, capture_output=True
            )
            if told.returncode != 0:
                raise RuntimeError(f"{self.flow_file} cannot be executed:\n{told.stderr.decode('utf-8', 'replace')}")
            self._help = json.loads(told.stdout[told.stdout.index(b"{") :])
        commands = [self._help] if name == "" else [each for each in self._help["commands"] if each["name"] == name]
        return Options(commands[0])
