"""The patch formats: JSON patch, merge patch, strategic merge patch."""

import copy

from . import errors

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
TYPES = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH)


def merge(value, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(value) if isinstance(value, dict) else {}
    for key, item in patch.items():
        if item is None:
            result.pop(key, None)
        else:
            result[key] = merge(result.get(key), item)
    return result


def _pointer(path):
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def json_patch(value, operations):
    """RFC 6902."""
    value = copy.deepcopy(value)
    for operation in operations:
        try:
            value = _apply(value, operation)
        except (KeyError, IndexError, ValueError, TypeError):
            kind, path = operation.get("op"), operation.get("path")
            raise errors.ApiError(
                422,
                "Invalid",
                f"the server rejected our request due to an error in our request: {kind} operation does not apply: doc is missing path: {path}",
                {},
            ) from None
    return value


def _apply(document, operation):
    kind = operation["op"]
    if kind in ("move", "copy"):
        item = copy.deepcopy(_find(document, _pointer(operation["from"])))
        if kind == "move":
            document = _apply(document, {"op": "remove", "path": operation["from"]})
        return _apply(document, {"op": "add", "path": operation["path"], "value": item})
    parts = _pointer(operation["path"])
    parent, key = _find(document, parts[:-1]), parts[-1]
    if kind == "test":
        if _find(document, parts) != operation["value"]:
            raise ValueError
        return document
    if isinstance(parent, list):
        index = len(parent) if key == "-" else int(key)
        if kind == "add":
            parent.insert(index, operation["value"])
        elif kind == "remove":
            del parent[index]
        else:
            parent[index] = operation["value"]
    elif kind == "remove":
        del parent[key]
    else:
        if kind == "replace" and key not in parent:
            raise KeyError(key)
        parent[key] = operation["value"]
    return document


def _find(document, parts):
    for part in parts:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def strategic(schema, definition, value, patch):
    """Merges as Kubernetes does: lists of things that have a key are merged by that key, as the schema tells."""
    result = dict(value)
    properties = schema.properties(definition)
    for key, item in patch.items():
        if key.startswith("$"):
            continue
        described = properties.get(key, {})
        if item is None:
            result.pop(key, None)
        elif isinstance(item, dict) and isinstance(value.get(key), dict):
            reference = described.get("$ref")
            result[key] = strategic(schema, reference.rsplit("/", 1)[1], value[key], item) if reference else merge(value[key], item)
        elif isinstance(item, list) and "merge" in described.get("x-kubernetes-patch-strategy", "") and "x-kubernetes-patch-merge-key" in described:
            result[key] = _merge_lists(schema, described, value.get(key, []), item)
        elif isinstance(item, list) and "merge" in described.get("x-kubernetes-patch-strategy", ""):
            result[key] = value.get(key, []) + [i for i in item if i not in value.get(key, [])]
        else:
            result[key] = item
    return result


def _merge_lists(schema, described, values, patches):
    key = described["x-kubernetes-patch-merge-key"]
    definition = described["items"]["$ref"].rsplit("/", 1)[1]
    result = list(values)
    for patch in patches:
        place = next((i for i, v in enumerate(result) if v.get(key) == patch.get(key)), None)
        if patch.get("$patch") == "delete":
            if place is not None:
                del result[place]
        elif place is None:
            result.append(patch)
        else:
            result[place] = strategic(schema, definition, result[place], patch)
    return result


def apply(schema, resource, media_type, value, patch):
    if media_type == JSON_PATCH:
        return json_patch(value, patch)
    if not isinstance(patch, dict):
        raise errors.bad_request("error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}")
    if media_type == MERGE_PATCH:
        return merge(value, patch)
    return strategic(schema, resource.definition, value, patch)
