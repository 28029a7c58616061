"""A flow as the engine gets it: src/python/described_flow.h documents the format."""

import enum
import inspect
import json
import os
import sys
import types
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Type

from . import _graph, _native, _pickling
from .config import Config, as_seen, configs_of, resolve
from .decorators import check_attributes, decorators_of, pod, refuse
from .exception import MetaflowException, UsageError
from .includefile import FileContent, IncludeFile
from .parameters import Option, Parameter, ParameterContext, attributes_of

VERSION = 1
_INCLUDED_FILE = "<class 'metaflow.includefile.IncludedFile'>"


class FlowError(MetaflowException):
    """A flow that cannot be described: the message says what to change."""


def steps_of(flow: Type[Any]) -> Dict[str, Any]:
    """The step functions by name, in the order of the program; those of base classes first."""
    found: Dict[str, Any] = {}
    for base in reversed(flow.__mro__):
        for name, value in vars(base).items():
            if getattr(value, "is_step", False) is True:  # attributes of a Config are expressions
                found[name] = value
            else:
                found.pop(name, None)
    return found


def parameters_of(flow: Type[Any]) -> Dict[str, Parameter]:
    """The parameters, without configs, by the name of their artifact."""
    return {name: value for name, value in attributes_of(flow, Parameter).items() if not isinstance(value, Config)}


_NO_CONSTANTS = (Parameter, types.FunctionType, types.MethodType, property, type, staticmethod, classmethod)


def constants_of(flow: Type[Any]) -> Dict[str, Any]:
    """The class attributes that are values: they become artifacts."""
    from .flowspec import FlowSpec

    found: Dict[str, Any] = {}
    for base in reversed(flow.__mro__):
        if base in (object, FlowSpec):
            continue
        for name, value in vars(base).items():
            if not name.startswith("_") and not isinstance(value, _NO_CONSTANTS):
                found[name] = value
            else:
                found.pop(name, None)  # a derived class has something else in its place
    return found


def _log(text: Any, **_style: Any) -> None:
    """The logger of a ParameterContext."""
    print(text)


class Values(enum.Enum):
    """Which values a description has."""

    NONE = 0  # for tasks, which find them in the store
    DECLARED = 1
    ALL = 2  # also those of defaults that are functions, and of files: for a new run


class Given(NamedTuple):
    """What the command line gives a flow."""

    configs: Mapping[str, Any]  # values by name
    parameters: Mapping[str, List[str]]  # the texts of each option
    user: str
    is_complete: bool = True  # else a config has no value, and what depends on it is left out


class _Payloads:
    """The pickled values, one behind the other."""

    def __init__(self, values: Values) -> None:
        self.data = bytearray()
        self._values = values

    def add(self, what: str, value: Any) -> Dict[str, Any]:
        if self._values is Values.NONE:
            return {"type": "", "offset": 0, "size": 0}
        try:
            payload = _pickling.dumps(value)
        except Exception as error:
            raise FlowError(f"{what} cannot be stored: {type(error).__name__}: {error}") from error
        return self.add_bytes(str(type(value)), payload)

    def add_bytes(self, type_name: str, payload: bytes) -> Dict[str, Any]:
        offset = len(self.data)
        self.data += payload
        return {"type": type_name, "offset": offset, "size": len(payload)}


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _without_secrets(attributes: Dict[str, Any]) -> Dict[str, Any]:
    """The attributes for _graph_info, which every reader of the run sees."""
    hidden = [
        {**source, "options": {"env_vars": "***"}} if isinstance(source, dict) and source.get("type") == "inline" else source
        for source in attributes.get("sources", [])
    ]
    return {**attributes, "sources": hidden} if hidden else attributes


class Description(NamedTuple):
    header: Dict[str, Any]
    text: bytes  # the header, and the payloads


