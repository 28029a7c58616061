"""`import metaflow` under metaflow-cpp: the names of this package, and the others from the official package, which is
imported only if it is needed."""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import types
from typing import Any, Dict, List, Optional, Sequence

import metaflow_cpp

_NAME = "metaflow"
# Modules of this package that have the place of one of the official package.
_OWN = {
    "metaflow.exception": "metaflow_cpp.exception",
    "metaflow.metaflow_current": "metaflow_cpp.current",
}
# Modules of the official package whose names are those of metaflow_cpp.s3, which is imported when the first is used.
_S3 = "metaflow_cpp.s3"
_S3_MODULES = (
    "metaflow.datatools", "metaflow.datatools.s3", "metaflow.plugins.datatools", "metaflow.plugins.datatools.s3",
    "metaflow.plugins.datatools.s3.s3",
)  # fmt: skip
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
    """A module with the names of another one, which is imported when the first is used."""

    def __init__(self, name: str, own: str) -> None:
        super().__init__(name)
        self._own = own

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self._own), name)


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
    sys.modules.update({name: _Alias(name, _S3) for name in _S3_MODULES})


def _place_own(package: types.ModuleType) -> None:
    for name, own in _OWN.items():
        sys.modules[name] = importlib.import_module(own)
        setattr(package, name.rpartition(".")[2], sys.modules[name])


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
    before: Dict[str, types.ModuleType] = {name: sys.modules[name] for name in (_NAME, *_S3_MODULES) if name in sys.modules}
    for name in _S3_MODULES:
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
    _replace_s3()
    return package


def _replace_s3() -> None:
    """In the modules from which flows import. The official package uses another one."""
    own = importlib.import_module(_S3)
    for module in map(importlib.import_module, ("metaflow.plugins.datatools", "metaflow.plugins.datatools.s3")):
        for name in own.__all__:
            if hasattr(module, name):
                setattr(module, name, getattr(own, name))


def _has_package(place: str) -> bool:
    return os.path.exists(os.path.join(place or ".", _NAME, "__init__.py"))
