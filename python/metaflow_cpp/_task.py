"""Executes one task."""

import faulthandler
import io
import os
import pickle
import reprlib
import signal
import sys
import traceback
from typing import Any, Dict, List, NoReturn, Optional, Sequence, Set, Type

from . import _description, _native
from .current import current
from .flowspec import FlowSpec, Inputs, InvalidNextException, Transition, item_at

SUCCEEDED, THREW = 0, 1
_LABEL = 30  # characters: Metaflow's MAXIMUM_FOREACH_VALUE_CHARS


class TimeoutException(Exception):
    """The step takes longer than @timeout allows."""


class UnpicklableArtifactException(Exception):
    """A value that cannot be stored."""


def label_of(item: Any) -> str:
    """What represents an item: numbers and texts as they are, other values as Python shows them, shortened."""
    text = item if isinstance(item, (str, int, float, bool)) else reprlib.Repr().repr(item)
    return str(text)[:_LABEL]


class State:
    """What the flow object of a task needs: FlowSpec's attributes go through it."""

    def __init__(self, task: _native.Task, step_facts: Dict[str, Any], fixed: Set[str]) -> None:
        self.task = task
        self.step_facts = step_facts  # of the description
        self.fixed = fixed  # parameters and constants
        self.deleted: Set[str] = set()
        self.merged: Dict[str, int] = {}  # artifacts from merge_artifacts: the input that has each
        self.transition: Optional[Transition] = None
        self._ranges: Dict[int, Any] = {}
        self._fixed_values: Dict[str, Any] = {}

    def load(self, flow: FlowSpec, name: str) -> Any:
        payload = None
        if name in self.merged:
            payload = self.task.load_input(self.merged[name], name)
        elif not self.step_facts["join"] and name not in self.deleted and name in self.task.facts["artifacts"]:
            payload = self.task.load(name)
        if payload is None:
            raise AttributeError(f"Flow {type(flow).__name__} has no attribute '{name}'")
        value = pickle.loads(payload)
        object.__setattr__(flow, name, value)
        return value

    def fixed_value(self, name: str) -> Any:
        if name not in self._fixed_values:
            payload = self.task.load_input(0, name) if self.step_facts["join"] else self.task.load(name)
            if payload is None:
                raise AttributeError(f"The run has no value of '{name}': it began with another version of the flow")
            self._fixed_values[name] = pickle.loads(payload)
        return self._fixed_values[name]

    def item(self, level: int) -> Any:
        if level not in self._ranges:
            self._ranges[level] = pickle.loads(self.task.range_payload(level))
        return item_at(self._ranges[level], self.task.facts["frames"][level]["index"])

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
        if not labels:
            raise InvalidNextException(f"Foreach iterator over *{variable}* in step *{step}* produced zero splits. Check your variable.")
        self.task.split(labels)

    def choose(self, flow: FlowSpec, cases: Dict[Any, Any], variable: str) -> Transition:
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
        return Transition([names[value]], None, list(names).index(value))


