"""Executes one task."""

import contextlib
import io
import os
import pickle
import re
import reprlib
import signal
import sys
import traceback
import types
from typing import Any, Callable, Dict, List, NoReturn, Optional, Sequence, Set, Tuple, Type

from . import _arrays, _debugger, _description, _files, _native, _pickling, _secrets, exception
from .config import as_seen, configs_of, resolve
from .current import current
from .exception import InvalidNextException, MetaflowException
from .flowspec import FlowSpec, Inputs, item_at
from .includefile import CONTENT, IncludedFile

SUCCEEDED, THREW = 0, 1
_LONGEST_NAME = 255  # bytes: kLongestIdentifier of src/store/names.cc
_UNCHANGEABLE = (bool, bytes, float, int, str, type(None))
_WIDE = 64  # items of a foreach
_LABEL = 30  # characters: Metaflow's MAXIMUM_FOREACH_VALUE_CHARS
_PACKAGE = os.path.dirname(__file__)
_TIMED_OUT = "metaflow.plugins.timeout_decorator.TimeoutException"  # the type that readers of runs know


class TimeoutException(MetaflowException):
    """The step takes longer than @timeout allows."""


class UnpicklableArtifactException(MetaflowException):
    """A value that cannot be stored."""


def label_of(item: Any) -> str:
    """What represents an item: numbers and texts as they are, other values as Python shows them, shortened."""
    text = item if isinstance(item, (str, int, float, bool)) else reprlib.Repr().repr(item)
    return str(text)[:_LABEL]


