"""Steps, runs and flows."""

from datetime import datetime
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Tuple, Union, cast

from ..exception import MetaflowNamespaceMismatch, MetaflowTaggingError
from .artifacts import MetaflowData
from .code import MetaflowCode
from .objects import MetaflowObject, Record, record_of
from .reader import reader_of
from .selection import selected_reader
from .tags import checked_tags
from .tasks import Task

_CONTROL_TASK = "control_task"


class Step(MetaflowObject):
    """A step of a run. Iteration yields its tasks."""

    _DEPTH, _FORM, _CHILD = 3, "FlowName/RunID/StepName", Task

    @property
    def task(self) -> Optional[Task]:
        """The only task, or the one that began last. None if there is none yet."""
        return next(iter(self), None)

    def tasks(self, *tags: str) -> Iterator[Task]:
        """The tasks, if the run has all of the tags."""
        return self._filtered(tags)

    @property
    def control_task(self) -> Optional[Task]:
        """The control task of a step with num_parallel."""
        return next(self.control_tasks(), None)

    def control_tasks(self, *tags: str) -> Iterator[Task]:
        """The control tasks of a step with num_parallel."""
        for task in self._filtered(tags):
            is_control = any(each.name == "internal_task_type" and each.value == _CONTROL_TASK for each in task.metadata)
            if _CONTROL_TASK in task.tags or is_control:
                yield task

    @property
    def finished_at(self) -> Optional[datetime]:
        """When its last task ended: local time. None if one did not."""
        times = [task.finished_at for task in self]
        return None if None in times or not times else max(times)

    @property
    def environment_info(self) -> Optional[Any]:
        """That of its first task."""
        task = self.task
        return task.environment_info if task is not None else None

    def _neighbours(self, of: Callable[[Dict[str, Any]], List[str]]) -> Iterator["Step"]:
        task = self.task
        run = self._pathspec.rpartition("/")[0]
        for name in of(task._graph) if task is not None else ():
            yield Step(f"{run}/{name}", _namespace_check=False, _current_metadata=self._reader.description())

    @property
    def parent_steps(self) -> Iterator["Step"]:
        """The steps before this one."""
        return self._neighbours(lambda graph: [name for name, facts in graph.items() if self.id in facts["next"]])

    @property
    def child_steps(self) -> Iterator["Step"]:
        """The steps after this one."""
        return self._neighbours(lambda graph: list(graph[self.id]["next"]))


