"""FlowSpec: the base class of flows."""

import inspect
import os
import sys
from itertools import islice
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Union, overload

from . import _arrays, _description, _graph, _native
from .exception import InvalidNextException, MergeArtifactsException, MissingInMergeArtifactsException, UnhandledInMergeArtifactsException
from .includefile import CONTENT, IncludedFile

_NOT_MODIFIABLE = "Flow level attributes and Parameters are not modifiable"


def item_at(values: Any, index: int) -> Any:
    """An item of anything that can be iterated over. The [] of other types than these may take labels."""
    if isinstance(values, Sequence) or type(values).__name__ == "ndarray":
        return values[index]
    return next(islice(values, index, index + 1))


class Input:
    """One input of a join. Its artifacts are attributes, which are read when they are used; so are the methods and
    properties of the flow."""

    def __init__(self, flow: "FlowSpec", task: _native.Task, index: int, pathspec: str, parameters: Dict[str, Any]) -> None:
        # Artifacts may have almost any other name.
        self._metaflow_task, self._metaflow_index, self._metaflow_path, self._metaflow_parameters = task, index, pathspec, parameters
        self._metaflow_class = type(flow)
        self.name = self._metaflow_class.__name__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        value = _arrays.load(self._metaflow_task, self._metaflow_index, name)
        if value is _arrays.MISSING:
            return self._metaflow_of_class(name)
        if name in self._metaflow_parameters:
            if isinstance(value, IncludedFile):
                value = value.content(name, self._metaflow_task.load_input(self._metaflow_index, CONTENT + name))
            value = self._metaflow_parameters[name]._load(value)
        self.__dict__[name] = value
        return value

    def _metaflow_of_class(self, name: str) -> Any:
        found = inspect.getattr_static(self._metaflow_class, name, _arrays.MISSING)
        if found is _arrays.MISSING or hasattr(FlowSpec, name):
            raise AttributeError(f"The input {self._metaflow_path} has no artifact '{name}'")
        return found.__get__(self, self._metaflow_class) if hasattr(found, "__get__") else found

    def __getstate__(self) -> Any:
        raise TypeError("An input of a join cannot be stored; its artifacts can")

    def __contains__(self, name: str) -> bool:
        return self._metaflow_task.input_has(self._metaflow_index, name)


class Inputs:
    """The inputs of a join: by index, and by the name of a branch."""

    def __init__(self, flow: "FlowSpec", task: _native.Task, paths: Sequence[str], parameters: Dict[str, Any]) -> None:
        self._inputs = [Input(flow, task, index, path, parameters) for index, path in enumerate(paths)]
        self._steps = {path.split("/")[-2]: each for path, each in zip(paths, self._inputs)}

    def __len__(self) -> int:
        return len(self._inputs)

    @overload
    def __getitem__(self, index: int) -> Input: ...
    @overload
    def __getitem__(self, index: slice) -> List[Input]: ...
    def __getitem__(self, index: Union[int, slice]) -> Union[Input, List[Input]]:
        return self._inputs[index]

    def __iter__(self) -> Iterator[Input]:
        return iter(self._inputs)

    def __getattr__(self, name: str) -> Input:
        if name.startswith("__") or name not in self._steps:
            raise AttributeError(f"The join has no input from a step '{name}', only from {', '.join(sorted(self._steps))}")
        return self._steps[name]


def _merged(task: _native.Task, name: str, inputs: Sequence[int]) -> int:
    """What Task.merge says about all inputs, about some."""
    having = [index for index in inputs if task.input_has(index, name)]
    values = {bytes(task.load_input(index, name) or b"") for index in having}
    return _native.CONFLICT if len(values) > 1 else having[0] if having else _native.IN_NO_INPUT


class ForeachFrame(NamedTuple):
    """One foreach around a task."""

    step: str
    var: str
    num_splits: int
    index: int  # type: ignore[assignment]
    value: str  # represents the item


