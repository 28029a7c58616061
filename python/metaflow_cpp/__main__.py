"""metaflow-cpp FILE COMMAND: executes an unchanged flow on this engine. `import metaflow` in it means this package."""

import contextlib
import os
import runpy
import sys
import types
from typing import Any, List, Optional

import metaflow_cpp

from . import _program

_USAGE = "Usage: metaflow-cpp FLOW.py COMMAND [ARGS]...\n\nExecutes a flow that imports metaflow on this engine."


class _Metaflow(types.ModuleType):
    """What `import metaflow` yields."""

    def __init__(self) -> None:
        super().__init__("metaflow", metaflow_cpp.__doc__)
        self.__path__: List[str] = []
        self.__all__ = metaflow_cpp.__all__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        with contextlib.suppress(AttributeError):
            return getattr(metaflow_cpp, name)
        raise ImportError(f"metaflow_cpp has no '{name}'. Under metaflow-cpp, `from metaflow import` knows: {', '.join(metaflow_cpp.__all__)}")


def main(arguments: Optional[List[str]] = None) -> None:
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE)
        sys.exit(0 if words else 2)
    script = words[0]
    if not os.path.exists(script):
        print(f"metaflow-cpp: {script} does not exist", file=sys.stderr)
        sys.exit(2)
    sys.modules["metaflow"] = _Metaflow()
    sys.argv = words
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    _program.start_with(["-m", "metaflow_cpp"])
    runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main()
