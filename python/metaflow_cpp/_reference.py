"""`import metaflow` under metaflow-cpp: the names of this package, and the others from the official package, which is
imported only if it is needed."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from typing import Any, Collection, Dict, List, Optional, Sequence

import metaflow_cpp

_NAME = "metaflow"
# Modules of this package that have the place of one of the official package.
_OWN = {
    "metaflow.exception": "metaflow_cpp.exception",
    "metaflow.metaflow_current": "metaflow_cpp.current",
}
# Modules of the official package, some of whose names are those of a module of this one, which is imported when the first is used.
_S3 = "metaflow_cpp.s3"
_S3_MODULES = (
    "metaflow.datatools", "metaflow.datatools.s3", "metaflow.plugins.datatools", "metaflow.plugins.datatools.s3",
    "metaflow.plugins.datatools.s3.s3",
)  # fmt: skip
_ALIASES = {
    **dict.fromkeys(_S3_MODULES, _S3),
    "metaflow.flowspec": "metaflow_cpp.flowspec",
    "metaflow.includefile": "metaflow_cpp.includefile",
    "metaflow.multicore_utils": "metaflow_cpp.multicore",
    "metaflow.parameters": "metaflow_cpp.parameters",
}
_official: Optional[types.ModuleType] = None


class Metaflow(types.ModuleType):
    """What `import metaflow` yields."""

    def __init__(self) -> None:
        super().__init__(_NAME, metaflow_cpp.__doc__)
        self.__path__: List[str] = []
        self.__spec__ = importlib.machinery.ModuleSpec(_NAME, None, is_package=True)
        self.__all__ = metaflow_cpp.__all__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(metaflow_cpp, name) if name in metaflow_cpp.__all__ else attribute(name)


class _Alias(types.ModuleType):
    """A module with the public names of another one, which is imported when the first is used; the others are those of the
    official package."""

    def __init__(self, name: str, own: str) -> None:
        super().__init__(name)
        self._own = own

    def __getattr__(self, name: str) -> Any:
        own = importlib.import_module(self._own)
        if name in _public(own) or name.startswith("__"):
            return getattr(own, name)
        official(f"{self.__name__}.{name}")
        return getattr(importlib.import_module(self.__name__), name)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds `metaflow.x`."""

    def find_spec(self, name: str, path: Optional[Sequence[str]], target: Any = None) -> Optional[importlib.machinery.ModuleSpec]:
        if not name.startswith(f"{_NAME}."):
            return None
        if _official is not None:
            return None  # the official package finds its modules
        package = official(name)
        if name in sys.modules:
            return importlib.util.spec_from_loader(name, _Loader(sys.modules[name]))
        return importlib.machinery.PathFinder.find_spec(name, package.__path__)


class _Loader(importlib.abc.Loader):
    """Yields a module that is there already."""

    def __init__(self, module: types.ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> types.ModuleType:
        return self._module

    def exec_module(self, module: types.ModuleType) -> None:
        module.__spec__ = self._spec


def install() -> None:
    """Makes `import metaflow` yield this package."""
    sys.modules[_NAME] = Metaflow()
    sys.meta_path.insert(0, _Finder())
    _place_own(sys.modules[_NAME])
    for name, own in _ALIASES.items():
        sys.modules[name] = _Alias(name, own)
        package, _, last = name.rpartition(".")
        if package in sys.modules:
            setattr(sys.modules[package], last, sys.modules[name])


def _place_own(package: types.ModuleType) -> None:
    for name, own in _OWN.items():
        sys.modules[name] = importlib.import_module(own)
        setattr(package, name.rpartition(".")[2], sys.modules[name])


def _public(own: types.ModuleType) -> Collection[str]:
    """The names of a module that flows may import."""
    return getattr(own, "__all__", None) or [name for name in metaflow_cpp.__all__ if name in vars(own)]


def attribute(name: str) -> Any:
    """A name of the official package that this one does not have. Throws ImportError."""
    package = official(name)
    try:
        return getattr(package, name)
    except AttributeError:
        try:
            return importlib.import_module(f"{_NAME}.{name}")
        except ImportError:
            raise ImportError(f"Neither metaflow_cpp nor the official metaflow has '{name}'") from None


def official(wanted: str) -> types.ModuleType:
    """The official package, with the names of this package in place of its own. Throws ImportError."""
    global _official
    if _official is not None:
        return _official
    spec = importlib.machinery.PathFinder.find_spec(_NAME, [place for place in sys.path if _has_package(place)])
    if spec is None or spec.loader is None:
        names = ", ".join(metaflow_cpp.__all__)
        raise ImportError(
            f"metaflow_cpp has no '{wanted}', and the official package, which may have it, is not installed: pip install metaflow. "
            f"metaflow_cpp has: {names}"
        )
    before: Dict[str, types.ModuleType] = {name: sys.modules[name] for name in (_NAME, *_ALIASES) if name in sys.modules}
    for name in _ALIASES:
        sys.modules.pop(name, None)  # its own modules import names from there that only the official package has
    package = importlib.util.module_from_spec(spec)
    _official = package
    sys.modules[_NAME] = package
    _place_own(package)
    try:
        spec.loader.exec_module(package)
    except BaseException:
        _official = None
        sys.modules.update(before)
        raise
    for name in metaflow_cpp.__all__:
        setattr(package, name, getattr(metaflow_cpp, name))
    _replace_names()
    return package


def _replace_names() -> None:
    """In the modules from which flows import. Modules of the official package have imported its own from there before."""
    for place, name in _ALIASES.items():
        own, module = importlib.import_module(name), sys.modules.get(place)
        for public in _public(own) if module is not None else ():
            if hasattr(module, public):
                setattr(module, public, getattr(own, public))


def _has_package(place: str) -> bool:
    return os.path.exists(os.path.join(place or ".", _NAME, "__init__.py"))
