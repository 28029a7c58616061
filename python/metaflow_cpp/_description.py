"""A flow as the engine gets it: src/python/described_flow.h documents the format."""

import enum
import inspect
import json
import os
import pickle
import sys
from typing import Any, Dict, List, NamedTuple, Type

from . import _graph, _native
from .parameters import DeployTimeContext, Parameter

VERSION = 1
PROTOCOL = 4  # of pickle: that of the reference


class FlowError(Exception):
    """A flow that cannot be described: the message says what to change."""


def steps_of(flow: Type[Any]) -> Dict[str, Any]:
    """The step functions by name, in the order of the program; those of base classes first."""
    found: Dict[str, Any] = {}
    for base in reversed(flow.__mro__):
        for name, value in vars(base).items():
            if getattr(value, "is_step", False):
                found[name] = value
            else:
                found.pop(name, None)
    return found


def parameters_of(flow: Type[Any]) -> Dict[str, Parameter]:
    """The parameters by the name of their artifact."""
    found: Dict[str, Parameter] = {}
    for base in reversed(flow.__mro__):
        found.update({name: value for name, value in vars(base).items() if isinstance(value, Parameter)})
    return found


def constants_of(flow: Type[Any]) -> Dict[str, Any]:
    """The class attributes that are values: they become artifacts."""
    from .flowspec import FlowSpec

    found: Dict[str, Any] = {}
    for base in reversed(flow.__mro__):
        if base in (object, FlowSpec):
            continue
        for name, value in vars(base).items():
            is_value = not callable(value) and not isinstance(value, (property, staticmethod, classmethod, Parameter))
            if not name.startswith("_") and is_value:
                found[name] = value
    return found


class Values(enum.Enum):
    """Which values a description has."""

    NONE = 0  # for tasks, which find them in the store
    DECLARED = 1
    ALL = 2  # also those of defaults that are functions: for a new run


class _Payloads:
    """The pickled values, one behind the other."""

    def __init__(self, values: Values) -> None:
        self.data = bytearray()
        self._values = values

    def add(self, what: str, value: Any) -> Dict[str, Any]:
        if self._values is Values.NONE:
            return {"type": "", "offset": 0, "size": 0}
        try:
            payload = pickle.dumps(value, PROTOCOL)
        except Exception as error:
            raise FlowError(f"{what} cannot be stored: {type(error).__name__}: {error}") from error
        offset = len(self.data)
        self.data += payload
        return {"type": str(type(value)), "offset": offset, "size": len(payload)}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


class Description(NamedTuple):
    header: Dict[str, Any]
    text: bytes  # the header, and the payloads


def describe(flow: Type[Any], launcher: str, command: List[str], user: str, values: Values) -> Description:
    """The description of a flow. `launcher`: precedes the program in commands that users paste. Throws FlowError,
    GraphError, ParameterError."""
    payloads = _Payloads(values)
    parameters = []
    for name, parameter in parameters_of(flow).items():
        option: Dict[str, Any] = {
            "name": name, "option": parameter.name, "help": parameter.help, "type": parameter.kind, "required": parameter.required,
        }  # fmt: skip
        if parameter.separator is not None:
            option["separator"] = parameter.separator
        is_computed = callable(parameter.default)
        if not parameter.required and values is not Values.NONE and (values is Values.ALL or not is_computed):
            value = parameter.value_of_default(lambda of: DeployTimeContext(flow.__name__, user, of))
            option["value"] = payloads.add(f"The default of parameter '{name}'", value)
            if value is not None and parameter.show_default and not is_computed:
                option["default"] = _shown(parameter.default)
        parameters.append(option)
    steps = []
    for name, function in steps_of(flow).items():
        read = _graph.read_step(name, function)
        steps.append({
            "name": name, "doc": read.doc, "line": read.line, "transition": read.transition, "targets": read.targets, "cases": read.cases,
            "variable": read.variable, "join": read.join,
            "decorators": [{"name": each.name, "attributes": each.attributes} for each in function.decorators],
        })  # fmt: skip
    header = {
        "version": VERSION, "name": flow.__name__, "doc": (flow.__doc__ or "").strip(), "project": getattr(flow, "_project", ""),
        "file": inspect.getsourcefile(flow) or "",
        "launcher": launcher, "command": command, "steps": steps, "parameters": parameters,
        "constants": [{"name": name, "value": payloads.add(f"Constant '{name}'", value)} for name, value in constants_of(flow).items()],
    }  # fmt: skip
    if values is not Values.NONE:
        header["elsewhere"] = _elsewhere(command)
    return Description(header, json.dumps(header).encode() + b"\n" + bytes(payloads.data))


def _elsewhere(command: List[str]) -> Dict[str, Any]:
    """What tasks on other hosts need. `command`: of start_command()."""
    directory, script = os.path.split(command[-1])
    before = command[command.index("-m") : -1] if "-m" in command else []
    utf8 = ["-Xutf8"] if sys.flags.utf8_mode else []
    return {
        "command": ["python3", *utf8, *before, script], "directory": directory, "script": script,
        "package": os.path.dirname(os.path.abspath(__file__)), "library": _native.native_file("libmetaflow_task.so"),
        "image": f"python:{sys.version_info.major}.{sys.version_info.minor}-slim",
    }  # fmt: skip


def start_command(before: List[str], script: str) -> List[str]:
    """The words that start the flow's program again. `before`: what precedes the script."""
    flags: List[str] = []
    known = (("dont_write_bytecode", "-B"), ("no_user_site", "-s"), ("ignore_environment", "-E"), ("isolated", "-I"), ("utf8_mode", "-Xutf8"))
    for flag, option in known:
        if getattr(sys.flags, flag, 0):
            flags.append(option)
    return [sys.executable, *flags, *before, script]


