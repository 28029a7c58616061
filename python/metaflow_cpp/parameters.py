"""Parameters of flows."""

import json
from typing import Any, Callable, Optional


class _JSONType:
    """The type of a parameter whose text is JSON."""

    name = "JSON"

    def __repr__(self) -> str:
        return "JSON"


JSONType = _JSONType()


class DeployTimeContext:
    """What a default that is computed gets."""

    def __init__(self, flow_name: str, user_name: str, parameter_name: str) -> None:
        self.flow_name, self.user_name, self.parameter_name = flow_name, user_name, parameter_name


_TYPES = {str: "text", int: "integer", float: "real", bool: "boolean"}


class ParameterError(Exception):
    """A parameter is declared in a way that has no meaning."""


class Parameter:
    """A value that the command line of `run` can set. It is an artifact of every task.

    name: of the option. default: a value, or a function that gets a DeployTimeContext. type: str, int, float, bool or
    JSONType; that of the default if it is not given, else str. required: the option must be given.
    """

    def __init__(
        self,
        name: str,
        default: Any = None,
        type: Any = None,
        help: Optional[str] = None,
        required: bool = False,
        separator: Optional[str] = None,
        show_default: bool = True,
    ) -> None:
        self.name = name
        self.default = default
        self.help = help or ""
        self.required = required
        self.separator = separator
        self.show_default = show_default
        if type is None:
            type = str if default is None or callable(default) else default.__class__
            if type in (dict, list):
                type = JSONType
        if type is not JSONType and type not in _TYPES:
            raise ParameterError(f"Parameter '{name}' has the type {type!r}, but a parameter is a str, int, float, bool or JSONType")
        if separator is not None and type is not str:
            raise ParameterError(f"Parameter '{name}' has a separator, so its type must be str")
        self.type = type

    @property
    def kind(self) -> str:
        """The name of the type in the description."""
        return "json" if self.type is JSONType else _TYPES[self.type]

    def value_of_default(self, context: Callable[[str], DeployTimeContext]) -> Any:
        """The default as the artifact has it. Throws ParameterError."""
        value = self.default(context(self.name)) if callable(self.default) else self.default
        if value is None:
            return None
        try:
            if self.type is JSONType:
                return json.loads(value) if isinstance(value, str) else json.loads(json.dumps(value))
            if isinstance(value, bool) != (self.type is bool):
                raise ValueError
            value = self.type(value)
        except (TypeError, ValueError) as error:
            name = "JSON" if self.type is JSONType else self.type.__name__
            raise ParameterError(f"The default of parameter '{self.name}' is {value!r}, which is not a valid {name}") from error
        return value.split(self.separator) if self.separator is not None else value