class State:
    """What the flow object of a task needs: FlowSpec's attributes go through it."""

    def __init__(
        self, task: _native.Task, step_facts: Dict[str, Any], parameters: Dict[str, Any], constants: Set[str], items: Dict[int, Any]
    ) -> None:
        self.task = task
        self.step_facts = step_facts  # of the description
        self.parameters = parameters  # and configs, by the name of the artifact
        self.fixed = {*parameters, *constants, *(CONTENT + name for name in parameters)}
        self.deleted: Set[str] = set()
        self.merged: Dict[str, int] = {}  # artifacts from merge_artifacts: the input that has each
        self.chosen: Optional[int] = None  # by self.next(): the index of the case of a switch, else -1
        self._items = items  # as they are in the ranges, by the level of the foreach
        self._fixed_values: Dict[str, Any] = {}

    def load(self, flow: FlowSpec, name: str) -> Any:
        is_of_input = not self.step_facts["join"] and name not in self.deleted and name in self.task.facts["artifacts"]
        value = _arrays.MISSING
        if is_of_input or name in self.merged:
            value = _arrays.load(self.task, self.merged.get(name), name)
        if value is _arrays.MISSING:
            raise AttributeError(f"Flow {type(flow).__name__} has no attribute '{name}'")
        object.__setattr__(flow, name, value)
        return value

    def fixed_value(self, name: str) -> Any:
        if name not in self._fixed_values:
            payload = self._first(name)
            if payload is None:
                raise AttributeError(f"The run has no value of '{name}': it began with another version of the flow")
            value = _pickling.loads(payload)
            if isinstance(value, IncludedFile):
                value = value.content(name, self._first(CONTENT + name))
            self._fixed_values[name] = self.parameters[name]._load(value) if name in self.parameters else value
        return self._fixed_values[name]

    def _first(self, name: str) -> Optional[memoryview]:
        return self.task.load_input(0, name) if self.step_facts["join"] else self.task.load(name)

    def item(self, flow: FlowSpec, level: int) -> Any:
        """That of the artifact, which the step may change; else of the range as it was: if an inner foreach has another value
        under the name, or the artifact is gone. An item that cannot change is taken from the range: an artifact that was read
        is stored again, which is much for a wide foreach."""
        frames = self.task.facts["frames"]
        frame = frames[level]
        variable = frame["variable"]
        if variable in self.fixed:  # perhaps parsed
            return item_at(self.fixed_value(variable), frame["index"])
        item = self._item_of_range(level, frame["index"])
        if type(item) in _UNCHANGEABLE and variable not in flow.__dict__:
            return item
        if all(inner["variable"] != variable for inner in frames[level + 1 :]) and hasattr(flow, variable):
            with contextlib.suppress(IndexError, StopIteration, TypeError):  # the step has set another value
                return item_at(getattr(flow, variable), frame["index"])
        return item

    def _item_of_range(self, level: int, index: int) -> Any:
        if level not in self._items:
            payload, is_alone = self.task.item_payload(level)
            value = _pickling.loads(payload)
            self._items[level] = value if is_alone else item_at(value, index)
        return self._items[level]

    def split(self, flow: FlowSpec, variable: str) -> None:
        step = self.step_facts["name"]
        try:
            values = getattr(flow, variable)
        except AttributeError:
            raise InvalidNextException(f"Foreach variable *self.{variable}* in step *{step}* does not exist. Check your variable.") from None
        if hasattr(values, "__next__"):
            raise InvalidNextException(f"Foreach variable *self.{variable}* in step *{step}* is an iterator, which cannot be stored: use list(...).")
        try:
            labels = [label_of(item) for item in values]
        except TypeError:
            raise InvalidNextException(f"Foreach variable *self.{variable}* in step *{step}* is not iterable. Please check your variable.") from None
        is_of_input = not self.step_facts["join"] and variable in self.task.facts["artifacts"]
        if not (is_of_input or variable in flow.__dict__ or variable in self.merged):  # such as a property
            flow.__dict__[variable] = values
        if not labels:
            raise InvalidNextException(f"Foreach iterator over *{variable}* in step *{step}* produced zero splits. Check your variable.")
        # Items that can be read alone: else each task of a wide foreach would load all of them. Those of a file that was parsed
        # are not in the store otherwise.
        is_plain = len(labels) >= _WIDE and type(values) in (list, tuple) and all(type(item) in _UNCHANGEABLE for item in values)
        items: Optional[List[bytes]] = None
        if is_plain or variable in self.fixed:
            with contextlib.suppress(Exception):  # what cannot be stored is made again by the parser
                items = [pickle.dumps(item, 3) for item in values]
        self.task.split(labels, items)

    def choose(self, flow: FlowSpec, cases: Dict[Any, Any], variable: str) -> int:
        step = self.step_facts["name"]
        names = {key: target.__name__ for key, target in cases.items()}
        if list(names.values()) != self.step_facts["targets"] or variable != self.step_facts["variable"]:
            raise InvalidNextException(f"Step *{step}* calls self.next() with other arguments than the last line of the step has.")
        try:
            value = getattr(flow, variable)
        except AttributeError:
            raise InvalidNextException(f"Condition variable *self.{variable}* in step *{step}* does not exist. Check your variable.") from None
        if value not in names:
            raise RuntimeError(
                f"Switch condition variable '{variable}' has value '{value}' which is not in the available cases: {list(names)}"
            )
        return list(names).index(value)


class SharedFlow:
    """What all tasks of a flow need. Tasks are forked from a process that has made it."""

    def __init__(
        self, flow_class: Type[FlowSpec], description: _description.Description, configs: Dict[str, Any], attributes: Dict[str, Any]
    ) -> None:
        self.flow_class = flow_class
        self.native = _native.Flow(description.text)
        self.steps = {step["name"]: step for step in description.header["steps"]}  # facts of each
        self.parameters = {**_description.parameters_of(flow_class), **configs_of(flow_class)}
        self.constants = {constant["name"] for constant in description.header["constants"]}
        self.configs = configs
        self.attributes = attributes  # that __init__ of the flow has set
        self.secrets = {
            name: [decorator for decorator in step.decorators if decorator.name == "secrets"]
            for name, step in _description.steps_of(flow_class).items()
        }


