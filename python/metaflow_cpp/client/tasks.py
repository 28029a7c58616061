"""Tasks: their artifacts, metadata, logs and neighbours."""

from collections import namedtuple
from datetime import datetime, timedelta
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple, Union, cast

from .artifacts import DataArtifact, MetaflowData
from .code import MetaflowCode
from .objects import MetaflowObject, Record

_EPOCH = datetime(1970, 1, 1)
_NO_TIME = datetime(3000, 1, 1)  # of a line whose time is unknown
_PATH = "foreach-execution-path"
_SPLITS = ("split-foreach", "split-parallel")


class Metadata(NamedTuple):
    """Something that was recorded about a task. `created_at`: milliseconds since 1970."""

    name: str
    value: Any
    created_at: float
    type: str
    task: "Task"


# Which tasks are meant, by their paths through the foreachs: "work:1,part:3". None: all.
_Rule = Optional[Callable[[str], bool]]


def _equal(path: str) -> _Rule:
    return (lambda other: other == path) if path else None


def _inside(path: str) -> _Rule:
    return lambda other: other.startswith(path + ",")


def _outer(path: str) -> str:
    return path.rpartition(",")[0]


def _milliseconds(microseconds: int) -> Union[int, float]:
    return microseconds / 1000 if microseconds % 1000 else microseconds // 1000


