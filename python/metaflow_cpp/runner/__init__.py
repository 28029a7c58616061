"""Runner: starts runs from a program or a notebook.

    with Runner("flow.py").run(n=100, max_workers=8) as running:
        print(running.status, running.run.data.best)
"""

from .notebook import NBRunner, NBRunnerInitializationError
from .runner import ExecutingProcess, ExecutingRun, Runner

__all__ = ["ExecutingProcess", "ExecutingRun", "NBRunner", "NBRunnerInitializationError", "Runner"]
