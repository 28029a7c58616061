"""An unchanged flow that uses names of the official package."""

import sys

import metaflow.parameters
from metaflow import FlowSpec, JSONType, current, step
from metaflow.exception import MetaflowException
from metaflow.flowspec import FlowSpec as same_spec
from metaflow.includefile import IncludeFile
from metaflow.parameters import JSONType as same_type
from metaflow.parameters import Parameter


class Official(same_spec):
    number = Parameter("number", type=same_type, default="[1]")
    absent = IncludeFile("absent")

    @step
    def start(self):
        from metaflow import Task

        self.paths = [Task(current.pathspec).pathspec, current.task.pathspec, current.run.pathspec]
        self.own = current.task
        assert "metaflow.client" not in sys.modules  # nothing has needed the official package yet
        assert same_spec is FlowSpec and same_type is JSONType is metaflow.parameters.JSONType and self.number == [1]
        self.next(self.end)

    @step
    def end(self):
        import metaflow.exception
        from metaflow.cards import get_cards
        from metaflow.metaflow_current import current as same
        from metaflow.parameters import DeployTimeField, flow_context
        from metaflow.parameters import JSONType as later

        assert DeployTimeField and flow_context and later is JSONType and metaflow.parameters.Parameter is Parameter
        assert callable(get_cards) and same is current and metaflow.FlowSpec is FlowSpec
        assert metaflow.exception.MetaflowException is MetaflowException and self.own.pathspec == self.paths[0]
        try:
            metaflow.Flow("NoFlowOfThisName")
        except MetaflowException as error:
            print(type(error).__name__)
        from metaflow import nothing_of_this_name  # noqa: F401


if __name__ == "__main__":
    Official()
