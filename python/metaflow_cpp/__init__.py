"""Flows in Python on the engine of Metaflow for C++: FlowSpec, step, the decorators, Parameter, current."""

import sys

if sys.version_info < (3, 9):
    raise ImportError(f"metaflow_cpp needs Python 3.9 or newer; this is {sys.version.split()[0]}: {sys.executable}")

from .current import current
from .decorators import batch, catch, environment, kubernetes, local, project, resources, retry, step, timeout
from .flowspec import FlowSpec
from .multicore import parallel_imap_unordered, parallel_map
from .parameters import JSONType, Parameter

__all__ = [
    "FlowSpec", "JSONType", "Parameter", "batch", "catch", "current", "environment", "kubernetes", "local",
    "parallel_imap_unordered", "parallel_map", "project", "resources", "retry", "step", "timeout",
]  # fmt: skip
