"""Starts runs of a flow in a cell of a notebook."""

import ast
import os
import pathlib
import sys
import tempfile
from typing import Any, Callable, Dict, Optional

from ..client import Run
from .runner import ExecutingRun, Runner


class NBRunnerInitializationError(Exception):
    """This program is not a notebook."""


class NBRunner:
    """Starts runs of a flow that is defined in a cell of a notebook, on the cell's last line: `NBRunner(Sweep).nbrun(n=3)`.

    flow: the class. base_dir: the directory of the run, default the current one. The others: those of Runner.
    """

    def __init__(
        self,
        flow: type,
        show_output: bool = True,
        profile: Optional[str] = None,
        env: Optional[Dict[str, str]] = None,
        base_dir: Optional[str] = None,
        file_read_timeout: int = 3600,
        **kwargs: Any,
    ) -> None:
        directory = base_dir or os.getcwd()
        source = flow_file_of(_current_cell())
        with tempfile.NamedTemporaryFile("w", prefix=flow.__name__, suffix=".py", dir=directory, delete=False) as file:
            file.write(source)
        self._file = file.name
        # A notebook's server must not be taken for the parent of the run.
        env = {**(env or {}), "JPY_PARENT_PID": ""}
        self.runner = Runner(self._file, show_output, profile, env, directory, file_read_timeout, **kwargs)

    def nbrun(self, **kwargs: Any) -> Run:
        """Executes the run, removes the files, and returns the Run."""
        return self._and_cleanup(self.runner.run, kwargs)

    def nbresume(self, **kwargs: Any) -> Run:
        """Resumes a run, removes the files, and returns the new Run."""
        return self._and_cleanup(self.runner.resume, kwargs)

    def _and_cleanup(self, start: Callable[..., ExecutingRun], kwargs: Dict[str, Any]) -> Run:
        try:
            return start(**kwargs).run
        finally:
            self.cleanup()

    def run(self, **kwargs: Any) -> ExecutingRun:
        """Runner.run()."""
        return self.runner.run(**kwargs)

    def resume(self, **kwargs: Any) -> ExecutingRun:
        """Runner.resume()."""
        return self.runner.resume(**kwargs)

    async def async_run(self, **kwargs: Any) -> ExecutingRun:
        """Runner.async_run(). Call cleanup() at the end."""
        return await self.runner.async_run(**kwargs)

    async def async_resume(self, **kwargs: Any) -> ExecutingRun:
        """Runner.async_resume(). Call cleanup() at the end."""
        return await self.runner.async_resume(**kwargs)

    def cleanup(self) -> None:
        """Removes the flow's file, and the files with the output."""
        pathlib.Path(self._file).unlink(missing_ok=True)
        self.runner.cleanup()


def _current_cell() -> str:
    """The source of the cell that is executed. Raises NBRunnerInitializationError outside of notebooks."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        raise NBRunnerInitializationError("'NBRunner' requires an interactive Python environment (such as Jupyter)")
    return str(shell.history_manager.input_hist_raw[-1])


def flow_file_of(cell: str) -> str:
    """A program with the cell's flow: what precedes it, the class, and its start. Raises ModuleNotFoundError if it has none."""

    def is_flow(base: ast.expr) -> bool:
        return (isinstance(base, ast.Name) and base.id == "FlowSpec") or (isinstance(base, ast.Attribute) and base.attr == "FlowSpec")

    flows = [each for each in ast.parse(cell).body if isinstance(each, ast.ClassDef) and any(map(is_flow, each.bases))]
    if not flows:
        raise ModuleNotFoundError("The cell doesn't contain any class that inherits from 'FlowSpec'")
    lines = cell.splitlines()[: flows[0].end_lineno]
    return "\n".join([*lines, "if __name__ == '__main__':", f"    {flows[0].name}()", ""])
