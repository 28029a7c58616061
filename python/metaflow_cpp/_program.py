"""The program of a flow: python flow.py COMMAND. `step` is executed here, every other command by the engine."""

import atexit
import getpass
import os
import shlex
import shutil
import sys
import threading
import traceback
from typing import List, NoReturn, Sequence, Type

from . import _description, _fork_server, _graph, _native
from .decorators import BadDecorator, DuplicateDecorator
from .flowspec import FlowSpec
from .parameters import ParameterError

_FLAGS = ("--quiet", "--not-quiet", "--production", "--pylint", "--no-pylint")
_RUNS = ("run", "resume")
_ERRORS = (_description.FlowError, _graph.GraphError, _native.NativeError, ParameterError, BadDecorator, DuplicateDecorator)
_before_script: List[str] = []  # of the words that start the program, after the interpreter


def start_with(before_script: List[str]) -> None:
    """How the program was started, if not by `python flow.py`."""
    global _before_script
    _before_script = before_script


def _launcher() -> str:
    """What precedes the program in commands that users paste: words that find this interpreter."""
    if _before_script and shutil.which("metaflow-cpp"):
        return "metaflow-cpp"
    python = shlex.quote(sys.executable)
    for name in ("python", "python3"):
        found = shutil.which(name)
        # By directory: the interpreters of environments are links to the same file.
        if found is not None and os.path.dirname(found) == os.path.dirname(sys.executable) and os.path.samefile(found, sys.executable):
            python = name
            break
    return " ".join([python, *_before_script])


def _command_of(words: Sequence[str]) -> str:
    """The name of the command: the first word that is not an option. Empty without a command."""
    skip = False
    for word in words:
        if skip:
            skip = False
        elif not word.startswith("-"):
            return word
        else:
            skip = word not in _FLAGS and "=" not in word
    return ""


def _user() -> str:
    for variable in ("METAFLOW_USER", "SUDO_USER", "USERNAME", "USER"):
        if os.environ.get(variable):
            return os.environ[variable]
    return getpass.getuser()


def _become_engine(description: bytes, script: str, words: List[str]) -> NoReturn:
    fd = os.memfd_create("flow", 0)
    with open(fd, "wb", closefd=False) as file:
        file.write(description)
    os.lseek(fd, 0, os.SEEK_SET)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    engine = _native.native_file("metaflow-engine")
    os.execve(engine, [script, *words], {**os.environ, "METAFLOW_DESCRIPTION": str(fd)})


def main(flow: Type[FlowSpec]) -> NoReturn:
    """Executes the command line of a flow, and ends the process."""
    words = sys.argv[1:]
    script = sys.argv[0]
    command = _description.start_command(_before_script, os.path.abspath(script))
    name = _command_of(words)
    try:
        if name in ("step", _fork_server.ARGUMENT):
            _end(_execute_task(flow, command, words, name == _fork_server.ARGUMENT))
        values = _description.Values.ALL if name in _RUNS else _description.Values.DECLARED
        description = _description.describe(flow, _launcher(), command, _user(), values)
        _become_engine(description.text, script, words)
    except _ERRORS as error:
        print(f"    Flow failed:\n    {error}\n", file=sys.stderr)
        sys.exit(1)


def _end(status: int) -> NoReturn:
    """Ends the process of a task as sys.exit does, but does not free what the kernel frees anyway: all modules."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        traceback.print_exc()
        status = status or 1
    os._exit(status)


def _execute_task(flow: Type[FlowSpec], command: List[str], words: List[str], in_fork: bool) -> int:
    from . import _task

    description = _description.describe(flow, "", command, "", _description.Values.NONE)
    if in_fork:
        _native.library()  # loaded once
        words = _fork_server.serve()
    return _task.execute(flow, description, words)
