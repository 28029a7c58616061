"""Config: values that a flow gets before it runs, also for its decorators and parameters."""

import collections.abc
import importlib
import inspect
import json
import os
import re
from typing import Any, Callable, Dict, Iterable, Iterator, List, Mapping, NoReturn, Optional, Sequence, Tuple, Type, Union

from . import _pickling
from .exception import MetaflowException, ParameterFieldFailed, UsageError
from .parameters import Parameter, ParameterContext, attributes_of

_IDENTIFIER = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_UNPACKED = "_unpacked_delayed_"
_VARIABLES = {"--config": "METAFLOW_FLOW_CONFIG", "--config-value": "METAFLOW_FLOW_CONFIG_VALUE"}


class ConfigValue(Dict[Any, Any]):
    """A dict, also of dicts, that cannot be changed. Its items are also attributes: config.a.b."""

    def __init__(self, data: Mapping[Any, Any]) -> None:
        super().__init__({key: _construct(value) for key, value in data.items()})

    @classmethod
    def fromkeys(cls, iterable: Iterable[Any], value: Any = None) -> "ConfigValue":
        return cls(dict.fromkeys(iterable, value))

    def to_dict(self) -> Dict[Any, Any]:
        """A dict of dicts."""
        return dict(_plain(self))

    def copy(self) -> "ConfigValue":
        return ConfigValue(self)

    def __copy__(self) -> "ConfigValue":
        return self.copy()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("ConfigValue is immutable")

    clear = update = setdefault = pop = popitem = _refuse
    __setattr__ = __setitem__ = __delattr__ = __delitem__ = __ior__ = _refuse

    def __dir__(self) -> List[str]:
        return [*super().__dir__(), *(key for key in self if isinstance(key, str) and _IDENTIFIER.fullmatch(key))]

    def __reduce__(self) -> Tuple[Any, ...]:
        return _pickling.Reference("metaflow.user_configs.config_parameters", "ConfigValue"), (self.to_dict(),)


def _construct(value: Any) -> Any:
    if isinstance(value, collections.abc.Mapping):
        return value if isinstance(value, ConfigValue) else ConfigValue(value)
    return type(value)([_construct(item) for item in value]) if type(value) in (list, tuple, set) else value