class _Describer:
    def __init__(self, flow: Type[Any], values: Values, given: Given) -> None:
        self.flow, self.values, self.given = flow, values, given
        self.payloads = _Payloads(values)
        self.configs = as_seen(flow, given.configs)

    def resolved(self, value: Any) -> Any:
        """The value with configs; None if a config has no value."""
        try:
            return resolve(value, self.configs)
        except MetaflowException:
            if self.given.is_complete:
                raise
            return None

    def context(self, parameter: Parameter) -> ParameterContext:
        from .config import ConfigValue

        return ParameterContext(self.flow.__name__, self.given.user, parameter.name, _log, "local", ConfigValue(self.configs))

    def parameter(self, name: str, parameter: Parameter) -> Dict[str, Any]:
        if self.values is Values.NONE:
            return {"name": name, "option": parameter.name, "type": "text", "required": False}
        try:
            option = parameter._option(self.configs)
        except MetaflowException:
            if self.given.is_complete:
                raise
            option = Option(parameter.name, None, str, "", False, False, None, False)
        described: Dict[str, Any] = {
            "name": name, "option": option.name, "help": option.help, "type": "text" if option.multiple else option.kind,
            "required": option.required, "class": type(parameter).__name__,
        }  # fmt: skip
        if option.separator is not None and not option.multiple:
            described["separator"] = option.separator
        is_computed = callable(option.default)
        if option.default is not None and option.show_default and not is_computed:
            described["default"] = _shown(option.default)
        texts = self.given.parameters.get(option.name, [])
        is_given_json = option.kind == "json" and texts and self.values is Values.ALL  # what Python reads as JSON is more than JSON
        if is_given_json:
            described["type"] = "text"
        if isinstance(parameter, IncludeFile) or option.multiple or is_given_json:
            described["python"] = True
            if self.values is Values.ALL:
                value = self.value_of(parameter, option, texts)
                if isinstance(value, FileContent):
                    described.update(value=self.payloads.add_bytes(_INCLUDED_FILE, value.packed), file=value.facts)
                else:
                    described["value"] = self.payloads.add(f"Parameter '{name}'", value)
        elif not option.required and not texts and (self.values is Values.ALL or not is_computed):
            described["value"] = self.payloads.add(f"The default of parameter '{name}'", option.computed(self.context(parameter)))
        return described

    def value_of(self, parameter: Parameter, option: Option, texts: List[str]) -> Any:
        """The value of a parameter whose texts the engine cannot convert."""
        if isinstance(parameter, IncludeFile):
            file = parameter._file_option(self.configs)
            path = texts[-1] if texts else file.default_path(self.context(parameter))
            return None if path is None else file.read(path)
        if not texts:
            return option.computed(self.context(parameter))
        try:
            values = tuple(option.item_of_text(text) for text in texts)
            return values if option.multiple else values[-1]
        except ValueError as error:
            raise UsageError(f"Invalid value for '--{option.name}': {', '.join(texts)} is not a valid {option.type_name}: {error}") from error

    def step(self, name: str, function: Any) -> Dict[str, Any]:
        read = _graph.read_step(name, function)
        executed, annotations = [], []
        for decorator in function.decorators:
            attributes = self.resolved(decorator.attributes)
            if attributes is None or decorator.name == "card":
                continue
            if self.values is Values.ALL:
                refuse(decorator, attributes)
            if decorator.kind.defaults is None:
                executed.append({"name": decorator.name, "attributes": attributes})
            else:
                every = check_attributes(decorator.name, attributes, decorator.kind.defaults)
                annotations.append({"name": decorator.name, "attributes": pod(_without_secrets(every))})
        return {
            "name": name, "doc": read.doc, "line": read.line, "transition": read.transition, "targets": read.targets, "cases": read.cases,
            "variable": read.variable, "join": read.join, "decorators": executed, "annotations": json.dumps(annotations),
        }  # fmt: skip

    def flow_decorators(self) -> List[Dict[str, Any]]:
        found = []
        for decorator in decorators_of(self.flow):
            attributes = self.resolved(decorator.attributes)
            if attributes is None:
                continue
            if self.values is Values.ALL:
                refuse(decorator, attributes)
            found.append({"name": decorator.kind.name, "attributes": decorator.checked(attributes)})
        return found

    def config(self, name: str, config: Config) -> Dict[str, Any]:
        value = self.payloads.add(f"Config '{name}'", self.given.configs.get(config.name))
        return {"name": name, "option": config.name, "help": str(config._fields["help"] or ""), "value": value}

    def header(self) -> Dict[str, Any]:
        flow = self.flow
        decorators = self.flow_decorators()
        steps = steps_of(flow)
        starts, ends = _graph.end_of(steps, "start"), _graph.end_of(steps, "end")
        projects = [each["attributes"] for each in decorators if each["name"] == "project"]
        return {
            "version": VERSION, "name": flow.__name__, "doc": inspect.cleandoc(flow.__doc__ or ""),
            "project": projects[0]["name"] if projects else "", "file": inspect.getsourcefile(flow) or "",
            "python_version": ".".join(str(part) for part in sys.version_info[:3]),
            "decorators": json.dumps([{**each, "attributes": pod(each["attributes"])} for each in decorators]),
            "steps": [
                {**self.step(name, function), "start": name == starts, "end": name == ends} for name, function in steps.items()
            ],
            "parameters": [self.parameter(name, parameter) for name, parameter in parameters_of(flow).items()],
            "configs": [self.config(name, config) for name, config in configs_of(flow).items()],
            "constants": [
                {"name": name, "class": type(value).__name__, "value": self.payloads.add(f"Constant '{name}'", value)}
                for name, value in constants_of(flow).items()
            ],
        }  # fmt: skip


def describe(flow: Type[Any], launcher: str, command: List[str], values: Values, given: Given) -> Description:
    """The description of a flow. `launcher`: precedes the program in commands that users paste. Throws MetaflowException."""
    describer = _Describer(flow, values, given)
    header = {**describer.header(), "launcher": launcher, "command": command}
    if values is not Values.NONE:
        header["elsewhere"] = _elsewhere(command)
        if given.configs:
            header["elsewhere"]["configs"] = describer.payloads.add("A config", dict(given.configs))
    text = json.dumps(header, ensure_ascii=False)
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        near = text[max(error.start - 40, 0) : error.end + 20]
        raise MetaflowException(f"This name has bytes that are not UTF-8: {near!r}. Rename the file or the directory.") from None
    return Description(header, encoded + b"\n" + bytes(describer.payloads.data))


def project_of(flow: Type[Any], given: Given) -> Optional[Dict[str, Any]]:
    """The attributes of the project of a flow."""
    for decorator in decorators_of(flow):
        if decorator.kind.name == "project":
            return decorator.checked(resolve(decorator.attributes, as_seen(flow, given.configs)))
    return None


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
