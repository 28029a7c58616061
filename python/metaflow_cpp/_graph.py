"""The graph of a flow, from the syntax trees of its step functions: each step ends with a call of self.next."""

import ast
import dataclasses
import inspect
import textwrap
from typing import Any, Callable, Dict, List, Optional


class GraphError(Exception):
    """A step whose transition cannot be read."""


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
