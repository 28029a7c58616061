"""The graph of a flow, from the syntax trees of its step functions: each step ends with a call of self.next."""

import ast
import dataclasses
import inspect
import textwrap
from typing import Any, Callable, Dict, List, Mapping, Optional

from .exception import MetaflowException


class GraphError(MetaflowException):
    """A step whose transition cannot be read."""

    headline = "Validity checker found an issue"


@dataclasses.dataclass
class Step:
    name: str
    doc: str
    line: int
    join: bool
    transition: str = "none"  # none, linear, split, foreach, choose
    targets: List[str] = dataclasses.field(default_factory=list)
    cases: List[str] = dataclasses.field(default_factory=list)
    variable: str = ""


def _invalid(step: Step, why: str) -> GraphError:
    return GraphError(f"Step *{step.name}* on line {step.line} has an invalid self.next() transition: {why}")


def _own_attribute(node: ast.AST) -> Optional[str]:
    """The x of self.x."""
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return node.attr
    return None


def _keywords(step: Step, call: ast.Call) -> Dict[str, ast.expr]:
    found: Dict[str, ast.expr] = {}
    for keyword in call.keywords:
        if keyword.arg not in ("foreach", "condition", "num_parallel"):
            raise _invalid(step, f"it has no argument {keyword.arg!r}")
        found[keyword.arg] = keyword.value
    return found


def _text_of(step: Step, name: str, node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    raise _invalid(step, f"{name} must be the name of an artifact, as text")


def _read_call(step: Step, call: ast.Call) -> None:
    keywords = _keywords(step, call)
    if "num_parallel" in keywords:
        raise _invalid(step, "num_parallel is not supported")
    if "condition" in keywords:
        if len(call.args) != 1 or not isinstance(call.args[0], ast.Dict):
            raise _invalid(step, "with a condition, its argument is a dict of steps")
        step.transition, step.variable = "choose", _text_of(step, "condition", keywords["condition"])
        for key, value in zip(call.args[0].keys, call.args[0].values):
            target = _own_attribute(value)
            if target is None or not isinstance(key, ast.Constant):
                raise _invalid(step, "each case is a constant, and each target self.STEP")
            step.cases.append(str(key.value))
            step.targets.append(target)
        return
    for argument in call.args:
        target = _own_attribute(argument)
        if target is None:
            raise _invalid(step, "its arguments are steps: self.STEP")
        step.targets.append(target)
    if "foreach" in keywords:
        if len(step.targets) != 1:
            raise _invalid(step, "a foreach has one target")
        step.transition, step.variable = "foreach", _text_of(step, "foreach", keywords["foreach"])
    elif step.targets:
        step.transition = "linear" if len(step.targets) == 1 else "split"


def end_of(steps: Mapping[str, Callable[..., Any]], end: str) -> str:
    """The name of the step that is the `end` of the flow, "start" or "end": that of the mark @step(start=True), else the
    word itself. Throws GraphError."""
    marked = sorted(name for name, function in steps.items() if getattr(function, f"is_{end}_step", False) is True)
    if len(marked) > 1:
        raise GraphError(f"Multiple steps annotated with @step({end}=True): {', '.join(marked)}. Exactly one is allowed.")
    if marked and marked != [end] and end in steps:
        raise GraphError(
            f"Ambiguous {end} step: step '{marked[0]}' is annotated with @step({end}=True) but a step named '{end}' also exists. "
            f"Rename the '{end}' step or remove the @step({end}=True) annotation."
        )
    return marked[0] if marked else end


def read_step(name: str, function: Callable[..., Any]) -> Step:
    """Reads one step. Throws GraphError."""
    lines, first = inspect.getsourcelines(function)
    (definition,) = ast.parse(textwrap.dedent("".join(lines))).body
    assert isinstance(definition, (ast.FunctionDef, ast.AsyncFunctionDef))
    step = Step(name, inspect.getdoc(function) or "", first + definition.lineno - 1, len(definition.args.args) > 1)
    last = definition.body[-1]
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Call) and _own_attribute(last.value.func) == "next":
        _read_call(step, last.value)
    return step


@dataclasses.dataclass
class Node:
    """What flows see of a step: self._graph[name]."""

    name: str
    doc: str
    func_lineno: int
    type: str  # start, end, linear, split, foreach, split-switch, join
    num_args: int
    out_funcs: List[str]
    in_funcs: List[str] = dataclasses.field(default_factory=list)
    foreach_param: Optional[str] = None
    condition: Optional[str] = None
    switch_cases: Dict[str, str] = dataclasses.field(default_factory=dict)
    parallel_step: bool = False


_TYPES = {"split": "split", "foreach": "foreach", "choose": "split-switch"}


def nodes(functions: Mapping[str, Callable[..., Any]]) -> Dict[str, Node]:
    """The steps by name. Throws GraphError."""
    steps = {name: read_step(name, function) for name, function in functions.items()}
    ends = {end_of(functions, end): end for end in ("start", "end")}
    found = {}
    for step in steps.values():
        kind = _TYPES.get(step.transition) or ("join" if step.join else ends.get(step.name, "linear"))
        found[step.name] = Node(step.name, step.doc, step.line, kind, 1 + step.join, step.targets)
        if step.transition == "foreach":
            found[step.name].foreach_param = step.variable
        if step.transition == "choose":
            found[step.name].condition, found[step.name].switch_cases = step.variable, dict(zip(step.cases, step.targets))
    for name, node in found.items():
        for target in node.out_funcs:
            if target in found and name not in found[target].in_funcs:
                found[target].in_funcs.append(name)
    return found
