"""The values of configs: from the command line or from the run that is resumed, and on to the tasks."""

import json
import os
from typing import Any, Dict, List, Mapping, Optional, Tuple, Type

from . import _native, _pickling
from .config import CommandLine, configs_of, values_of
from .exception import MetaflowException

_VARIABLE = "METAFLOW_CONFIG_VALUES"  # the path of a file that the scheduler keeps open


def pass_on(flow: Type[Any], values: Mapping[str, Any]) -> None:
    """For the tasks of a run: their decorators can depend on them."""
    os.environ.pop(_VARIABLE, None)
    if configs_of(flow):
        # The engine becomes this process: its descriptors are there while the run has tasks, and no file is left behind.
        os.environ[_VARIABLE] = f"/proc/{os.getpid()}/fd/{_native.memory_file(_pickling.dumps(dict(values)))}"


def passed() -> Dict[str, Any]:
    """The values, in a task."""
    path = os.environ.get(_VARIABLE)
    if path is None:
        return {}
    with open(path, "rb") as file:
        return dict(_pickling.loads(file.read()))


class RunNotRead(MetaflowException):
    """The run whose configs are needed does not exist, or cannot be read. The engine says it as well."""


def values(flow: Type[Any], options: CommandLine, command: str, script: str, user: str) -> Dict[str, Any]:
    """Throws MetaflowException."""
    configs = configs_of(flow)
    if not configs:
        return {}
    run = _run_of(command, options.words)
    if run is None:
        return values_of(list(configs.values()), options, flow.__name__, user)
    before = options.words[: options.words.index(command)]
    run, found = _stored(flow, script, before, run, list(configs))
    missing = [config.name for artifact, config in configs.items() if artifact not in found]
    if missing:
        raise MetaflowException(f"Run {run} has no config {', '.join(missing)}: the flow got it after the run. Start a new run.")
    return {config.name: found[artifact] for artifact, config in configs.items()}


def _run_of(command: str, words: List[str]) -> Optional[str]:
    """The run whose configs a command needs."""
    after = words[words.index(command) + 1 :] if command in words else []
    if command == "resume":
        for word, value in zip(after, [*after[1:], ""]):
            if word == "--origin-run-id":
                return value
            if word.startswith("--origin-run-id="):
                return word.partition("=")[2]
        return "latest"
    if command == "debug":
        return next((word.split("/")[0] for word in after if "/" in word and not word.startswith("-")), None)
    return None


def _stored(flow: Type[Any], script: str, options: List[str], run: str, names: List[str]) -> Tuple[str, Dict[str, Any]]:
    """The run's id and artifacts of its parameters, from the engine's `dump`."""
    import subprocess  # most commands do not need them
    import tempfile

    steps = [
        {"name": name, "transition": transition, "targets": targets, "decorators": [], "join": False}
        for name, transition, targets in (("start", "linear", ["end"]), ("end", "none", []))
    ]
    header = {"version": 1, "name": flow.__name__, "command": [script], "steps": steps, "parameters": [], "configs": [], "constants": []}
    description = _native.memory_file(json.dumps(header).encode() + b"\n")
    with tempfile.TemporaryDirectory() as directory:
        path = os.path.join(directory, "configs")
        command = [_native.native_file("metaflow-engine"), *options, "dump", f"{run}/_parameters", "--private", "--file", path]
        command += ["--include", ",".join(names)]
        environment = {**os.environ, "METAFLOW_DESCRIPTION": str(description)}
        done = subprocess.run(command, env=environment, pass_fds=[description], capture_output=True, text=True)
        os.close(description)
        if done.returncode != 0:
            raise RunNotRead(f"The configs of run {run} cannot be read: {done.stderr.strip()}")
        found: Dict[str, Any] = {}
        with open(path, "rb") as file:
            for task, artifacts in _pickling.loads(file.read()).items():
                run = task.split("/")[0]
                found.update(artifacts)
        return run, found
