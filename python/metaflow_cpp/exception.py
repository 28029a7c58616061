"""The exceptions of flows and of the client, with Metaflow's names: `from metaflow.exception import ...` finds them here."""

import traceback
from typing import Any, Dict, List, Optional, Tuple, Type

from . import _pickling


class MetaflowExceptionWrapper(Exception):
    """An exception of a step, as `catch` stores it: the names of its type, its text, its traceback."""

    exception: str
    type: str
    stacktrace: Optional[str]

    def __init__(self, exc: Optional[BaseException] = None) -> None:
        if exc is not None:
            self.exception = str(exc)
            self.type = f"{type(exc).__module__}.{type(exc).__name__}"
            self.stacktrace = "".join(traceback.format_exception(type(exc), exc, exc.__traceback__)) if exc.__traceback__ else None

    def __reduce__(self) -> Tuple[Any, ...]:
        return _pickling.Reference("metaflow.exception", "MetaflowExceptionWrapper"), (None,), self.__dict__

    def __setstate__(self, state: Any) -> None:
        self.__dict__ = state

    def __repr__(self) -> str:
        return str(self)

    def __str__(self) -> str:
        return self.stacktrace or f"[no stacktrace]\n{self.type}: {self.exception}"


class MetaflowException(Exception):
    """What a flow, or a call of this package, is refused for."""

    headline = "Flow failed"

    def __init__(self, msg: Any = "", lineno: Optional[int] = None, source_file: Optional[str] = None) -> None:
        self.message = msg
        self.line_no = lineno
        self.source_file = source_file
        super().__init__()

    def __reduce__(self) -> Tuple[Any, ...]:
        return _restore, (type(self), self.__dict__)

    def __str__(self) -> str:
        if self.line_no:
            return f"line {self.line_no}: {self.message}"
        return f"{self.source_file}: {self.message}" if self.source_file else str(self.message)


def _restore(kind: Type[MetaflowException], state: Dict[str, Any]) -> MetaflowException:
    """An exception from a pickle: subclasses have constructors of their own."""
    restored = kind.__new__(kind)
    restored.__dict__.update(state)
    return restored


class ParameterFieldFailed(MetaflowException):
    """The function that computes a field of a parameter threw."""

    headline = "Parameter field failed"

    def __init__(self, name: str, field: str) -> None:
        super().__init__(
            f"When evaluating the field *{field}* for the Parameter *{name}*, the following exception occurred:\n\n{traceback.format_exc()}"
        )


class ParameterFieldTypeMismatch(MetaflowException):
    headline = "Parameter field with a mismatching type"


class ExternalCommandFailed(MetaflowException):
    headline = "External command failed"


class MetaflowNotFound(MetaflowException):
    headline = "Object not found"


class MetaflowNamespaceMismatch(MetaflowException):
    headline = "Object not in the current namespace"

    def __init__(self, namespace: Optional[str]) -> None:
        super().__init__(f"Object not in namespace '{namespace}'")
        self.namespace = namespace


class MetaflowInvalidPathspec(MetaflowException):
    headline = "Invalid pathspec"


class MetaflowInternalError(MetaflowException):
    headline = "Internal error"


class MetaflowTaggingError(MetaflowException):
    headline = "Tagging error"


class DataException(MetaflowException):
    """The store or the metadata cannot be read, or a value not be loaded."""

    headline = "Data store error"


class MetaflowUnknownUser(MetaflowException):
    headline = "Unknown user"

    def __init__(self) -> None:
        super().__init__("The name of the user is not known. Set METAFLOW_USER.")


class InvalidDecoratorAttribute(MetaflowException):
    headline = "Unknown decorator attribute"

    def __init__(self, deconame: str, attr: str, defaults: Any) -> None:
        super().__init__(
            f"Decorator '{deconame}' does not support the attribute '{attr}'. These attributes are supported: {', '.join(defaults)}."
        )


class CommandException(MetaflowException):
    headline = "Invalid command"


class MetaflowDataMissing(MetaflowException):
    headline = "Data missing"


class MergeArtifactsException(MetaflowException):
    """merge_artifacts() cannot decide."""

    headline = "Invalid usage of merge_artifacts"


class UnhandledInMergeArtifactsException(MergeArtifactsException):
    """Inputs have different values, and the join sets none itself."""

    headline = "Unhandled artifacts in merge"

    def __init__(self, msg: str, unhandled: List[str]) -> None:
        super().__init__(msg)
        self.artifact_names = unhandled


class MissingInMergeArtifactsException(MergeArtifactsException):
    """No input has an artifact that was asked for."""

    headline = "Missing artifacts in merge"

    def __init__(self, msg: str, unhandled: List[str]) -> None:
        super().__init__(msg)
        self.artifact_names = unhandled


class InvalidNextException(MetaflowException):
    """self.next() was called in a way that does not fit its step."""

    headline = "Invalid self.next() transition detected"


class DuplicateDecorator(MetaflowException):
    """A step or a flow has a decorator twice."""

    headline = "Duplicate decorators"


class BadDecorator(MetaflowException):
    """A decorator stands where it cannot, or has an attribute that is not valid."""

    headline = "Syntax error"


class UnsupportedDecorator(MetaflowException):
    """A decorator that this engine does not have."""

    headline = "Unsupported decorator"


class UsageError(MetaflowException):
    """The command line is not valid."""

    headline = "Invalid command line"