class FlowSpec:
    """A flow: its methods with @step are the steps, its attributes the artifacts.

    FLOW() in a program executes the command line: python flow.py run.
    """

    def __init__(self, use_cli: bool = True) -> None:
        if use_cli:
            from . import _program

            _program.main(type(self), dict(vars(self)))

    # --- artifacts

    def __getattr__(self, name: str) -> Any:
        state = self.__dict__.get("_task_state")
        if state is None or name.startswith("__"):
            raise AttributeError(f"Flow {type(self).__name__} has no attribute '{name}'")
        return state.load(self, name)

    def __getattribute__(self, name: str) -> Any:
        # Parameters and constants are class attributes, but their values are those of the run.
        if not name.startswith("_"):
            state = object.__getattribute__(self, "__dict__").get("_task_state")
            if state is not None and name in state.fixed:
                return state.fixed_value(name)
        return object.__getattribute__(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        state = self.__dict__.get("_task_state")
        if state is not None and name in state.fixed:
            raise AttributeError(_NOT_MODIFIABLE)
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        state = self.__dict__.get("_task_state")
        if state is not None:
            if name in state.fixed:
                raise AttributeError(_NOT_MODIFIABLE)
            if name not in self.__dict__:
                state.load(self, name)
            state.deleted.add(name)
        object.__delattr__(self, name)

    def __getstate__(self) -> Any:
        raise TypeError("A flow cannot be stored: perhaps self, or an input of a join, was assigned to an attribute")

    def __iter__(self) -> Iterator[Callable[..., Any]]:
        """The steps."""
        return iter([getattr(self, name) for name in _description.steps_of(type(self))])

    # --- for steps

    @property
    def index(self) -> Optional[int]:
        """The index of the task in its innermost foreach; None outside of any."""
        frames = self._metaflow_state.task.facts["frames"]
        return frames[-1]["index"] if frames else None

    @property
    def input(self) -> Any:
        """The item of the task in its innermost foreach; None outside of any."""
        frames = self._metaflow_state.task.facts["frames"]
        return self._metaflow_state.item(self, len(frames) - 1) if frames else None

    def foreach_stack(self) -> List[Any]:
        """(index, number of items, item) of each foreach around the task, the outermost first."""
        frames = self._metaflow_state.task.facts["frames"]
        return [(frame["index"], frame["count"], self._metaflow_state.item(self, level)) for level, frame in enumerate(frames)]

    @property
    def _foreach_stack(self) -> List[ForeachFrame]:
        """The foreachs around the task, the outermost first."""
        frames = self._metaflow_state.task.facts["frames"]
        return [ForeachFrame(frame["step"], frame["variable"], frame["count"], frame["index"], frame["label"]) for frame in frames]

    def merge_artifacts(
        self, inputs: Iterable[Input], exclude: Optional[Sequence[str]] = None, include: Optional[Sequence[str]] = None
    ) -> None:
        """In a join: takes over the artifacts of the inputs that have one value, or are set here already."""
        state = self._metaflow_state
        step = state.step_facts["name"]
        if not state.step_facts["join"]:
            raise MergeArtifactsException(f"merge_artifacts can only be called in a join and step *{step}* is not a join")
        exclude, include = exclude or [], include or []
        if include and exclude:
            raise MergeArtifactsException("`exclude` and `include` are mutually exclusive in merge_artifacts")
        chosen = [each._metaflow_index for each in inputs]
        is_all = len(set(chosen)) == len(state.task.facts["inputs"])
        found = {
            name: state.task.merge(name) if is_all else _merged(state.task, name, chosen)
            for name in include or state.task.facts["artifacts"]
            if not (name in self.__dict__ or name in exclude or name in state.fixed)
        }
        unhandled = [name for name, index in found.items() if index == _native.CONFLICT]
        if unhandled:
            raise UnhandledInMergeArtifactsException(
                f"Step *{step}* cannot merge the following artifacts due to them having conflicting values:\n[{', '.join(unhandled)}].\n"
                "To remedy this issue, be sure to explicitly set those artifacts (using self.<artifact_name> = ...) prior to calling "
                "merge_artifacts.", unhandled)  # fmt: skip
        missing = [name for name, index in found.items() if index == _native.IN_NO_INPUT]
        if not include:
            found = {name: index for name, index in found.items() if name not in missing}
        elif missing:
            raise MissingInMergeArtifactsException(
                f"Step *{step}* specifies that [{', '.join(include)}] should be merged but [{', '.join(missing)}] are not present.\n"
                "To remedy this issue, make sure that the values specified in only come from at least one branch", missing)  # fmt: skip
        state.merged.update(found)

    def next(self, *targets: Any, foreach: Optional[str] = None, condition: Optional[str] = None, num_parallel: Optional[int] = None) -> None:
        """The transition at the end of a step."""
        state = self._metaflow_state
        step = state.step_facts["name"]
        if state.chosen is not None:
            raise InvalidNextException(f"Multiple self.next() calls detected in step *{step}*. Call self.next() only once.")
        if condition is not None:
            state.chosen = state.choose(self, targets[0], condition)
            return
        names = [getattr(target, "__name__", None) for target in targets]
        if names != state.step_facts["targets"] or (foreach or "") != state.step_facts["variable"]:
            raise InvalidNextException(f"Step *{step}* calls self.next() with other arguments than the last line of the step has.")
        if foreach is not None:
            state.split(self, foreach)
        state.chosen = -1

    @property
    def _metaflow_state(self) -> Any:
        state = self.__dict__.get("_task_state")
        if state is None:
            raise AttributeError("This is only possible in a step that is executed")
        return state

    @property
    def _current_step(self) -> str:
        return str(self._metaflow_state.step_facts["name"])

    @property
    def _graph(self) -> Dict[str, _graph.Node]:
        """The steps by name."""
        return _graph.nodes(_description.steps_of(type(self)))

    @property
    def name(self) -> Any:
        """The name of the flow. A step may set another value, which is an artifact of its task only."""
        return self.__dict__.get("name", type(self).__name__)

    @name.setter
    def name(self, value: Any) -> None:
        self.__dict__["name"] = value

    @property
    def script_name(self) -> str:
        """The file of the flow."""
        return os.path.basename(getattr(sys.modules[type(self).__module__], "__file__", None) or sys.argv[0])
