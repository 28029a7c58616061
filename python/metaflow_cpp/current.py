"""The task that is executed: `from metaflow_cpp import current`."""

from typing import Any, Dict, List, Optional


class _Fact:
    """An attribute that is a text of the task's facts; None if there is none."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, owner: Any, _class: Any = None) -> Optional[str]:
        return owner._facts.get(self._name) or None


class Current:
    """The task of this process. Outside of tasks its attributes are None, and is_running_flow is False."""

    flow_name = _Fact("flow")
    run_id = _Fact("run")
    step_name = _Fact("step")
    task_id = _Fact("task")
    origin_run_id = _Fact("origin_run")
    namespace = _Fact("namespace")
    username = _Fact("user")
    project_name = _Fact("project")
    project_flow_name = _Fact("project_flow")
    branch_name = _Fact("branch")

    def __init__(self) -> None:
        self._facts: Dict[str, Any] = {}
        self.parameter_names: List[str] = []

    def _set(self, facts: Dict[str, Any], parameter_names: List[str]) -> None:
        self._facts, self.parameter_names = facts, parameter_names

    @property
    def is_running_flow(self) -> bool:
        return bool(self._facts)

    @property
    def retry_count(self) -> int:
        return int(self._facts.get("attempt", 0))

    @property
    def tags(self) -> "frozenset[str]":
        return frozenset(self._facts.get("tags", ()))

    @property
    def pathspec(self) -> Optional[str]:
        return "/".join(self._facts[part] for part in ("flow", "run", "step", "task")) if self._facts else None

    @property
    def is_user_branch(self) -> bool:
        return bool(self._facts.get("is_user_branch"))

    @property
    def is_production(self) -> bool:
        return bool(self._facts.get("is_production"))

    def get(self, key: str, default: Any = None) -> Any:
        """An attribute by its name."""
        return getattr(self, key, default)


current = Current()
