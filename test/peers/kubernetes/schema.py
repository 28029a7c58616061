"""Checks objects against the published schema of Kubernetes 1.32.

The schema is data of the PyPI package kubernetes-validate, which carries it for every release: the models of the official client
are of one release, another one than that of our recordings, and a JSON schema on npm would need a second package manager. That
package's own validator is not used, since its messages are not those of the server, and since it takes 10 ms for a job."""

import base64
import binascii
import importlib.util
import json
import pathlib
import re

from . import errors

RELEASE = "v1.32.0"
_QUANTITY = re.compile(r"[+-]?[0-9.]+([eEinumkKMGTP]*[-+]?[0-9]*)")
_QUANTITY_ERROR = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_GO_TYPES = {
    ("integer", "int32"): "int32",
    ("integer", "int64"): "int64",
    ("integer", None): "int64",
    ("number", "double"): "float64",
    ("boolean", None): "bool",
    ("string", None): "string",
    ("string", "byte"): "[]uint8",
}


def load():
    """The definitions by name."""
    package = importlib.util.find_spec("kubernetes_validate")
    if package is None:
        raise SystemExit("The schema of Kubernetes is in the Python package kubernetes-validate: pip install kubernetes-validate")
    path = pathlib.Path(package.origin).parent / "kubernetes-json-schema" / f"{RELEASE}-local" / "_definitions.json"
    return json.loads(path.read_text())["$defs"]


def _type(schema):
    types = schema.get("type")
    if isinstance(types, list):
        return next(t for t in types if t != "null")
    return types


def _json_type(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return {str: "string", list: "array", dict: "object"}[type(value)]


def _short(definition):
    """v1.Container for io.k8s.api.core.v1.Container."""
    return ".".join(definition.split(".")[-2:])


class _Mistake(Exception):
    """A value that cannot be decoded."""


class Schema:
    """What objects may look like."""

    def __init__(self):
        self.definitions = load()

    def properties(self, definition):
        return self.definitions[definition].get("properties", {})

    def decode(self, resource, body, optional=""):
        """The object without its nulls; refuses what has unknown fields, wrong types, or misses what is required. Of what is required,
        what matches the regular expression 'optional' may be missing."""
        unknown, missing = [], []
        try:
            obj = self._object(resource.definition, body, "", unknown, missing)
        except _Mistake as mistake:
            raise errors.bad_request(f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {mistake}') from None
        if unknown:
            raise errors.bad_request(
                f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: strict decoding error: '
                + ", ".join(unknown)
            )
        missing = [field for field in missing if not re.fullmatch(optional, field)]
        if missing:
            raise errors.invalid(resource, obj.get("metadata", {}).get("name", ""), [errors.required(field) for field in missing])
        return obj

    def _object(self, definition, value, path, unknown, missing):
        schema = self.definitions[definition]
        name = definition.rsplit(".", 1)[1]
        if name == "Quantity":
            if isinstance(value, bool) or not isinstance(value, (str, int, float)) or not _QUANTITY.fullmatch(str(value)):
                raise _Mistake(_QUANTITY_ERROR)
            return str(value)
        if "oneOf" in schema:
            if isinstance(value, bool) or not isinstance(value, (str, int)):
                raise _Mistake(f"json: cannot unmarshal {_json_type(value)} into Go struct field {path} of type intstr.IntOrString")
            return value
        if "properties" not in schema:
            if schema.get("format") == "date-time" and not (isinstance(value, str) and _TIME.fullmatch(value)):
                raise _Mistake(f'parsing time {errors.quote(value)} as "2006-01-02T15:04:05Z07:00": cannot parse {errors.quote(value)} as "2006"')
            return value
        if not isinstance(value, dict):
            raise _Mistake(
                f"json: cannot unmarshal {_json_type(value)} into Go value of type {_short(definition)}"
                if not path
                else f"json: cannot unmarshal {_json_type(value)} into Go struct field {path} of type {_short(definition)}"
            )
        properties = schema["properties"]
        result = {}
        for key, item in value.items():
            field = f"{path}.{key}" if path else key
            if key not in properties:
                unknown.append(f'unknown field "{field}"')
            elif item is not None:
                result[key] = self._value(properties[key], item, field, name, unknown, missing)
        for key in schema.get("required", ()):
            if key not in result or result[key] == "" and key in ("name", "key", "mountPath"):
                missing.append(f"{path}.{key}" if path else key)
        return result

    def _value(self, schema, value, path, struct, unknown, missing):
        if "$ref" in schema:
            definition = schema["$ref"].rsplit("/", 1)[1]
            target = self.definitions[definition]
            if "properties" in target and not isinstance(value, dict):
                self._refuse(value, path, struct, _short(definition))
            return self._object(definition, value, path, unknown, missing)
        kind = _type(schema)
        if kind == "array":
            items = schema["items"]
            if not isinstance(value, list):
                inner = _short(items["$ref"].rsplit("/", 1)[1]) if "$ref" in items else _GO_TYPES[(_type(items), items.get("format"))]
                self._refuse(value, path, struct, f"[]{inner}")
            return [self._value(items, item, f"{path}[{index}]", struct, unknown, missing) for index, item in enumerate(value) if item is not None]
        if kind == "object":
            if not isinstance(value, dict):
                self._refuse(value, path, struct, "map[string]string")
            inner = schema.get("additionalProperties")
            if not isinstance(inner, dict):
                return value
            return {key: self._value(inner, item, f"{path}.{key}", struct, unknown, missing) for key, item in value.items() if item is not None}
        wanted = {"string": str, "integer": int, "boolean": bool, "number": (int, float)}[kind]
        go_type = _GO_TYPES.get((kind, schema.get("format")), kind)
        if not isinstance(value, wanted) or isinstance(value, bool) != (kind == "boolean"):
            self._refuse(value, path, struct, go_type)
        if kind == "integer":
            bits = 31 if schema.get("format") == "int32" else 63
            if not -(1 << bits) <= value < 1 << bits:
                raise _Mistake(f"json: cannot unmarshal number {value} into Go struct field {struct}.{_without_indexes(path)} of type {go_type}")
        if schema.get("format") == "byte":
            try:
                base64.b64decode(value, validate=True)
            except binascii.Error:
                position = next((i for i, c in enumerate(value) if not re.match(r"[A-Za-z0-9+/]", c)), len(value) // 4 * 4)
                raise _Mistake(f"illegal base64 data at input byte {position}") from None
        return value

    @staticmethod
    def _refuse(value, path, struct, go_type):
        number = f" {value}" if isinstance(value, float) else ""
        raise _Mistake(f"json: cannot unmarshal {_json_type(value)}{number} into Go struct field {struct}.{_without_indexes(path)} of type {go_type}")


def _without_indexes(path):
    return re.sub(r"\[\d+\]", "", path)


def parse(data):
    """JSON as strict decoding takes it: a field that is there twice is a mistake."""
    duplicates = []

    def pairs(items):
        result = {}
        for key, value in items:
            if key in result:
                duplicates.append(key)
            result[key] = value
        return result

    return json.loads(data, object_pairs_hook=pairs), duplicates
