"""Metaflow on a native engine: flows (FlowSpec, step, the decorators, Parameter, Config, current), reading runs, Runner, and S3."""

import importlib
import sys
from typing import TYPE_CHECKING, Any, List

if sys.version_info < (3, 9):
    raise ImportError(f"metaflow_cpp needs Python 3.9 or newer; this is {sys.version.split()[0]}: {sys.executable}")

from .config import Config, ConfigValue, config_expr
from .current import current
from .decorators import (
    FlowMutator,
    StepMutator,
    UserStepDecorator,
    batch,
    card,
    catch,
    conda,
    conda_base,
    environment,
    exit_hook,
    kubernetes,
    local,
    parallel,
    project,
    pypi,
    pypi_base,
    resources,
    retry,
    schedule,
    secrets,
    step,
    timeout,
    trigger,
    trigger_on_finish,
    user_step_decorator,
)  # fmt: skip
from .flowspec import FlowSpec
from .includefile import IncludeFile
from .multicore import parallel_imap_unordered, parallel_map
from .parameters import JSONType, JSONTypeClass, Parameter

if "fork-server" in sys.argv:
    from . import _fork_server

    _fork_server.begin()

if TYPE_CHECKING:
    from .client import (
        DataArtifact,
        Flow,
        Metaflow,
        MetaflowCode,
        Run,
        Step,
        Task,
        default_metadata,
        default_namespace,
        get_metadata,
        get_namespace,
        metadata,
        namespace,
    )
    from .runner import NBRunner, Runner
    from .s3 import S3

__all__ = [
    "Config", "ConfigValue", "DataArtifact", "Flow", "FlowMutator", "FlowSpec", "IncludeFile", "JSONType", "JSONTypeClass", "Metaflow",
    "MetaflowCode", "NBRunner", "Parameter", "Run", "Runner", "S3", "Step", "StepMutator", "Task", "UserStepDecorator", "batch", "card",
    "catch", "conda", "conda_base", "config_expr", "current", "default_metadata", "default_namespace", "environment", "exit_hook", "get_metadata",
    "get_namespace", "kubernetes", "local", "metadata", "namespace", "parallel", "parallel_imap_unordered", "parallel_map", "project",
    "pypi", "pypi_base", "resources", "retry", "schedule", "secrets", "step", "timeout", "trigger", "trigger_on_finish",
    "user_step_decorator",
]  # fmt: skip

# Imported when they are first used, so that a task does not pay for them.
_MODULES = {"NBRunner": ".runner", "Runner": ".runner", "S3": ".s3"}  # of the names that are not in .client
_NOT_HERE = ("DeployedFlow", "Deployer", "NBDeployer")


def __getattr__(name: str) -> Any:
    if name in _NOT_HERE:
        raise ImportError(f"metaflow_cpp has no '{name}': deploy with the official metaflow, or start runs with Runner")
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(importlib.import_module(_MODULES.get(name, ".client"), __name__), name)
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *__all__})
