"""metaflow-cpp FILE COMMAND: executes an unchanged flow on this engine. `import metaflow` in it means this package."""

import importlib.machinery
import os
import sys
import types
from typing import List, Optional

from . import _program, _reference

_USAGE = "Usage: metaflow-cpp FLOW.py COMMAND [ARGS]...\n\nExecutes a flow that imports metaflow on this engine."


def main(arguments: Optional[List[str]] = None) -> None:
    words = sys.argv[1:] if arguments is None else arguments
    if not words or words[0] in ("-h", "--help"):
        print(_USAGE)
        sys.exit(0 if words else 2)
    script = words[0]
    if not os.path.exists(script):
        print(f"metaflow-cpp: {script} does not exist", file=sys.stderr)
        sys.exit(2)
    _reference.install()
    sys.argv = words
    sys.path[0] = os.path.dirname(os.path.abspath(script))
    _program.start_with(["-m", "metaflow_cpp"])
    os.environ["METAFLOW_FLOW_FILE"] = os.path.abspath(script)
    _execute(script)


def _execute(script: str) -> None:
    """As runpy.run_path, but multiprocessing starts new processes by _spawned."""
    with open(script, "rb") as file:
        code = compile(file.read(), script, "exec")
    module = types.ModuleType("__main__")
    module.__dict__.update(__file__=script, __package__="", __cached__=None)
    module.__spec__ = importlib.machinery.ModuleSpec("metaflow_cpp._spawned", None, origin=script)
    sys.modules["__main__"] = module
    exec(code, module.__dict__)


if __name__ == "__main__":
    main()
