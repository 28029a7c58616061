"""Keyword arguments as options of the command line."""

import json
import os
from typing import Any, Dict, List, Mapping, Tuple

# Options of the reference that this engine does not need.
_WITHOUT_EFFECT = {"pylint", "environment", "event_logger", "monitor", "package_suffixes", "force_rebuild_environments"}
_KINDS: Dict[str, Tuple[type, ...]] = {"INTEGER": (int,), "FLOAT": (int, float), "BOOLEAN": (bool,)}


class Options:
    """The options of a command, as the flow's program describes them, by the names of their keyword arguments."""

    def __init__(self, command: Dict[str, Any]) -> None:
        self._options: Dict[str, Dict[str, Any]] = {}
        prefix = "METAFLOW_" if command["name"] not in ("run", "resume") else f"METAFLOW_{command['name'].upper()}_"
        for option in command["options"]:
            name = option["name"].lstrip("-").replace("-", "_")
            self._options[name] = option
            if option["environment"].startswith(prefix):  # the names of the reference: --tag is `tags`
                self._options.setdefault(option["environment"][len(prefix) :].lower(), option)
        self._arguments = [argument["name"].lower().replace("-", "_") for argument in command["arguments"]]

    def words(self, given: Dict[str, Any], environment: Mapping[str, str]) -> List[str]:
        """The command line. Raises ValueError for an argument that does not exist or is missing, TypeError for a wrong type."""
        options: List[str] = []
        arguments: List[str] = []
        for name, value in given.items():
            if name in _WITHOUT_EFFECT and name not in self._options:
                continue
            if name not in self._options and name not in self._arguments:
                known = ", ".join(sorted({*self._options, *self._arguments}))
                raise ValueError(f"Unknown argument: '{name}', possible args are: {known}")
            if value is None:
                continue
            if name in self._options:
                options += _words_of(name, self._options[name], value)
            else:
                arguments.append(str(value))
        for name, option in self._options.items():
            if option["required"] and not any(self._options.get(each) is option for each in given) and not environment.get(option["environment"]):
                raise ValueError(f"Missing argument: {name} is required.")
        return options + arguments


def _words_of(name: str, option: Dict[str, Any], value: Any) -> List[str]:
    if option["value"] == "":
        if not isinstance(value, bool):
            raise _wrong_type(name, "bool", value)
        word = option["name"] if value else option["off_name"]
        return [word] if word else []
    if not option["multiple"]:
        return [option["name"], _text_of(name, option, value)]
    if not isinstance(value, (list, tuple)):
        raise _wrong_type(name, "list of str", value)
    return [word for each in value for word in (option["name"], _text_of(name, option, each))]


def _text_of(name: str, option: Dict[str, Any], value: Any) -> str:
    kind = option["value"]
    if kind == "JSON":
        try:
            return json.dumps(value)
        except (TypeError, ValueError):
            raise _wrong_type(name, "JSON", value) from None
    if kind not in _KINDS:
        if not isinstance(value, (str, os.PathLike)):
            raise _wrong_type(name, "str", value)
        return os.fspath(value)
    types = _KINDS[kind]
    if not isinstance(value, types) or isinstance(value, bool) != (kind == "BOOLEAN"):
        raise _wrong_type(name, types[-1].__name__, value)
    return str(value).lower() if kind == "BOOLEAN" else str(value)


def _wrong_type(name: str, expected: str, value: Any) -> TypeError:
    return TypeError(f"Invalid type for '{name}', expected: {expected}, but found: {value!r} ({type(value).__name__})")
