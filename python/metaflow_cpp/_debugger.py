"""debug --pdb: a step in the debugger of Python."""

import sys
from typing import Any, Callable


def called(step: Callable[..., None], *arguments: Any) -> None:
    """Calls a step, stops before its first line, and where it throws. Ends the process if the user leaves the debugger."""
    import bdb
    import pdb

    class Debugger(pdb.Pdb):
        left = False

        def set_quit(self) -> None:
            self.left = True
            super().set_quit()

    debugger = Debugger()
    try:
        debugger.runcall(step, *arguments)
    except bdb.BdbQuit:
        debugger.left = True
    except Exception as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        where = error.__traceback__
        while where is not None and where.tb_frame.f_code is not getattr(step, "__code__", None) and where.tb_next is not None:
            where = where.tb_next
        pdb.post_mortem(where)
        raise
    if debugger.left:
        print("You have left the debugger: the step is not finished.", file=sys.stderr)
        sys.exit(1)
