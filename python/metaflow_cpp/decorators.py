"""Decorators of steps and flows. The engine checks the attributes of those that it executes."""

import os
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Tuple, TypeVar, Union, overload

from .exception import BadDecorator, DuplicateDecorator, InvalidDecoratorAttribute, MetaflowException, UnsupportedDecorator

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)


class Decorator:
    """One decorator, with the attributes that its flow gives it."""

    def __init__(self, kind: "StepDecorator", attributes: Dict[str, Any]) -> None:
        self.kind = kind
        self.attributes = attributes

    @property
    def name(self) -> str:
        return self.kind.name


@overload
def step(f: F) -> F: ...


@overload
def step(f: None = None, *, start: bool = False, end: bool = False, node_info: Optional[Dict[str, Any]] = None) -> Callable[[F], F]: ...


def step(
    f: Optional[F] = None, *, start: bool = False, end: bool = False, node_info: Optional[Dict[str, Any]] = None
) -> Union[F, Callable[[F], F]]:
    """Makes a method of a flow a step. start, end: it is the first or the last one; without, that is its name."""

    def make(function: F) -> F:
        function.is_step = True  # type: ignore[attr-defined]
        function.decorators = []  # type: ignore[attr-defined]
        function.is_start_step, function.is_end_step = start, end  # type: ignore[attr-defined]
        return function

    return make if f is None else make(f)


class StepDecorator:
    """@name or @name(attribute=value, ...)"""

    def __init__(self, name: str, doc: str, defaults: Optional[Dict[str, Any]] = None, refused: str = "") -> None:
        """`defaults`: of a decorator that the engine does not execute: all attributes. `refused`: why it cannot be used."""
        self.name = name
        self.defaults = defaults
        self.refused = refused
        self.__doc__ = doc

    @overload
    def __call__(self, function: F) -> F: ...

    @overload
    def __call__(self, function: None = None, **attributes: Any) -> Callable[[F], F]: ...

    def __call__(self, function: Optional[F] = None, **attributes: Any) -> Union[F, Callable[[F], F]]:
        if function is not None:
            return self._decorate(function, attributes)
        return lambda decorated: self._decorate(decorated, attributes)

    def _decorate(self, function: F, attributes: Dict[str, Any]) -> F:
        decorators: Optional[List[Decorator]] = getattr(function, "decorators", None)
        if decorators is None:
            raise BadDecorator(
                f"Decorator '{self.name}' is above something that is not a step. @step must be the last decorator, next to the function."
            )
        if self.name != "card" and any(decorator.name == self.name for decorator in decorators):
            raise DuplicateDecorator(f"Step '{function.__name__}' already has a decorator '{self.name}'.")
        decorators.append(Decorator(self, attributes))
        return function


_IGNORED = "METAFLOW_IGNORE_PACKAGES"
_NO_PACKAGES = (
    "@{name} is not supported: steps use the packages of the Python that runs the flow. Install them there, and add disabled=True, "
    f"or ignore the decorator: export {_IGNORED}=1"
)
_PACKAGES: Dict[str, Any] = {"packages": {}, "libraries": {}, "python": None, "disabled": None, "extra_indices": [], "sources": []}

resources = StepDecorator("resources", "The resources that a step needs: cpu, memory (MB), gpu, disk (MB), ...")
retry = StepDecorator("retry", "How often a step is tried again: times, minutes_between_retries.")
timeout = StepDecorator("timeout", "How long a step may take: seconds, minutes, hours.")
catch = StepDecorator("catch", "Continues after a failure: var, the artifact for the exception, print_exception.")
environment = StepDecorator("environment", "Variables for a step: vars, a dict.")
kubernetes = StepDecorator("kubernetes", "Executes a step in a Kubernetes cluster.")
batch = StepDecorator("batch", "Executes a step on AWS Batch.")
local = StepDecorator("local", "Executes a step on this machine, within its cores, memory and GPUs.")
secrets = StepDecorator(
    "secrets", "Variables for a step from a store of secrets: sources, role, allow_override.", {"sources": [], "role": None, "allow_override": False}
)
card = StepDecorator("card", "A report of the step. This engine makes none.", {})
conda = StepDecorator("conda", "An environment of packages.", _PACKAGES, _NO_PACKAGES.format(name="conda"))
pypi = StepDecorator("pypi", "An environment of packages.", _PACKAGES, _NO_PACKAGES.format(name="pypi"))
parallel = StepDecorator("parallel", "A step of several nodes.", {}, "@parallel is not supported: steps of several nodes (num_parallel) are missing.")


def check_attributes(name: str, attributes: Mapping[str, Any], defaults: Mapping[str, Any]) -> Dict[str, Any]:
    """The attributes and the defaults of the others. Throws InvalidDecoratorAttribute."""
    for attribute in attributes:
        if attribute not in defaults:
            raise InvalidDecoratorAttribute(name, attribute, defaults)
    return {**defaults, **attributes}


def refuse(decorator: Union[Decorator, "FlowDecorator"], attributes: Mapping[str, Any]) -> None:
    """Throws UnsupportedDecorator if a run cannot have the decorator."""
    refused = decorator.kind.refused
    is_ignored = attributes.get("disabled") or (decorator.kind.defaults is _PACKAGES and os.environ.get(_IGNORED, "") not in ("", "0"))
    if refused and not is_ignored:
        raise UnsupportedDecorator(refused)


# --- of flows

Check = Callable[[Dict[str, Any]], None]


