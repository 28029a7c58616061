"""Parameters of flows."""

import json
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Type, TypeVar

from .exception import MetaflowException, ParameterFieldFailed, ParameterFieldTypeMismatch


class JSONTypeClass:
    """The type of a parameter whose text is JSON."""

    name = "JSON"

    def __repr__(self) -> str:
        return "JSON"


JSONType = JSONTypeClass()


class ParameterContext(NamedTuple):
    """What a function that computes a default gets."""

    flow_name: str
    user_name: str
    parameter_name: str
    logger: Callable[..., None]
    ds_type: str
    configs: Any  # a ConfigValue; None in the default of a config


_TYPES = {str: "text", int: "integer", float: "real", bool: "boolean"}
_FIELDS = ("default", "type", "help", "required", "show_default", "separator", "multiple")
_CONSTANT_FIELDS = ("show_default", "separator", "required")


class Option(NamedTuple):
    """A parameter whose fields have their values: configs have been looked up."""

    name: str
    default: Any
    type: Any
    help: str
    required: bool
    show_default: bool
    separator: Optional[str]
    multiple: bool

    @property
    def kind(self) -> str:
        """The name of the type in the description."""
        return "json" if self.type is JSONType else _TYPES[self.type]

    @property
    def type_name(self) -> str:
        return "JSON" if self.type is JSONType else str(self.type.__name__)

    def converted(self, value: Any) -> Any:
        """A default as the artifact has it. Throws ParameterFieldTypeMismatch."""
        if value is None:
            return () if self.multiple else None
        if self.multiple:
            if not isinstance(value, (list, tuple)):
                raise ParameterFieldTypeMismatch(f"The default of parameter '{self.name}' is {value!r}, but with multiple=True it is a list")
            return tuple(self._item(item) for item in value)
        value = self._item(value)
        return value.split(self.separator) if self.separator is not None and value else value

    def _item(self, value: Any) -> Any:
        try:
            if self.type is JSONType:
                return json.loads(value) if isinstance(value, str) else json.loads(json.dumps(value))
            if isinstance(value, bool) != (self.type is bool):
                raise ValueError
            return self.type(value)
        except (TypeError, ValueError) as error:
            words = f"The default of parameter '{self.name}' is {value!r}, which is not a valid {self.type_name}"
            raise ParameterFieldTypeMismatch(words) from error

    def item_of_text(self, text: str) -> Any:
        """A text of the command line. Throws ValueError."""
        if self.type is JSONType:
            return json.loads(text)
        if self.type is bool:
            word = text.strip().lower()
            if word not in ("true", "t", "1", "yes", "y", "on", "false", "f", "0", "no", "n", "off"):
                raise ValueError(f"'{text}' is not a valid boolean")
            return word in ("true", "t", "1", "yes", "y", "on")
        return self.type(text)

    def computed(self, context: ParameterContext) -> Any:
        """The default as the artifact has it. Throws ParameterFieldFailed, ParameterFieldTypeMismatch."""
        return self.converted(called(self.name, self.default, self.type, context) if callable(self.default) else self.default)


K = TypeVar("K")


def attributes_of(flow: Type[Any], kind: Type[K]) -> Dict[str, K]:
    """The class attributes of a kind; those of base classes first. A derived class may have another value in the place of one."""
    found: Dict[str, K] = {}
    for base in reversed(flow.__mro__):
        for name, value in vars(base).items():
            if isinstance(value, kind):
                found[name] = value
            else:
                found.pop(name, None)
    return found


def called(name: str, function: Callable[[ParameterContext], Any], type: Any, context: ParameterContext) -> Any:
    """What a function that is the default of a parameter returns."""
    try:
        value = function(context)
    except Exception:
        raise ParameterFieldFailed(name, "default") from None
    words = f"The value returned by the deploy-time function for the parameter *{name}* field *default* has a wrong type. "
    if type in (bool, int, float):
        if value.__class__ is not type:
            raise ParameterFieldTypeMismatch(f"{words}Expected a {type.__name__}.")
    elif type is not JSONType and not isinstance(value, str):
        raise ParameterFieldTypeMismatch(f"{words}Expected a string.")
    return value


class Parameter:
    """A value that the command line of `run` can set. It is an artifact of every task.

    name: of the option. default: a value, or a function that gets a ParameterContext. type: str, int, float, bool or
    JSONType; that of the default if it is not given, else str. required: the option must be given. separator: the text
    becomes a list. multiple: the option can be given several times, and the artifact is a tuple.
    """

    def __init__(
        self,
        name: str,
        default: Any = None,
        type: Any = None,
        help: Any = None,
        required: Any = None,
        show_default: Any = None,
        **more: Any,
    ) -> None:
        self.name = name
        # Under one name: attributes of a Config are expressions.
        self._fields: Dict[str, Any] = {"default": default, "type": type, "help": help, "required": required, "show_default": show_default}
        self._fields.update({field: value for field, value in more.items() if self._fields.get(field) is None})

    def __repr__(self) -> str:
        return f"metaflow.Parameter(name={self.name}, kwargs={self._fields})"

    def __getitem__(self, key: Any) -> Any:
        """For linters, which see a parameter where steps see its value."""

    def _load(self, value: Any) -> Any:
        """What steps see of the artifact."""
        return value

    def _values_of_fields(self, configs: Mapping[str, Any]) -> Dict[str, Any]:
        """The fields that are set, with the values of configs."""
        from .config import resolve

        return {field: value for field, value in resolve(self._fields, configs).items() if value is not None}

    def _option(self, configs: Mapping[str, Any]) -> Option:
        """Throws MetaflowException if its fields have no meaning."""
        fields = self._values_of_fields(configs)
        unknown = sorted(set(fields) - set(_FIELDS))
        if unknown:
            raise MetaflowException(f"Parameter *{self.name}* has no field '{unknown[0]}'. Its fields: {', '.join(_FIELDS)}")
        for field in _CONSTANT_FIELDS:
            if callable(fields.get(field)):
                raise MetaflowException(f"Parameter *{self.name}*: Field '{field}' cannot have a function as its value")
        default, multiple = fields.get("default"), bool(fields.get("multiple"))
        sample = default[0] if multiple and isinstance(default, (list, tuple)) and default else default
        kind = fields.get("type", str if sample is None or callable(sample) else type(sample))
        if kind in (dict, list) or isinstance(kind, JSONTypeClass) or kind is JSONTypeClass:
            kind = JSONType
        if kind is not JSONType and kind not in _TYPES:
            raise MetaflowException(
                f"Parameter *{self.name}* has the type {kind!r}, but the type of a parameter is str, int, float, bool or JSONType"
            )
        separator = fields.get("separator")
        if separator is not None and kind is not str:
            raise MetaflowException(f"Parameter *{self.name}*: Separator is only allowed for string parameters.")
        return Option(
            self.name, default, kind, str(fields.get("help", "")), bool(fields.get("required")) and default is None,
            fields.get("show_default", True) is not False, separator, multiple,
        )  # fmt: skip