class Execution:
    """One attempt of a task."""

    def __init__(self, shared: SharedFlow, arguments: Sequence[str]) -> None:
        self.shared = shared
        self.task = _native.Task(shared.native, arguments)
        self.flow = shared.flow_class.__new__(shared.flow_class)
        self.flow.__dict__.update(shared.attributes)
        self.state: Optional[State] = None  # of a task that has begun

    def run(self) -> int:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)  # lines are shown live
        try:
            chosen = None
            called, state = self.begin()
            if called:
                self.call(state)
                chosen = state.chosen
            self.save_artifacts(state)
            self.task.finish(-1 if chosen is None else chosen)
            return SUCCEEDED
        except SystemExit:  # exit() in a step: the engine says so
            raise
        except BaseException as error:
            self.task.fail(*described(error))
            self.save_what_can_be()
            self.task.finish()
            return THREW

    def begin(self) -> Tuple[bool, State]:
        """Whether the step is to be called, and the state for its flow object."""
        items: List[Any] = []

        def read_item(payload: memoryview, index: Optional[int]) -> str:
            value = _pickling.loads(payload)
            if isinstance(value, IncludedFile):
                return ""  # its items are made by a parser, and cannot be stored
            items.append(value if index is None else item_at(value, index))
            return label_of(items[-1])

        called = self.task.begin(read_item)
        facts = self.task.facts
        parameters = self.shared.parameters
        loaded = {len(facts["frames"]) - 1: each for each in items}
        state = State(self.task, self.shared.steps[facts["step"]], parameters, self.shared.constants, loaded)
        current._set(facts, sorted(parameters), self.graph_info)
        self.flow.__dict__["_task_state"] = state
        self.state = state
        return called, state

    def graph_info(self) -> Any:
        """The artifact _graph_info."""
        payload = self.task.graph()
        return None if payload is None else _pickling.loads(payload)

    def set_secrets(self) -> None:
        for decorator in self.shared.secrets[self.task.facts["step"]]:
            seen = as_seen(self.shared.flow_class, self.shared.configs)
            os.environ.update(_secrets.variables(resolve(decorator.attributes, seen)))

    def call(self, state: State) -> None:
        """Calls the step. An exception that `catch` stores ends here."""
        facts = self.task.facts
        process = os.getpid()
        try:
            self.set_secrets()
            self.arm_timeout(facts["time_limit"])
            try:
                step = getattr(self.flow, facts["step"])
                called = _debugger.called if os.environ.pop("METAFLOW_DEBUGGER", "") == "pdb" else _called
                called(step, *([Inputs(self.flow, self.task, facts["inputs"], state.parameters)] if state.step_facts["join"] else []))
                if state.chosen is None and state.step_facts["transition"] != "none":
                    raise InvalidNextException(f"Step *{facts['step']}* did not call self.next().")
            finally:
                if os.getpid() != process:
                    end_of_copy()
                signal.setitimer(signal.ITIMER_REAL, 0)
                _files.flush_streams()
        except Exception as error:
            if not facts["catches"]:
                raise
            self.task.caught(*described(error))
            state.chosen = None

    def arm_timeout(self, microseconds: int) -> None:
        if microseconds == 0:
            return
        step = self.task.facts["step"]

        def expire(_number: int, _frame: Any) -> None:
            seconds = microseconds // 1_000_000
            words = f"{seconds // 3600} hours, {seconds // 60 % 60} minutes, {seconds % 60} seconds"
            raise TimeoutException(f"Step {step} timed out after {words}")

        signal.signal(signal.SIGALRM, expire)
        signal.setitimer(signal.ITIMER_REAL, microseconds / 1e6)

    def own_names(self) -> List[str]:
        """Of the values to store. Functions are not stored, as in the reference."""
        functions = (types.FunctionType, types.MethodType)
        return [name for name, value in self.flow.__dict__.items() if name != "_task_state" and not isinstance(value, functions)]

    def save(self, name: str) -> None:
        value = self.flow.__dict__.get(name, _arrays.MISSING)
        if value is _arrays.MISSING:  # the code of another value has removed it
            return
        if not name.isidentifier() or len(name.encode()) > _LONGEST_NAME:
            raise UnpicklableArtifactException(f"{name!r} is not the name of an artifact: it is to be a name of Python of at most 255 bytes.")
        if _arrays.save(self.task, name, value):
            return
        try:
            payload = _pickling.dumps(value)
        except Exception as error:
            words = f"Cannot pickle artifact named '{name}': {type(error).__name__}: {message_of(error)}"
            raise UnpicklableArtifactException(words) from error
        self.task.save(name, payload, str(type(value)))

    def save_artifacts(self, state: State) -> None:
        own = self.own_names()
        for name in own:
            self.save(name)
        for name in self.task.facts["artifacts"]:
            if name in own or name in state.deleted:
                continue
            if not state.step_facts["join"]:
                self.task.keep(name)
            elif name in state.merged:
                self.task.keep_input(state.merged[name], name)
            elif name in state.fixed:
                self.task.keep_input(max(self.task.merge(name), 0), name)

    def save_what_can_be(self) -> None:
        for name in self.own_names():
            try:
                self.save(name)
            except BaseException:  # it may be why the step failed
                continue
        if self.state is not None and not self.state.step_facts["join"]:
            for name in self.task.facts["artifacts"]:
                if name not in self.flow.__dict__:
                    self.task.keep(name)