class Run(MetaflowObject):
    """One execution of a flow. Iteration yields its steps."""

    _DEPTH, _FORM, _CHILD = 2, "FlowName/RunID", Step

    def _shows(self, name: str) -> bool:
        return not name.startswith("_")

    def steps(self, *tags: str) -> Iterator[Step]:
        """The steps, if the run has all of the tags."""
        return self._filtered(tags)

    @property
    def _endpoints(self) -> Tuple[str, str]:
        """The names of the first and the last step."""
        try:
            task = self["_parameters"].task
        except KeyError:
            task = None
        facts = task.metadata_dict if task is not None else {}
        return facts.get("start_step", "start"), facts.get("end_step", "end")

    @property
    def end_task(self) -> Optional[Task]:
        """The task of the last step; None if the run has not reached it."""
        try:
            return cast(Optional[Task], self[self._endpoints[1]].task)
        except KeyError:
            return None

    @property
    def data(self) -> Optional[MetaflowData]:
        """The values of the last step; None if the run has not reached it."""
        end = self.end_task
        return end.data if end is not None else None

    @property
    def successful(self) -> bool:
        """Whether the last step succeeded."""
        end = self.end_task
        return end.successful if end is not None else False

    @property
    def finished(self) -> bool:
        """Whether the last step ended."""
        end = self.end_task
        return end.finished if end is not None else False

    @property
    def finished_at(self) -> Optional[datetime]:
        """When the last step ended: local time. None if it did not."""
        end = self.end_task
        return end.finished_at if end is not None else None

    @property
    def code(self) -> Optional[MetaflowCode]:
        """The code package of the run; None if all its tasks were executed on this machine."""
        tasks = (step.task for step in self)
        return next((task.code for task in tasks if task is not None and task.code is not None), None)

    @property
    def trigger(self) -> None:
        """None: this engine does not start runs on events."""

    @property
    def origin_pathspec(self) -> Optional[str]:
        """The pathspec of the run that this one has resumed; None if it has not."""
        step = next(iter(self), None)
        task = step.task if step is not None else None
        origins = [each.value for each in task.metadata if each.name == "origin-run-id"] if task is not None else []
        return f"{self.path_components[0]}/{origins[0]}" if origins else None

    # --- tags

    def add_tag(self, tag: Union[str, Iterable[str]]) -> None:
        """Adds a tag. A tag that the run has already is accepted. Raises MetaflowTaggingError."""
        self.replace_tags([], [tag] if isinstance(tag, (str, bytes)) else tag)

    def add_tags(self, tags: Iterable[str]) -> None:
        """Adds tags."""
        self.replace_tags([], [tags] if isinstance(tags, (str, bytes)) else tags)

    def remove_tag(self, tag: Union[str, Iterable[str]]) -> None:
        """Removes a tag. Raises MetaflowTaggingError for a system tag; a tag that the run does not have is ignored."""
        self.replace_tags([tag] if isinstance(tag, (str, bytes)) else tag, [])

    def remove_tags(self, tags: Iterable[str]) -> None:
        """Removes tags."""
        self.replace_tags(tags, [])

    def replace_tag(self, tag_to_remove: Union[str, Iterable[str]], tag_to_add: Union[str, Iterable[str]]) -> None:
        """Removes a tag and adds another, at once."""
        self.replace_tags(
            [tag_to_remove] if isinstance(tag_to_remove, (str, bytes)) else tag_to_remove,
            [tag_to_add] if isinstance(tag_to_add, (str, bytes)) else tag_to_add,
        )

    def replace_tags(self, tags_to_remove: Iterable[str], tags_to_add: Iterable[str]) -> None:
        """Removes tags and adds others, at once. Raises MetaflowTaggingError."""
        remove, add = checked_tags("remove", tags_to_remove), checked_tags("add", tags_to_add)
        if not add and not remove:
            raise MetaflowTaggingError("Must add or remove at least one tag")
        tags = self._reader.edit_tags(self._pathspec, add, remove)
        self._record = self._record._replace(tags=frozenset(tags))


class Flow(MetaflowObject):
    """The runs of a flow. Iteration yields those in the namespace, the newest first."""

    _DEPTH, _FORM, _CHILD = 1, "FlowName", Run

    def _child_records(self) -> List[Record]:
        found = self._reader.children(self._pathspec)
        return [record_of(*row) for row in found["rows"]] if found else []

    def _is_in(self, name: Optional[str]) -> bool:
        return any(True for _ in self)

    @property
    def latest_run(self) -> Optional[Run]:
        """The run that was started last."""
        return next(iter(self), None)

    @property
    def latest_successful_run(self) -> Optional[Run]:
        """The last run that succeeded."""
        return next((run for run in self if run.successful), None)

    def runs(self, *tags: str) -> Iterator[Run]:
        """The runs that have all of the tags, the newest first."""
        return self._filtered(tags)

    @property
    def origin_pathspec(self) -> None:
        """None."""


class Metaflow:
    """All flows: `Metaflow().flows`, `Metaflow()["Sweep"]`."""

    def __init__(self, _current_metadata: Optional[str] = None) -> None:
        self._reader = reader_of(_current_metadata) if _current_metadata else selected_reader()

    @property
    def flows(self) -> List[Flow]:
        """The flows that have a run in the namespace."""
        return list(self)

    def __iter__(self) -> Iterator[Flow]:
        """The flows that have a run in the namespace."""
        for row in (self._reader.children("") or {"rows": ()})["rows"]:
            try:
                yield self[row[0]]
            except MetaflowNamespaceMismatch:
                continue

    def __getitem__(self, name: str) -> Flow:
        """The flow of this name. Raises MetaflowNotFound, MetaflowNamespaceMismatch."""
        return Flow(name, _current_metadata=self._reader.description())

    def _ipython_key_completions_(self) -> List[str]:
        return [flow.id for flow in self]

    def __str__(self) -> str:
        return "Metaflow()"


Task._PARENT, Step._PARENT, Run._PARENT = Step, Run, Flow
