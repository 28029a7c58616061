"""@secrets: the variables of a step that come from a store of secrets."""

import json
import os
import re
from typing import Any, Dict, List, NamedTuple

from . import _native
from .exception import MetaflowException


class _Spec(NamedTuple):
    """A source."""

    kind: str  # the type of the store
    name: str
    options: Dict[str, Any]
    role: str  # empty: none


def _spec(source: Any, role: str) -> _Spec:
    """`role`: of sources that have none."""
    if isinstance(source, str):
        before, dot, name = source.partition(".")
        source = {"type": before, "id": name} if dot else {"id": before}
    if not isinstance(source, dict):
        raise MetaflowException("@secrets sources items must be either a string or a dict")
    kind: Any = source.get("type", os.environ.get("METAFLOW_DEFAULT_SECRETS_BACKEND_TYPE"))
    if kind is None:
        raise MetaflowException("@secrets has a source without a type. Set METAFLOW_DEFAULT_SECRETS_BACKEND_TYPE, or name it: 'TYPE.NAME'")
    role = role if source.get("role") is None else source["role"]
    options = source.get("options", {})
    for field, value, wanted in (("type", kind, str), ("id", source.get("id"), str), ("options", options, dict), ("role", role, str)):
        if not isinstance(value, wanted):
            raise MetaflowException(f"Bad @secrets specification - '{field}' must be a {wanted.__name__} - found {type(value)}")
    return _Spec(str(kind), source["id"], options, role)


def _of_aws(name: str, options: Dict[str, Any], role: str) -> Dict[str, str]:
    """The variables of a secret of AWS Secrets Manager: the items of a JSON object, or one variable for all. Throws
    MetaflowException."""
    arn = re.match("arn:aws[^:]*:secretsmanager:([^:]+):", name)
    region = arn.group(1) if arn else options.get("region") or os.environ.get("METAFLOW_AWS_SECRETS_MANAGER_DEFAULT_REGION", "")
    try:
        answer = _native.aws_secret(name, str(region), role)
    except _native.NativeError as error:
        raise MetaflowException(f"Failed to retrieve secret '{name}': {error}") from error
    text = answer.get("SecretString")
    if text is None or not options.get("json", True):
        items = {options.get("env_var_name") or answer.get("Name", name): answer.get("SecretBinary") if text is None else text}
    else:
        try:
            items = json.loads(text)
        except ValueError as error:
            raise MetaflowException(
                f"Secret '{name}' is not JSON: {error}. For a secret that is one text, give the source as a dict with 'options': {{'json': False}}"
            ) from error
        if not isinstance(items, dict):
            raise MetaflowException(f"Secret '{name}' is JSON, but not an object: {type(items).__name__}")
    found: Dict[str, str] = {}
    for key, value in items.items():
        variable = re.sub("[-./]", "_", str(key))
        if variable in found:
            raise MetaflowException(f"Duplicate key in secret: '{key}' (sanitizes to '{variable}')")
        found[variable] = str(value)
    return found


def _variables_of(spec: _Spec) -> Dict[str, str]:
    kind, name, options, role = spec
    if kind not in ("inline", "aws-secrets-manager"):
        raise MetaflowException(
            f"Secret '{name}' is in '{kind}', which metaflow_cpp cannot read. It reads 'aws-secrets-manager'. Read the secret in the step."
        )
    variables = options.get("env_vars", {}) if kind == "inline" else _of_aws(name, options, role)
    for variable, value in variables.items():
        if not isinstance(variable, str) or not re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", variable):
            raise MetaflowException(f"Invalid env vars from secret {name}: Found invalid env var name '{variable}'.")
        if not isinstance(value, str):
            raise MetaflowException(f"Invalid env vars from secret {name}: the value of '{variable}' is a {type(value).__name__}, not a str")
        if variable.startswith("METAFLOW_"):
            raise MetaflowException(f"Invalid env vars from secret {name}: '{variable}' starts with 'METAFLOW_'")
    return dict(variables)


def variables(attributes: Dict[str, Any]) -> Dict[str, str]:
    """The variables for the step. Throws MetaflowException."""
    role = attributes.get("role")
    role = os.environ.get("METAFLOW_DEFAULT_SECRETS_ROLE", "") if role is None else role
    found: Dict[str, str] = {}
    origin: Dict[str, str] = {}
    sources: List[Any] = attributes.get("sources", [])
    for source in sources:
        spec = _spec(source, role)
        shown = f"{spec.name} ({spec.kind})"
        for variable, value in _variables_of(spec).items():
            if variable in found:
                raise MetaflowException(f"Secret '{shown}' will inject '{variable}' as env var, and it is also added by '{origin[variable]}'")
            if variable in os.environ and not attributes.get("allow_override"):
                raise MetaflowException(f"Secret '{shown}' will inject '{variable}' as env var, but it already exists in env")
            found[variable], origin[variable] = value, shown
    return found
