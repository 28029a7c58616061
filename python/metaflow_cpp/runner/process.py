"""A command that a Runner has started."""

import asyncio
import contextlib
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import threading
from typing import IO, Any, AsyncIterator, Dict, List, Optional, Tuple, cast

ATTRIBUTES = "attributes.json"
POLL_SECONDS = 0.01
_STOP_SECONDS = 10  # from a SIGTERM to a SIGKILL: the scheduler gives its tasks five


class Process:
    """A command whose output goes to files. Made by start()."""

    def __init__(self, command: List[str], environment: Dict[str, str], directory: str) -> None:
        self.command, self.environment, self.directory = command, environment, directory
        self.files = tempfile.mkdtemp(prefix="metaflow_runner_")
        self.timed_out = False
        self._copiers: List[threading.Thread] = []
        self.process: "subprocess.Popen[bytes]"

    def start(self, shown: bool) -> None:
        """`shown`: the output is also printed, in lines."""
        outputs: List[Any] = [subprocess.PIPE] * 2 if shown else [open(self.log(name), "wb") for name in ("stdout", "stderr")]  # noqa: SIM115
        try:
            self.process = subprocess.Popen(
                self.command, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL, stdout=outputs[0], stderr=outputs[1]
            )
        finally:
            if not shown:
                for output in outputs:
                    output.close()
        if shown:
            for name, pipe in (("stdout", self.process.stdout), ("stderr", self.process.stderr)):
                self._copiers.append(threading.Thread(target=self._copy, args=(pipe, self.log(name))))
                self._copiers[-1].start()

    @staticmethod
    def _copy(pipe: IO[bytes], path: str) -> None:
        with pipe, open(path, "wb") as file:
            for line in iter(pipe.readline, b""):
                file.write(line)
                file.flush()
                with contextlib.suppress(OSError, ValueError):  # a stream that is closed, or whose reader has gone
                    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
                    sys.stdout.write(line.decode("utf-8", "replace").encode(encoding, "replace").decode(encoding))

    def log(self, stream: str) -> str:
        if stream not in ("stdout", "stderr"):
            raise ValueError(f"No log file found for '{stream}', valid values are: stdout, stderr")
        return os.path.join(self.files, stream)

    def output(self, stream: str) -> str:
        try:
            return pathlib.Path(self.log(stream)).read_text("utf-8", "replace")
        except FileNotFoundError:
            raise FileNotFoundError(f"The {stream} of {shlex.join(self.command)} was removed by cleanup()") from None

    @property
    def exit_code(self) -> Optional[int]:
        return self.process.poll()

    def wait(self) -> None:
        """Until the end. If it is interrupted (Ctrl-C), the process is stopped."""
        try:
            self.process.wait()
        except BaseException:
            self.terminate()
            raise
        finally:
            for copier in self._copiers:
                copier.join()

    async def ended(self) -> None:
        if self.exit_code is not None:
            return
        loop = asyncio.get_running_loop()
        end = loop.create_future()
        descriptor = os.pidfd_open(self.process.pid)
        loop.add_reader(descriptor, lambda: None if end.done() else end.set_result(None))
        try:
            await end
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        self.process.poll()

    def terminate(self) -> None:
        if self.exit_code is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    async def terminated(self) -> None:
        if self.exit_code is not None:
            return
        self.process.terminate()
        try:
            await asyncio.wait_for(self.ended(), _STOP_SECONDS)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.ended()

    async def lines(self, stream: str, position: Optional[int]) -> AsyncIterator[Tuple[int, str]]:
        with open(self.log(stream), "rb") as file:
            file.seek(position or 0)
            rest = b""
            while True:
                over = self.exit_code is not None
                rest += file.readline()
                if rest.endswith(b"\n") or (rest and over):
                    yield file.tell(), rest.decode("utf-8", "replace").rstrip()
                    rest = b""
                elif over:
                    return
                else:
                    await asyncio.sleep(POLL_SECONDS)

    def attributes(self) -> Optional[Dict[str, str]]:
        """What the scheduler has written about its run; None if it has not yet."""
        try:
            text = pathlib.Path(self.files, ATTRIBUTES).read_text()
            return cast(Dict[str, str], json.loads(text))
        except (FileNotFoundError, ValueError):  # or only in part
            return None

    def failure(self) -> RuntimeError:
        parts = [f"Error executing: '{shlex.join(self.command)}':"]
        parts += [f"{name.capitalize()}:\n{self.output(name)}" for name in ("stdout", "stderr") if self.output(name).strip()]
        return RuntimeError("\n\n".join(parts))
