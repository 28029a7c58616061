"""The task that is executed: `from metaflow_cpp import current`."""

from typing import Any, Dict, List, Optional


class Current:
    """The task of this process. Outside of tasks its attributes are None, and is_running_flow is False."""

    def __init__(self) -> None:
        self._facts: Dict[str, Any] = {}
        self.graph: Optional[Dict[str, Any]] = None
        self.parameter_names: List[str] = []

    def _set(self, facts: Dict[str, Any], parameter_names: List[str]) -> None:
        self._facts, self.parameter_names = facts, parameter_names

    @property
    def is_running_flow(self) -> bool:
        return bool(self._facts)

    @property
    def flow_name(self) -> Optional[str]:
        return self._facts.get("flow")

    @property
    def run_id(self) -> Optional[str]:
        return self._facts.get("run")

    @property
    def step_name(self) -> Optional[str]:
        return self._facts.get("step")

    @property
    def task_id(self) -> Optional[str]:
        return self._facts.get("task")

    @property
    def retry_count(self) -> int:
        return int(self._facts.get("attempt", 0))

    @property
    def origin_run_id(self) -> Optional[str]:
        return self._facts.get("origin_run") or None

    @property
    def namespace(self) -> Optional[str]:
        return self._facts.get("namespace")

    @property
    def username(self) -> Optional[str]:
        return self._facts.get("user")

    @property
    def tags(self) -> "frozenset[str]":
        return frozenset(self._facts.get("tags", ()))

    @property
    def pathspec(self) -> Optional[str]:
        if not self._facts:
            return None
        return "/".join(self._facts[part] for part in ("flow", "run", "step", "task"))

    @property
    def project_name(self) -> Optional[str]:
        return self._facts.get("project") or None

    @property
    def project_flow_name(self) -> Optional[str]:
        return self._facts.get("project_flow") or None

    @property
    def branch_name(self) -> Optional[str]:
        return self._facts.get("branch") or None

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
