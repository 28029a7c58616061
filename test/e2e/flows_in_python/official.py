"""An unchanged flow that uses names of the official package."""

import sys

from metaflow import FlowSpec, current, step
from metaflow.exception import MetaflowException


class Official(FlowSpec):
    @step
    def start(self):
        from metaflow import Task

        self.paths = [Task(current.pathspec).pathspec, current.task.pathspec, current.run.pathspec]
        self.own = current.task
        assert "metaflow.client" not in sys.modules  # nothing has needed the official package yet
        self.next(self.end)

    @step
    def end(self):
        import metaflow
        import metaflow.exception
        from metaflow.cards import get_cards
        from metaflow.metaflow_current import current as same

        assert callable(get_cards) and same is current and metaflow.FlowSpec is FlowSpec
        assert metaflow.exception.MetaflowException is MetaflowException and self.own.pathspec == self.paths[0]
        try:
            metaflow.Flow("NoFlowOfThisName")
        except MetaflowException as error:
            print(type(error).__name__)
        from metaflow import nothing_of_this_name  # noqa: F401


if __name__ == "__main__":
    Official()
