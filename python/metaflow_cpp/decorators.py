"""The decorators of steps and flows. What they mean is the engine's say; here are their names and attributes."""

from typing import Any, Callable, Dict, List, Optional, TypeVar, Union, overload

F = TypeVar("F", bound=Callable[..., Any])


class Decorator:
    """One decorator of a step, with the attributes that its flow gives it."""

    def __init__(self, name: str, attributes: Dict[str, Any]) -> None:
        self.name = name
        self.attributes = attributes


def step(function: F) -> F:
    """Makes a method of a flow a step."""
    function.is_step = True  # type: ignore[attr-defined]
    function.decorators = []  # type: ignore[attr-defined]
    return function


class DuplicateDecorator(Exception):
    """A step has a decorator twice."""


class BadDecorator(Exception):
    """A decorator stands where it cannot."""


def _decorate(name: str, function: F, attributes: Dict[str, Any]) -> F:
    decorators: Optional[List[Decorator]] = getattr(function, "decorators", None)
    if decorators is None:
        raise BadDecorator(f"Decorator '{name}' is above something that is not a step. @step must be the last decorator, next to the function.")
    if any(decorator.name == name for decorator in decorators):
        raise DuplicateDecorator(f"Step '{function.__name__}' already has a decorator '{name}'.")
    decorators.append(Decorator(name, attributes))
    return function


class StepDecorator:
    """@name or @name(attribute=value, ...)"""

    def __init__(self, name: str, doc: str) -> None:
        self._name = name
        self.__doc__ = doc

    @overload
    def __call__(self, function: F) -> F: ...

    @overload
    def __call__(self, function: None = None, **attributes: Any) -> Callable[[F], F]: ...

    def __call__(self, function: Optional[F] = None, **attributes: Any) -> Union[F, Callable[[F], F]]:
        if function is not None:
            return _decorate(self._name, function, attributes)
        return lambda decorated: _decorate(self._name, decorated, attributes)


resources = StepDecorator("resources", "The resources that a step needs: cpu, memory (MB), gpu, disk (MB), ...")
retry = StepDecorator("retry", "How often a step is tried again: times, minutes_between_retries.")
timeout = StepDecorator("timeout", "How long a step may take: seconds, minutes, hours.")
catch = StepDecorator("catch", "Continues after a failure: var, the artifact for the exception, print_exception.")
environment = StepDecorator("environment", "Variables for a step: vars, a dict.")
kubernetes = StepDecorator("kubernetes", "Executes a step in a Kubernetes cluster.")
batch = StepDecorator("batch", "Executes a step on AWS Batch.")
local = StepDecorator("local", "Executes a step on this machine, within its cores, memory and GPUs.")


C = TypeVar("C", bound=type)


def project(*, name: str) -> Callable[[C], C]:
    """The project of a flow: its runs have a branch."""

    def decorate(flow: C) -> C:
        flow._project = name  # type: ignore[attr-defined]
        return flow

    return decorate
