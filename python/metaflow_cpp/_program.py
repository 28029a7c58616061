"""The program of a flow: python flow.py COMMAND. `step` is executed here, every other command by the engine."""

import atexit
import faulthandler
import getpass
import os
import shlex
import shutil
import sys
import threading
import traceback
from typing import Any, Dict, List, NoReturn, Sequence, Type

from . import _configs, _description, _files, _fork_server, _native
from .config import CommandLine, configs_of
from .current import current
from .exception import MetaflowException, UsageError
from .flowspec import FlowSpec

_FLAGS = ("--quiet", "--not-quiet", "--production", "--pylint", "--no-pylint")
_RUNS = ("run", "resume")
_NEEDS_CONFIGS = ("run", "check", "show", "init", "package")
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
    fd = _native.memory_file(description)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    engine = _native.native_file("metaflow-engine")
    os.execve(engine, [script, *words], {**os.environ, "METAFLOW_DESCRIPTION": str(fd)})


def main(flow: Type[FlowSpec], attributes: Dict[str, Any]) -> NoReturn:
    """Executes the command line of a flow, and ends the process. `attributes`: those that __init__ of the flow has set."""
    script = sys.argv[0]
    command = _description.start_command(_before_script, os.path.abspath(script))
    try:
        options = CommandLine(sys.argv[1:]) if configs_of(flow) else CommandLine.without(sys.argv[1:])
        words = options.words
        name = _command_of(words)
        if name in ("step", _fork_server.ARGUMENT):
            _end(_execute_task(flow, attributes, command, words, name == _fork_server.ARGUMENT))
        given = _given(flow, options, name, script)
        _set_project(flow, given, words)
        values = _description.Values.ALL if name in ("run", "init") else _description.Values.DECLARED
        description = _description.describe(flow, _launcher(), command, values, given)
        if name in _RUNS and any(each.name == "card" for function in _description.steps_of(flow).values() for each in function.decorators):
            print("@card is ignored: no cards are made.", file=sys.stderr)
        _configs.pass_on(flow, given.configs)
        _become_engine(description.text, script, words)
    except UsageError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(2)
    except (MetaflowException, _native.NativeError) as error:
        print(f"    {getattr(error, 'headline', 'Flow failed')}:\n    {error}\n", file=sys.stderr)
        sys.exit(1)


def _given(flow: Type[FlowSpec], options: CommandLine, command: str, script: str) -> _description.Given:
    """What the command line gives the flow."""
    user = _user()
    is_complete = True
    try:
        configs = _configs.values(flow, options, command, script, user)
    except MetaflowException as error:
        if command in _NEEDS_CONFIGS or (command == "resume" and not isinstance(error, _configs.RunNotRead)):
            raise
        configs, is_complete = {}, False  # a look at a run does not need them
    return _description.Given(configs, _texts(flow, options.words), user, is_complete)


def _texts(flow: Type[FlowSpec], words: Sequence[str]) -> Dict[str, List[str]]:
    """The texts of the flow's parameters, from the command line, else from the environment."""
    found: Dict[str, List[str]] = {}
    for parameter in _description.parameters_of(flow).values():
        option = f"--{parameter.name}"
        texts = [after for word, after in zip(words, words[1:]) if word == option]
        texts += [word.partition("=")[2] for word in words if word.startswith(f"{option}=")]
        variable = os.environ.get(f"METAFLOW_RUN_{parameter.name.upper().replace('-', '_')}")
        if not texts and variable:
            texts = variable.split() if parameter._fields.get("multiple") else [variable]
        if texts:
            found[parameter.name] = texts
    return found


def _set_project(flow: Type[FlowSpec], given: _description.Given, words: Sequence[str]) -> None:
    """Puts the branch that @project names into the environment, where the engine looks for it; the project into
    `current`, for defaults that are functions."""
    if not given.is_complete:
        return
    project = _description.project_of(flow, given)
    if project is None:
        return
    if project["branch"] is not None and not any(word == "--branch" or word.startswith("--branch=") for word in words):
        os.environ["METAFLOW_BRANCH"] = str(project["branch"])
    if project["production"]:
        os.environ["METAFLOW_PRODUCTION"] = "True"
    branch = next((after for word, after in zip(words, words[1:]) if word == "--branch"), os.environ.get("METAFLOW_BRANCH"))
    is_production = "--production" in words or os.environ.get("METAFLOW_PRODUCTION", "").lower() in ("true", "1", "yes", "on", "t", "y")
    kind = "prod" if is_production else "test" if branch else "user"
    full = kind if is_production and not branch else f"{kind}.{branch or given.user}"
    current._set_project(project["name"], full, flow.__name__)


def _end(status: int) -> NoReturn:
    """Ends the process of a task as sys.exit does, but does not free what the kernel frees anyway: all modules."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        _files.close_all()
        _files.flush_streams()
    except BaseException:
        traceback.print_exc()
        status = status or 1
    os._exit(status)


def _execute_task(flow: Type[FlowSpec], attributes: Dict[str, Any], command: List[str], words: List[str], in_fork: bool) -> int:
    from . import _task

    configs = _configs.passed()
    given = _description.Given(configs, {}, "")
    description = _description.describe(flow, "", command, _description.Values.NONE, given)
    shared = _task.SharedFlow(flow, description, configs, attributes)
    # A fatal signal shows where Python was. Not sys.stderr: the module of the flow may have replaced it.
    faulthandler.enable(2)
    if in_fork:
        words = _fork_server.serve()
    return _task.execute(shared, words)