class Execution:
    """One attempt of a task."""

    def __init__(self, flow_class: Type[FlowSpec], description: _description.Description, arguments: Sequence[str]) -> None:
        self.flow_class = flow_class
        self.header = description.header
        self.task = _native.Task(description.text, arguments)
        self.fixed = {each["name"] for each in (*self.header["parameters"], *self.header["constants"])}

    def run(self) -> int:
        ranges: List[Any] = []

        def read_item(payload: memoryview, index: int) -> str:
            ranges.append(pickle.loads(payload))
            return label_of(item_at(ranges[-1], index))

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(line_buffering=True)  # lines are shown live
        faulthandler.enable()  # a fatal signal shows where Python was
        called = self.task.begin(read_item)
        facts = self.task.facts
        (step_facts,) = [step for step in self.header["steps"] if step["name"] == facts["step"]]
        self.state = State(self.task, step_facts, self.fixed)
        if ranges:
            self.state._ranges[len(facts["frames"]) - 1] = ranges[-1]
        current._set(facts, [parameter["name"] for parameter in self.header["parameters"]])
        self.flow = self.flow_class.__new__(self.flow_class)
        self.flow.__dict__["_task_state"] = self.state
        if called and not self.call():
            return THREW
        return self.finish(facts)

    def call(self) -> bool:
        """Calls the step. False: it threw, and the task has failed."""
        facts = self.task.facts
        process = os.getpid()
        try:
            self.arm_timeout(facts["time_limit"])
            try:
                step = getattr(self.flow, facts["step"])
                if self.state.step_facts["join"]:
                    step(Inputs(self.task, facts["inputs"]))
                else:
                    step()
                self.check_transition()
            finally:
                if os.getpid() != process:
                    end_of_copy()
                signal.setitimer(signal.ITIMER_REAL, 0)
                for stream in (sys.stdout, sys.stderr):
                    stream.flush()
            return True
        except Exception as error:
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            report = traceback_of(error)
            if facts["catches"]:
                self.task.caught(kind, str(error), report)
                return True
            self.task.fail(kind, str(error), report)
            self.save_what_can_be()
            self.task.finish()
            return False

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

    def check_transition(self) -> None:
        if self.state.transition is None and self.state.step_facts["transition"] != "none":
            raise InvalidNextException(f"Step *{self.state.step_facts['name']}* did not call self.next().")

    def own_names(self) -> List[str]:
        return [name for name in self.flow.__dict__ if name != "_task_state"]

    def save(self, name: str, value: Any) -> None:
        try:
            payload = pickle.dumps(value, _description.PROTOCOL)
        except Exception as error:
            raise UnpicklableArtifactException(f"Cannot pickle artifact named '{name}': {type(error).__name__}: {error}") from error
        self.task.save(name, payload, str(type(value)))

    def finish(self, facts: Dict[str, Any]) -> int:
        try:
            self.save_artifacts(facts)
            self.task.finish(self.state.transition.chosen if self.state.transition else -1)
            return SUCCEEDED
        except Exception as error:
            self.task.fail(f"{type(error).__module__}.{type(error).__qualname__}", str(error), traceback_of(error))
            self.save_what_can_be()
            self.task.finish()
            return THREW

    def save_artifacts(self, facts: Dict[str, Any]) -> None:
        own = self.own_names()
        for name in own:
            self.save(name, self.flow.__dict__[name])
        for name in self.state.merged:
            if name not in own:
                self.task.keep_input(self.state.merged[name], name)
        for name in facts["artifacts"]:
            if name in own or name in self.state.deleted or name in self.state.merged:
                continue
            if not self.state.step_facts["join"]:
                self.task.keep(name)
            elif name in self.fixed:
                self.task.keep_input(max(self.task.merge(name), 0), name)

    def save_what_can_be(self) -> None:
        for name in self.own_names():
            try:
                self.save(name, self.flow.__dict__[name])
            except Exception:  # it may be why the step failed
                continue
        if not self.state.step_facts["join"]:
            for name in self.task.facts["artifacts"]:
                if name not in self.flow.__dict__:
                    self.task.keep(name)


def end_of_copy() -> NoReturn:
    """Ends a process that a step has forked, and that has returned from the step: only the task itself is stored."""
    words = "A process that was forked by the step has left the step. Its values are not stored. End it with os._exit()."
    print(words, file=sys.stderr, flush=True)
    os._exit(1)


def traceback_of(error: BaseException) -> str:
    """The traceback from the step on, without the frames of this package."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_filename == __file__:
        trace = trace.tb_next
    return "".join(traceback.format_exception(type(error), error, trace if trace is not None else error.__traceback__)).rstrip("\n")


def execute(flow_class: Type[FlowSpec], description: _description.Description, arguments: Sequence[str]) -> int:
    """Executes the task that the arguments of `step` name. The exit code of its process."""
    try:
        return Execution(flow_class, description, arguments).run()
    except _native.NativeError as error:
        print(f"<flow {flow_class.__name__}> failed:\n{error}\n", file=sys.stderr)
        return THREW
