"""Reading runs: Metaflow, Flow, Run, Step, Task and DataArtifact, as in Metaflow's client.

    run = Flow("Sweep").latest_successful_run
    run.data.best, run["start"].task.stdout

Runs of flows in Python and in C++, and of the official Metaflow. Objects read the store when an attribute is used. Their
times are local times without a time zone, as in Metaflow. What cannot be read raises DataException.
"""

from .artifacts import DataArtifact, MetaflowData
from .code import MetaflowCode
from .objects import MetaflowObject
from .runs import Flow, Metaflow, Run, Step
from .selection import default_metadata, default_namespace, get_metadata, get_namespace, metadata, namespace
from .tasks import Metadata, Task

__all__ = [
    "DataArtifact", "Flow", "Metadata", "Metaflow", "MetaflowCode", "MetaflowData", "MetaflowObject", "Run", "Step", "Task",
    "default_metadata", "default_namespace", "get_metadata", "get_namespace", "metadata", "namespace",
]  # fmt: skip