def _plain(value: Any) -> Any:
    if isinstance(value, collections.abc.Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return type(value)([_plain(item) for item in value]) if type(value) in (list, tuple, set) else value


class DelayEvaluator(collections.abc.Mapping):  # type: ignore[type-arg]
    """An expression of configs whose value is known when the flow starts."""

    def __init__(self, expression: str, names: Optional[Dict[str, Any]] = None, path: Sequence[Any] = ()) -> None:
        self._expression, self._names, self._path = expression, names, path
        self._is_name = _IDENTIFIER.fullmatch(expression) is not None  # else it has no items

    def __iter__(self) -> Iterator[str]:
        """For **config: one key that stands for all."""
        yield f"{_UNPACKED}{id(self)}"

    def __len__(self) -> int:
        return 1

    def _item(self, key: Any) -> "DelayEvaluator":
        return DelayEvaluator(self._expression, self._names, [*self._path, key])

    def __getitem__(self, key: Any) -> "DelayEvaluator":
        if isinstance(key, str) and key.startswith(_UNPACKED):
            return self
        if not self._is_name:
            raise KeyError(key)
        return self._item(key)

    def __getattr__(self, name: str) -> "DelayEvaluator":
        if name.startswith("__") or not self._is_name:
            raise AttributeError(name)
        return self._item(name)

    def evaluate(self, values: Mapping[str, Any]) -> Any:
        """Its value. Throws MetaflowException."""
        try:
            found = eval(self._expression, self._names or {}, dict(values))
            for key in self._path:
                if isinstance(key, DelayEvaluator):
                    key = key.evaluate(values)
                found = found[key]
            return found
        except Exception as error:
            shown = "".join([self._expression, *(f"[{key!r}]" for key in self._path)])
            raise MetaflowException(f"Config expression '{shown}' could not be evaluated: {type(error).__name__}: {error}") from error

    def __repr__(self) -> str:
        return f"config_expr({self._expression!r})"


def config_expr(expr: str) -> DelayEvaluator:
    """An expression of configs, which is evaluated when the flow starts: for decorators of the class, and where a config
    alone is not enough. It sees the names of the module that calls this."""
    frame = inspect.currentframe()
    caller = frame.f_back if frame is not None else None
    return DelayEvaluator(expr, caller.f_globals if caller is not None else None)


def resolve(value: Any, values: Mapping[str, Any]) -> Any:
    """The value with those of configs in it. Throws MetaflowException."""
    if isinstance(value, Config):
        value = DelayEvaluator(value.name)
    if isinstance(value, DelayEvaluator):
        return _plain(value.evaluate(values))
    if isinstance(value, dict):
        found = {}
        for key, item in value.items():
            if isinstance(key, str) and key.startswith(_UNPACKED):
                found.update(resolve(item, values))
            else:
                found[resolve(key, values)] = resolve(item, values)
        return found
    return type(value)([resolve(item, values) for item in value]) if type(value) in (list, tuple, set) else value


class Config(Parameter, collections.abc.Mapping):  # type: ignore[type-arg]
    """A value that is known before the flow runs: decorators and parameters can use it, and steps as an artifact.

    name: of the config, for --config NAME PATH and --config-value NAME VALUE. default: a path. default_value: a text, a
    dict. Both may be a function that gets a ParameterContext. required: one of them, or an option, must give a value.
    parser: a function, or its name "package.module.function", that makes a dict of the text; JSON without one. plain:
    the value stays as it is, else it is a ConfigValue.
    """

    def __init__(
        self,
        name: str,
        default: Any = None,
        default_value: Any = None,
        help: Optional[str] = None,
        required: Optional[bool] = None,
        parser: Union[None, str, Callable[[str], Any]] = None,
        plain: bool = False,
        show_default: Optional[bool] = None,
    ) -> None:
        if default is not None and default_value is not None:
            raise MetaflowException(f"For config '{name}', you can only specify default or default_value, not both")
        super().__init__(name, help=help, required=required, show_default=show_default)
        # The other attributes are expressions.
        self._default_path, self._default_value, self._required, self._parser, self._plain = default, default_value, required, parser, plain

    def __getattr__(self, name: str) -> DelayEvaluator:
        if name.startswith("_"):
            raise AttributeError(name)
        found: DelayEvaluator = getattr(DelayEvaluator(self.name), name)
        return found

    def __getitem__(self, key: Any) -> DelayEvaluator:
        return DelayEvaluator(self.name)[key]

    def __iter__(self) -> Iterator[str]:
        return iter(DelayEvaluator(self.name))

    def __len__(self) -> int:
        return 1

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> bool:
        return self is other

    def _load(self, value: Any) -> Any:
        return value if value is None or self._plain else ConfigValue(value)

    def _value_of_text(self, text: str) -> Any:
        """Throws ValueError, and what the parser throws."""
        if self._parser is None:
            return text if self._plain else json.loads(text)
        return call_parser(self._parser, text, self._plain)


def call_parser(parser: Union[str, Callable[[str], Any]], text: Any, plain: bool) -> Any:
    """What a parser makes of a text. Throws ValueError."""
    if isinstance(parser, str):
        path = "metaflow_cpp" + parser if parser.startswith(".") else parser
        module, _, name = path.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), name, None)
        except ImportError as error:
            raise ValueError(f"Cannot locate parser {parser}: {error}") from error
        if not callable(found):
            raise ValueError(f"Parser {name} is either not part of {module} or not a callable")
    else:
        found = parser
    value = found(text)
    if not plain and not isinstance(value, collections.abc.Mapping):
        raise ValueError(f"Parser {parser} returned a value that is not a mapping (got type {type(value)}): {value}")
    return value


