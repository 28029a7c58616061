"""Label and field selectors."""

import re

from . import errors

_TOKEN = re.compile(r"\s*(==|!=|=|!|\(|\)|,|[^\s=!(),]+)")
_FIELDS = {
    "pods": {"metadata.name", "metadata.namespace", "spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "status.phase", "status.podIP"},
    "jobs": {"metadata.name", "metadata.namespace", "status.successful"},
    "secrets": {"metadata.name", "metadata.namespace", "type"},
    "events": {
        "metadata.name", "metadata.namespace", "involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
        "involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath", "reason", "reportingComponent", "source", "type",
    },
}  # fmt: skip


def _tokens(text):
    tokens, position = [], 0
    text = text.strip()
    while position < len(text):
        match = _TOKEN.match(text, position)
        tokens.append(match.group(1))
        position = match.end()
    return tokens


def parse_labels(text):
    """A function that says whether labels are selected."""
    tokens = _tokens(text)
    requirements = []
    position = 0

    def peek():
        return tokens[position] if position < len(tokens) else ""

    def take(expected="identifier"):
        nonlocal position
        token = peek()
        if expected == "identifier" and token in ("", "=", "==", "!=", "!", "(", ")", ","):
            raise errors.bad_request(f"unable to parse requirement: found '{token}', expected: identifier")
        position += 1
        return token

    while position < len(tokens):
        if peek() == "!":
            take("")
            requirements.append((take(), "absent", ()))
        else:
            key = take()
            operator = peek()
            if operator in ("", ","):
                requirements.append((key, "exists", ()))
            elif operator in ("=", "==", "!="):
                take("")
                value = "" if peek() in ("", ",") else take()
                requirements.append((key, "notin" if operator == "!=" else "in", (value,)))
            elif operator in ("in", "notin"):
                take("")
                if take("") != "(":
                    raise errors.bad_request(f"unable to parse requirement: found '{tokens[position - 1]}', expected: '('")
                values = []
                while peek() != ")":
                    values.append(take())
                    if peek() == ",":
                        take("")
                take("")
                requirements.append((key, operator, tuple(values)))
            else:
                raise errors.bad_request(f"unable to parse requirement: found '{operator}', expected: in, notin, =, ==, !=, gt, lt")
        if position < len(tokens):
            if peek() != ",":
                raise errors.bad_request(f"unable to parse requirement: found '{peek()}', expected: ',' or 'end of string'")
            take("")
            if position == len(tokens):
                raise errors.bad_request("unable to parse requirement: found '', expected: identifier after ','")

    def selected(labels):
        for key, operator, values in requirements:
            value = labels.get(key)
            if operator == "in" and (value is None or value not in values):
                return False
            if operator == "notin" and value is not None and value in values:
                return False
            if operator == "exists" and value is None:
                return False
            if operator == "absent" and value is not None:
                return False
        return True

    return selected


def _field(obj, path):
    if path == "status.successful":
        return str(obj.get("status", {}).get("succeeded", 0))
    if path == "source":
        return obj.get("source", {}).get("component") or obj.get("reportingComponent", "")
    for part in path.split("."):
        obj = obj.get(part) if isinstance(obj, dict) else None
    return "" if obj is None else str(obj)


def parse_fields(resource, text):
    """A function that says whether an object is selected by its fields."""
    requirements = []
    known = _FIELDS.get(resource.plural, {"metadata.name", "metadata.namespace"})
    for part in filter(None, text.split(",")):
        match = re.fullmatch(r"(.*?)(!=|==|=)(.*)", part)
        if not match:
            raise errors.bad_request(f'invalid selector: "{text}"; can\'t understand "{part}"')
        path, operator, value = match.groups()
        if path not in known:
            raise errors.bad_request(f"field label not supported: {path}")
        requirements.append((path, operator != "!=", value))
    return lambda obj: all((_field(obj, path) == value) == wanted for path, wanted, value in requirements)


def selector(resource, query):
    """What a list or a watch selects, as a function of an object."""
    by_label = parse_labels(query.get("labelSelector", ""))
    by_field = parse_fields(resource, query.get("fieldSelector", ""))
    return lambda obj: by_label(obj["metadata"].get("labels") or {}) and by_field(obj)


def is_set(query, key):
    """Whether a parameter is true: anything but 0 and false is."""
    return key in query and query[key].lower() not in ("0", "false")