def _called(step: Callable[..., None], *arguments: Any) -> None:
    step(*arguments)


def end_of_copy() -> NoReturn:
    """Ends a process that a step has forked, and that has returned from the step: only the task itself is stored."""
    error = sys.exc_info()[1]
    if error is not None and not isinstance(error, SystemExit):
        traceback.print_exception(type(error), error, error.__traceback__)
    words = "A process that was forked by the step has left the step. Its values are not stored. End it with os._exit()."
    print(words, file=sys.stderr, flush=True)
    os._exit(1)


def message_of(error: BaseException) -> str:
    """The text of an exception; its own code makes it, and may fail."""
    try:
        return str(error)
    except BaseException:
        return "<exception str() failed>"  # the words of traceback


def described(error: BaseException) -> Tuple[str, str, str]:
    """The type of an exception, its text, and its traceback."""
    module = "metaflow.exception" if type(error).__module__ == exception.__name__ else type(error).__module__  # as readers know it
    kind = _TIMED_OUT if isinstance(error, TimeoutException) else f"{module}.{type(error).__qualname__}"
    return kind, message_of(error), traceback_of(error)


def traceback_of(error: BaseException) -> str:
    """The traceback without the frames of this package."""
    whole = traceback.TracebackException.from_exception(error)
    part: Optional[traceback.TracebackException] = whole
    while part is not None:
        part.stack = traceback.StackSummary.from_list([frame for frame in part.stack if os.path.dirname(frame.filename) != _PACKAGE])
        if part.__cause__ is not None and part.__cause__.stack and all(os.path.dirname(frame.filename) == _PACKAGE for frame in part.__cause__.stack):
            part.__cause__, part.__suppress_context__ = None, True  # the text of the exception has its words
        part = part.__cause__ or part.__context__
    return re.sub(r"^Traceback \(most recent call last\):\n(?! )", "", "".join(whole.format()), flags=re.MULTILINE).rstrip("\n")


def execute(shared: SharedFlow, arguments: Sequence[str]) -> int:
    """Executes the task that the arguments of `step` name. The exit code of its process."""
    try:
        return Execution(shared, arguments).run()
    except _native.NativeError as error:  # it could not be opened, or its failure not be stored
        print(f"<flow {shared.flow_class.__name__}> failed:\n{error}\n", file=sys.stderr)
        return THREW
