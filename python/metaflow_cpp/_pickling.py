"""Pickles of artifacts. In them, classes of Metaflow have the names that its readers know; here they are those of this
package."""

import importlib
import io
import pickle
import re
from typing import Any, Tuple, Union

PROTOCOL = 4  # that of the reference

_MODULES = {
    "metaflow.client.core": "metaflow_cpp.client",
    "metaflow.exception": "metaflow_cpp.exception",
    "metaflow.includefile": "metaflow_cpp.includefile",
    "metaflow.user_configs.config_parameters": "metaflow_cpp.config",
}
_NAMES = re.compile("|".join(re.escape(name) for name in _MODULES).encode())
_SEARCHED = 1 << 20  # bytes


def _module(name: str) -> Any:
    return importlib.import_module(_MODULES.get(name, name))


class _Module:
    """A module in a pickle."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __reduce__(self) -> Tuple[Any, ...]:
        return importlib.import_module, (self.name,)


class Reference:
    """A class of Metaflow in a pickle: a reader without this package finds its own."""

    def __init__(self, module: str, name: str) -> None:
        self._module, self._name = module, name

    def found(self) -> Any:
        """The class here."""
        return getattr(_module(self._module), self._name)

    def __call__(self, *arguments: Any) -> Any:
        return self.found()(*(each.found() if isinstance(each, Reference) else each for each in arguments))

    def __deepcopy__(self, _memo: Any) -> "Reference":
        return self

    def __reduce__(self) -> Tuple[Any, ...]:
        return getattr, (_Module(self._module), self._name)


class Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("importlib", "import_module"):
            return _module
        return super().find_class(_MODULES.get(module, module), name)


class View(io.RawIOBase):
    """A file of bytes that are not copied."""

    def __init__(self, view: memoryview) -> None:
        self._view, self._at = view, 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        size = min(len(into), len(self._view) - self._at)
        into[:size] = self._view[self._at : self._at + size]
        self._at += size
        return size


def loads(payload: Union[bytes, memoryview]) -> Any:
    # Few payloads have such a name. A large one is mostly data, which is not searched.
    if len(payload) <= _SEARCHED and _NAMES.search(payload) is None:
        return pickle.loads(payload)
    return Unpickler(io.BufferedReader(View(memoryview(payload)), _SEARCHED)).load()


def dumps(value: Any) -> bytes:
    return pickle.dumps(value, PROTOCOL)