class Task(MetaflowObject):
    """One execution of a step. Iteration yields its artifacts, but not those whose names begin with "_"."""

    _DEPTH, _FORM, _CHILD, _HAS_ATTEMPTS = 4, "FlowName/RunID/StepName/TaskID", DataArtifact, True

    def _shows(self, name: str) -> bool:
        return not name.startswith("_")

    def _child_records(self) -> List[Record]:
        return DataArtifact._records(self._reader.artifacts(self._pathspec, self._attempt))

    def _value(self, name: str) -> Any:
        """The value of an artifact. Raises KeyError."""
        return self[name].data

    # --- neighbours

    @property
    def _graph(self) -> Dict[str, Any]:
        graph: Dict[str, Any] = self._value("_graph_info")["steps"]
        return graph

    def _tasks_of(self, steps: List[str], matches: _Rule) -> Iterator[str]:
        """The tasks of these steps whose path through the foreachs matches; None: all."""
        run = "/".join(self.path_components[:2])
        for step in steps:
            for row in (self._reader.children(f"{run}/{step}") or {"rows": ()})["rows"]:
                pathspec = f"{run}/{step}/{row[0]}"
                if matches is None or any(name == _PATH and matches(str(value)) for name, value, *_ in self._reader.fields(pathspec)):
                    yield pathspec

    @property
    def parent_task_pathspecs(self) -> Iterator[str]:
        """The pathspecs of parent_tasks."""
        graph, step = self._graph, self.path_components[2]
        parents = [name for name, facts in graph.items() if step in facts["next"]]
        path = self.metadata_dict.get(_PATH) or ""
        rule = _equal(path)
        if path and len(parents) == 1:
            if graph[step]["type"] == "join":
                rule = _inside(path)
            elif graph[parents[0]]["type"] in _SPLITS:
                rule = _equal(_outer(path))
        yield from self._tasks_of(parents, rule)

    @property
    def child_task_pathspecs(self) -> Iterator[str]:
        """The pathspecs of child_tasks."""
        graph, step = self._graph, self.path_components[2]
        children = list(graph[step]["next"])
        path = self.metadata_dict.get(_PATH) or ""
        rule = _equal(path)
        if path and len(children) == 1:
            inputs = sum(children[0] in facts["next"] for facts in graph.values())
            if graph[step]["type"] in _SPLITS:
                rule = _inside(path)
            elif graph[children[0]]["type"] == "join" and inputs == 1:
                rule = _equal(_outer(path))
        yield from self._tasks_of(children, rule)

    def _unchecked(self, pathspec: str) -> "Task":
        return Task(pathspec, _namespace_check=False, _current_metadata=self._reader.description())

    @property
    def parent_tasks(self) -> Iterator["Task"]:
        """The tasks whose artifacts this one started with; of a join its inputs."""
        for pathspec in self.parent_task_pathspecs:
            yield self._unchecked(pathspec)

    @property
    def child_tasks(self) -> Iterator["Task"]:
        """The tasks that followed this one."""
        for pathspec in self.child_task_pathspecs:
            yield self._unchecked(pathspec)

    # --- metadata

    @property
    def metadata(self) -> List[Metadata]:
        """What was recorded about the task, in all its attempts, or in the one that was selected.

        A task that `resume` has cloned also has what its origin has.
        """
        fields = self._fields_of_attempt(self._reader.fields(self._pathspec))
        found = [Metadata(name, value, _milliseconds(created), kind, self) for name, value, kind, _, created in fields]
        values = {each.name: each.value for each in found}
        if values.get("origin-task-id"):
            flow, _, step, _ = self.path_components
            origin = self._unchecked(f"{flow}/{values.get('origin-run-id')}/{step}/{values['origin-task-id']}")
            latest = {each.name: each for each in sorted(origin.metadata, key=lambda each: each.created_at)}
            found += [each._replace(task=self) for each in latest.values() if each.name not in values]
        return found

    def _fields_of_attempt(self, fields: List[List[Any]]) -> List[List[Any]]:
        if self._attempt is None:
            return fields
        if all(field[3] >= 0 for field in fields):
            return [field for field in fields if field[3] == self._attempt]
        # Metaflow before 2.4 did not record the attempt: the time tells it.
        starts = {int(field[1]): field[4] for field in fields if field[0] == "attempt"}
        if self._attempt not in starts:
            return []
        end = starts.get(self._attempt + 1, float("inf"))
        return [field for field in fields if starts[self._attempt] <= field[4] < end]

    @property
    def metadata_dict(self) -> Dict[str, Any]:
        """The latest value by name."""
        return {each.name: each.value for each in sorted(self.metadata, key=lambda each: each.created_at)}

    @property
    def origin_pathspec(self) -> Optional[str]:
        """The pathspec of the task that `resume` has cloned into this one; None if it was executed."""
        parent = self.parent.origin_pathspec if self.parent else None
        origins = [each.value for each in self.metadata if each.name == "origin-task-id"]
        return f"{parent}/{origins[0]}" if parent and origins else None

    @property
    def runtime_name(self) -> Optional[str]:
        """The kind of program that executed the run: "dev"."""
        return next((tag.split(":")[1] for tag in self.tags if tag.startswith("runtime:")), None)

    @property
    def current_attempt(self) -> int:
        """The attempt that this object shows: the one that was selected, else the last that began."""
        return self._attempt if self._attempt is not None else int(self.metadata_dict.get("attempt", 0))

    # --- results

    @property
    def data(self) -> MetaflowData:
        """The values of the artifacts: `task.data.x`."""
        return MetaflowData(self)

    @property
    def artifacts(self) -> Any:
        """The artifacts, as a named tuple: `task.artifacts.x.sha`."""
        found = list(self)
        return namedtuple("MetaflowArtifacts", [artifact.id for artifact in found])(*found)

    @property
    def index(self) -> Optional[int]:
        """The index of the task in its innermost foreach; None outside of any."""
        try:
            return cast(Optional[int], self._value("_foreach_stack")[-1].index)
        except (KeyError, IndexError):
            return None

    @property
    def successful(self) -> bool:
        """Whether the step ended without an exception, and none was caught."""
        return cast(bool, self._value_or("_success", False))

    @property
    def finished(self) -> bool:
        """Whether the task reached its end. False if an exception ended it."""
        return cast(bool, self._value_or("_task_ok", False))

    @property
    def exception(self) -> Optional[Any]:
        """The exception that ended the task: its `type`, `exception` (the message) and `stacktrace`. None if there was none."""
        return self._value_or("_exception", None)

    def _value_or(self, name: str, otherwise: Any) -> Any:
        try:
            return self._value(name)
        except KeyError:
            return otherwise

    @property
    def finished_at(self) -> Optional[datetime]:
        """When the task ended: local time. None if it did not."""
        try:
            return cast(datetime, self["_task_ok"].created_at)
        except KeyError:
            return None

    # --- logs

    @property
    def stdout(self) -> str:
        """The standard output of the attempt."""
        return self._log("stdout")

    @property
    def stderr(self) -> str:
        """The standard error of the attempt."""
        return self._log("stderr")

    @property
    def stdout_size(self) -> int:
        """Bytes of the standard output as it is stored."""
        return self._log_size("stdout")

    @property
    def stderr_size(self) -> int:
        """Bytes of the standard error as it is stored."""
        return self._log_size("stderr")

    def loglines(
        self, stream: str, as_unicode: bool = True, meta_dict: Optional[Dict[str, Any]] = None
    ) -> Iterator[Tuple[Optional[datetime], Union[str, bytes]]]:
        """The lines of "stdout" or "stderr" with their times, UTC. as_unicode=False: bytes. meta_dict: a metadata_dict to use.

        Raises ValueError for another stream.
        """
        if stream not in ("stdout", "stderr"):
            raise ValueError(f"'{stream}' is not a log. Use 'stdout' or 'stderr'.")
        return self._loglines(stream, as_unicode, self.metadata_dict if meta_dict is None else meta_dict)

    def _loglines(self, stream: str, as_unicode: bool, facts: Dict[str, Any]) -> Iterator[Tuple[Optional[datetime], Union[str, bytes]]]:
        place = self._log_place(facts)
        if place is None:
            yield None, "" if as_unicode else b""
            return
        for time, line in self._reader.log(self._pathspec, *place, stream == "stderr"):
            yield _NO_TIME if time is None else _EPOCH + timedelta(microseconds=time), line.decode("utf-8", "replace") if as_unicode else line

    def _log_place(self, facts: Dict[str, Any]) -> Optional[Tuple[int, str, str]]:
        """The attempt, and where its logs are."""
        if facts.get("ds-type") is None or facts.get("ds-root") is None:
            return None
        attempt = self._attempt if self._attempt is not None else int(facts.get("attempt", 0))
        return attempt, facts["ds-type"], facts["ds-root"]

    def _log(self, stream: str) -> str:
        return "".join(cast(str, line) + "\n" for _, line in self.loglines(stream))

    def _log_size(self, stream: str) -> int:
        place = self._log_place(self.metadata_dict)
        return 0 if place is None else self._reader.log_size(self._pathspec, *place, stream == "stderr")

    # --- code

    @property
    def code(self) -> Optional[MetaflowCode]:
        """The code package of a task on another machine; None of a task on this one."""
        if not hasattr(self, "_code"):
            package = self.metadata_dict.get("code-package")
            self._code = MetaflowCode(self._reader, self.path_components[0], package) if package else None
        return self._code

    @property
    def environment_info(self) -> Optional[Any]:
        """What the code package says about its environment; None without a package."""
        code = self.code
        if code is None or not code.info.get("environment_type"):
            return None
        return "Local environment" if code.info["environment_type"] == "local" else code.info["environment_type"]


DataArtifact._PARENT = Task