class CommandLine:
    """The options --config and --config-value, which Python handles, and the other words."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words: List[str] = []
        self.paths: Dict[str, str] = {}
        self.values: Dict[str, str] = {}
        seen = set()
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word not in _VARIABLES:
                self.words.append(word)
                continue
            if len(rest) < 2:
                raise UsageError(f"Option '{word}' requires 2 arguments: {word} NAME {'PATH' if word == '--config' else 'VALUE'}")
            name, value, *rest = rest
            self._of(word)[name] = value
            seen.add(word)
        for option, variable in _VARIABLES.items():
            text = os.environ.get(variable)
            if text and option not in seen:
                self._of(option).update(_from_variable(variable, text))

    @classmethod
    def without(cls, words: Sequence[str]) -> "CommandLine":
        """That of a flow that has no configs."""
        options = cls.__new__(cls)
        options.words, options.paths, options.values = list(words), {}, {}
        return options

    def _of(self, option: str) -> Dict[str, str]:
        return self.paths if option == "--config" else self.values


def _from_variable(variable: str, text: str) -> Dict[str, str]:
    try:
        found = json.loads(text)
        if not isinstance(found, dict):
            raise ValueError("it is not a JSON object")
    except ValueError as error:
        raise UsageError(f"{variable} is not valid: {error}") from error
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in found.items()}


def values_of(configs: Sequence[Config], given: CommandLine, flow_name: str, user: str) -> Dict[str, Any]:
    """The values of the configs by name. Throws UsageError, ParameterFieldFailed."""
    known = {config.name: config for config in configs}
    for name in {**given.paths, **given.values}:
        if name not in known:
            names = ", ".join(sorted(known)) or "none"
            raise UsageError(f"'{name}' is not a config of flow {flow_name}. Its configs: {names}")
    both = sorted(set(given.paths) & set(given.values))
    if both:
        raise UsageError(f"Cannot provide both a value and a file for the same configuration. Found such values for '{', '.join(both)}'")
    values: Dict[str, Any] = {}
    problems = []
    for config in configs:
        try:
            values[config.name] = _value_of(config, given, ParameterContext(flow_name, user, config.name, print, "local", None))
        except UsageError as error:
            problems.append(str(error))
    if problems:
        raise UsageError(f"Bad values passed for configuration options: {', '.join(problems)}")
    return values


def _value_of(config: Config, given: CommandLine, context: ParameterContext) -> Any:
    name = config.name
    text: Any = given.values.get(name)
    if text is None and name in given.paths:
        text = _read(given.paths[name], f"configuration file '{given.paths[name]}' could not be read for '{name}'")
    if text is None and config._default_path is not None:
        path = _called(config, "default", config._default_path, context)
        text = _read(path, f"default configuration file '{path}' could not be read for '{name}'")
    if text is None and config._default_value is not None:
        text = _called(config, "default_value", config._default_value, context)
        if isinstance(text, dict):
            text = json.dumps(text)
    if text is None:
        if config._required:
            raise UsageError(f"missing configuration for '{name}'")
        return None
    try:
        return config._value_of_text(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"configuration value for '{name}' is not valid JSON: {error}") from error
    except Exception as error:
        raise UsageError(f"configuration value for '{name}' could not be parsed: {type(error).__name__}: {error}") from error


def _called(config: Config, field: str, value: Any, context: ParameterContext) -> Any:
    if not callable(value):
        return value
    try:
        return value(context)
    except Exception:
        raise ParameterFieldFailed(config.name, field) from None


def _read(path: Any, words: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise UsageError(f"{words}: {getattr(error, 'strerror', None) or error}") from error


def configs_of(flow: Type[Any]) -> Dict[str, Config]:
    """The configs by the name of their artifact."""
    return attributes_of(flow, Config)


def as_seen(flow: Type[Any], values: Mapping[str, Any]) -> Dict[str, Any]:
    """The values as expressions and steps see them."""
    return {config.name: config._load(values.get(config.name)) for config in configs_of(flow).values()}
