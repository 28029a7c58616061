"""Refusals, as the Status objects that Kubernetes answers with."""

import json


class ApiError(Exception):
    """A request that is refused."""

    def __init__(self, code, reason, message, details=None, headers=None, metadata=None):
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details
        self.headers = headers or {}
        self.metadata = metadata or {}

    def status(self):
        status = {"kind": "Status", "apiVersion": "v1", "metadata": self.metadata, "status": "Failure", "message": self.message}
        if self.reason:
            status["reason"] = self.reason
        if self.details is not None:
            status["details"] = self.details
        return {**status, "code": self.code}


def quote(value):
    """A value as Go prints it with %q, near enough for names."""
    return json.dumps(value, ensure_ascii=False)


def _details(resource, name=None, **more):
    details = {}
    if name:
        details["name"] = name
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    return {**details, **more}


def bad_request(message):
    return ApiError(400, "BadRequest", message)


def unauthorized():
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(resource, name, why):
    subject = f"{resource.qualified} {quote(name)}" if name else resource.qualified
    return ApiError(403, "Forbidden", f"{subject} is forbidden: {why}", _details(resource, name), {"X-Content-Type-Options": "nosniff"})


def forbidden_path(user, verb, path):
    return ApiError(403, "Forbidden", f"forbidden: User {quote(user)} cannot {verb} path {quote(path)}", {}, {"X-Content-Type-Options": "nosniff"})


def not_found(resource, name):
    return ApiError(404, "NotFound", f"{resource.qualified} {quote(name)} not found", _details(resource, name))


def no_such_path():
    return ApiError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed():
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def already_exists(resource, name):
    return ApiError(409, "AlreadyExists", f"{resource.qualified} {quote(name)} already exists", _details(resource, name))


def conflict(resource, name, why):
    return ApiError(409, "Conflict", f"Operation cannot be fulfilled on {resource.qualified} {quote(name)}: {why}", _details(resource, name))


def modified(resource, name):
    return conflict(resource, name, "the object has been modified; please apply your changes to the latest version and try again")


def expired(message, metadata=None):
    return ApiError(410, "Expired", message, metadata=metadata)


def unsupported_media_type(accepted):
    return ApiError(
        415, "UnsupportedMediaType", "the body of the request was in an unknown format - accepted media types include: " + ", ".join(accepted)
    )


def internal(message):
    return ApiError(500, "InternalError", f"Internal error occurred: {message}", {"causes": [{"message": message}]})


class Cause:
    """One thing that is wrong with an object: the field, the kind of mistake and its text."""

    def __init__(self, field, reason, message):
        self.field = field
        self.reason = reason
        self.message = message


def required(field, why=""):
    return Cause(field, "FieldValueRequired", "Required value" + (f": {why}" if why else ""))


def invalid_value(field, value, why):
    return Cause(
        field, "FieldValueInvalid", f"Invalid value: {value if isinstance(value, str) and value.startswith('core.') else quote(value)}: {why}"
    )


def unsupported_value(field, value, supported):
    return Cause(
        field, "FieldValueNotSupported", f"Unsupported value: {quote(value)}: supported values: {', '.join(quote(s) for s in sorted(supported))}"
    )


def missing_reference(field, value):
    return Cause(field, "FieldValueNotFound", f"Not found: {quote(value)}")


def forbidden_field(field, why):
    return Cause(field, "FieldValueForbidden", f"Forbidden: {why}")


def duplicate_value(field, value):
    return Cause(field, "FieldValueDuplicate", f"Duplicate value: {quote(value)}")


def invalid(resource, name, causes):
    """422: the object has the right form and yet cannot be."""
    texts = [f"{cause.field}: {cause.message}" for cause in causes]
    text = texts[0] if len(texts) == 1 else "[" + ", ".join(texts) + "]"
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    details = {}
    if name:
        details["name"] = name
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.kind
    details["causes"] = [{"reason": cause.reason, "message": cause.message, "field": cause.field} for cause in causes]
    return ApiError(422, "Invalid", f"{kind} {quote(name)} is invalid: {text}", details)