class FlowDecoratorKind:
    """@name(attribute=value, ...) of a flow. Deployment reads it from the artifact _graph_info."""

    def __init__(
        self, name: str, doc: str, defaults: Dict[str, Any], check: Optional[Check] = None, multiple: bool = False, refused: str = ""
    ) -> None:
        self.name, self.defaults, self.check, self.multiple, self.refused = name, defaults, check, multiple, refused
        self.__doc__ = doc

    @overload
    def __call__(self, flow: C) -> C: ...

    @overload
    def __call__(self, flow: None = None, **attributes: Any) -> Callable[[C], C]: ...

    def __call__(self, flow: Optional[C] = None, **attributes: Any) -> Union[C, Callable[[C], C]]:
        if flow is not None:
            return self._decorate(flow, attributes)
        return lambda decorated: self._decorate(decorated, attributes)

    def _decorate(self, flow: C, attributes: Dict[str, Any]) -> C:
        if not isinstance(flow, type):
            raise BadDecorator(f"Decorator '{self.name}' must be above a flow, not above a step.")
        own = vars(flow).get("_own_decorators", [])
        if not self.multiple and any(decorator.kind is self for decorator in own):
            raise DuplicateDecorator(f"Flow '{flow.__name__}' already has a decorator '{self.name}'.")
        flow._own_decorators = [*own, FlowDecorator(self, attributes)]  # type: ignore[attr-defined]
        return flow


class FlowDecorator:
    def __init__(self, kind: FlowDecoratorKind, attributes: Dict[str, Any]) -> None:
        self.kind, self.attributes = kind, attributes

    def checked(self, attributes: Dict[str, Any]) -> Dict[str, Any]:
        """All attributes. Throws MetaflowException."""
        every = check_attributes(self.kind.name, attributes, self.kind.defaults)
        if self.kind.check is not None:
            self.kind.check(every)
        return every


def decorators_of(flow: type) -> List[FlowDecorator]:
    """Those of base classes first; a class replaces a decorator of its bases."""
    found: List[FlowDecorator] = []
    for base in reversed(flow.__mro__):
        own = vars(base).get("_own_decorators", [])
        replaced = [decorator.kind for decorator in own if not decorator.kind.multiple]
        found = [decorator for decorator in found if decorator.kind not in replaced] + own
    return found


def pod(value: Any) -> Any:
    """Plain data for _graph_info."""
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, dict):
        return {str(pod(key)): pod(item) for key, item in value.items()}
    if isinstance(value, (list, set, tuple)):
        return [pod(item) for item in value]
    return getattr(value, "__qualname__", str(value)) if callable(value) else str(value)


def _one_of(name: str, one: str, several: str) -> Check:
    def check(attributes: Dict[str, Any]) -> None:
        if attributes[one] and attributes[several]:
            raise MetaflowException(f"Specify only one of *{one}* or *{several}* attributes in *@{name}* decorator.")

    return check


def _check_project(attributes: Dict[str, Any]) -> None:
    if not attributes["name"] or not isinstance(attributes["name"], str):
        raise MetaflowException("Specify the name of the project: @project(name='my_project')")


def _check_exit_hook(attributes: Dict[str, Any]) -> None:
    if not attributes["on_success"] and not attributes["on_error"]:
        raise MetaflowException("Choose at least one of the options on_success/on_error")
    for hook in (*attributes["on_success"], *attributes["on_error"]):
        if not isinstance(hook, str) and not callable(hook):
            raise MetaflowException(f"A hook of @exit_hook must be a function or its name, not {hook!r}")


project = FlowDecoratorKind(
    "project", "The project of a flow: its runs have a branch.", {"name": None, "production": False, "branch": None}, _check_project
)
schedule = FlowDecoratorKind(
    "schedule", "When a deployed flow runs.", {"cron": None, "weekly": False, "daily": True, "hourly": False, "timezone": None}
)
trigger = FlowDecoratorKind(
    "trigger", "The events that start a deployed flow.", {"event": None, "events": [], "options": {}}, _one_of("trigger", "event", "events")
)
trigger_on_finish = FlowDecoratorKind(
    "trigger_on_finish", "The flows whose end starts a deployed flow.", {"flow": None, "flows": [], "options": {}},
    _one_of("trigger_on_finish", "flow", "flows"),
)  # fmt: skip
exit_hook = FlowDecoratorKind(
    "exit_hook", "What a deployed flow calls at its end.", {"on_success": [], "on_error": [], "options": {}}, _check_exit_hook, multiple=True
)
conda_base = FlowDecoratorKind("conda_base", "An environment of packages.", _PACKAGES, refused=_NO_PACKAGES.format(name="conda_base"))
pypi_base = FlowDecoratorKind("pypi_base", "An environment of packages.", _PACKAGES, refused=_NO_PACKAGES.format(name="pypi_base"))


# --- decorators of users

_NO_CUSTOM = "metaflow_cpp has no decorators of users ({name}). Write a plain decorator of a function below @step."


class _NoCustom(type):
    """The type of names that can be imported, but not used."""

    def __call__(cls, *_: Any, **__: Any) -> NoReturn:
        raise ImportError(_NO_CUSTOM.format(name=cls.__name__))

    def __init__(cls, name: str, bases: Tuple[type, ...], names: Dict[str, Any]) -> None:
        super().__init__(name, bases, names)
        if bases:
            raise ImportError(_NO_CUSTOM.format(name=bases[0].__name__))


class FlowMutator(metaclass=_NoCustom):
    """Not supported."""


class StepMutator(metaclass=_NoCustom):
    """Not supported."""


class UserStepDecorator(metaclass=_NoCustom):
    """Not supported."""


def user_step_decorator(*_: Any, **__: Any) -> NoReturn:
    raise ImportError(_NO_CUSTOM.format(name="user_step_decorator"))
