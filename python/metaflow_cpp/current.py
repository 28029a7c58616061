"""The task that is executed: `from metaflow_cpp import current`."""

import os
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set


class Parallel(NamedTuple):
    """The place of a task among the nodes of a step."""

    main_ip: str
    num_nodes: int
    node_index: int
    control_task_id: Optional[str]


class _Fact:
    """An attribute that is a text of the task's facts; None if there is none."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, _class: Any = None) -> Optional[str]:
        return owner._facts.get(self._name) or None


class _FactOfProject:
    """An attribute that only flows with @project have."""

    def __init__(self, name: str, fact: str) -> None:
        self._name, self._fact = name, fact

    def __get__(self, owner: Any, _class: Any = None) -> Any:
        if not owner._facts.get("project"):
            raise AttributeError(f"current.{self._name} exists in flows with @project only")
        return owner._facts[self._fact]


class Card:
    """The card of a step: this engine makes none, so what a step adds to it is dropped."""

    def append(self, component: Any, id: Optional[str] = None) -> None:
        pass

    def extend(self, components: Any) -> None:
        pass

    def clear(self) -> None:
        pass

    def refresh(self, *_: Any, **__: Any) -> None:
        pass

    def __getitem__(self, key: str) -> "Card":
        return self

    def __setitem__(self, key: str, value: Any) -> None:
        pass

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0


def client_class(name: str) -> Any:
    """A class of the client. Throws ImportError."""
    import metaflow_cpp

    from . import _reference

    return getattr(metaflow_cpp, name, None) or _reference.attribute(name)


class Current:
    """The task of this process. Outside of tasks its attributes are None, and is_running_flow is False. Those of @project
    do not exist without it: use current.get("project_name")."""

    flow_name = _Fact("flow")
    run_id = _Fact("run")
    step_name = _Fact("step")
    task_id = _Fact("task")
    origin_run_id = _Fact("origin_run")
    namespace = _Fact("namespace")
    username = _Fact("user")
    project_name = _FactOfProject("project_name", "project")
    project_flow_name = _FactOfProject("project_flow_name", "project_flow")
    branch_name = _FactOfProject("branch_name", "branch")
    is_user_branch = _FactOfProject("is_user_branch", "is_user_branch")
    is_production = _FactOfProject("is_production", "is_production")

    def __init__(self) -> None:
        self._facts: Dict[str, Any] = {}
        self._graph_info: Optional[Callable[[], Any]] = None
        self.parameter_names: List[str] = []
        self.card = Card()
        self._metadata_str = None  # the official client asks: none but the default

    def _set(self, facts: Dict[str, Any], parameter_names: List[str], graph_info: Callable[[], Any]) -> None:
        self._facts, self.parameter_names, self._graph_info = facts, parameter_names, graph_info

    def _set_project(self, name: str, branch: str, flow: str) -> None:
        """Before a run, for defaults that are functions."""
        self._facts = {
            "project": name, "branch": branch, "project_flow": f"{name}.{branch}.{flow}",
            "is_user_branch": branch.startswith("user."), "is_production": branch.split(".")[0] == "prod",
        }  # fmt: skip

    @property
    def is_running_flow(self) -> bool:
        return "run" in self._facts

    @property
    def retry_count(self) -> int:
        return int(self._facts.get("attempt", 0))

    @property
    def tags(self) -> Set[str]:
        return set(self._facts.get("tags", ()))

    @property
    def pathspec(self) -> Optional[str]:
        return "/".join(self._facts[part] for part in ("flow", "run", "step", "task")) if self.is_running_flow else None

    @property
    def task(self) -> Any:
        """The task as the client sees it."""
        return None if self.pathspec is None else client_class("Task")(self.pathspec, _namespace_check=False)

    @property
    def run(self) -> Any:
        """The run as the client sees it."""
        return None if self.pathspec is None else client_class("Run")(f"{self.flow_name}/{self.run_id}", _namespace_check=False)

    @property
    def graph(self) -> Any:
        """The graph of the flow: the artifact _graph_info."""
        if self._graph_info is None:
            raise RuntimeError("Graph is not available")
        return self._graph_info()

    @property
    def tempdir(self) -> str:
        """The directory for temporary files."""
        return os.environ.get("METAFLOW_TEMPDIR") or "."

    @property
    def trigger(self) -> None:
        """The event that started the run: this engine starts none by events."""

    def __contains__(self, key: str) -> bool:
        return getattr(self, key, None) is not None

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute by its name."""
        return getattr(self, key, default)


current = Current()
