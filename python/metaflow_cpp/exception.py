"""The exceptions of the client, with the names and words of Metaflow."""

from typing import Any, Dict, Optional, Tuple


class MetaflowException(Exception):
    """The base of what this package raises. str() is the message."""

    headline = "Flow failed"

    def __init__(self, msg: str = "", lineno: Optional[int] = None, source_file: Optional[str] = None) -> None:
        super().__init__(msg)
        self.message = msg
        self.line_no = lineno
        self.source_file = source_file

    def __str__(self) -> str:
        place = (f"{self.source_file}:" if self.source_file else "") + (f"line {self.line_no}:" if self.line_no else "")
        return f"{place} {self.message}" if place else self.message


class MetaflowNotFound(MetaflowException):
    """The object does not exist."""

    headline = "Object not found"


class MetaflowNamespaceMismatch(MetaflowException):
    """The object exists, but not in the current namespace."""

    headline = "Object not in the current namespace"

    def __init__(self, namespace: Optional[str]) -> None:
        super().__init__(f"Object not in namespace '{namespace}'")
        self.namespace = namespace

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (self.namespace,)


class MetaflowInvalidPathspec(MetaflowException):
    """The text is not the pathspec of such an object."""

    headline = "Invalid pathspec"


class MetaflowInternalError(MetaflowException):
    """An object of another version."""

    headline = "Internal error"


class MetaflowTaggingError(MetaflowException):
    """The tags of a run cannot be changed like this."""

    headline = "Tagging error"


class DataException(MetaflowException):
    """The store or the metadata cannot be read, or a value not be loaded."""

    headline = "Data store error"


class MetaflowExceptionWrapper(Exception):
    """What a task recorded about the exception that ended it: `type`, `exception` (the message) and `stacktrace`."""

    def __init__(self, _exception: Any = None) -> None:
        super().__init__()
        self.type: str = ""
        self.exception: str = ""
        self.stacktrace: Optional[str] = None

    def __reduce__(self) -> Tuple[Any, ...]:
        return type(self), (None,), self.__dict__

    def __setstate__(self, state: Optional[Dict[str, Any]]) -> None:
        self.__dict__.update(state or {})

    def __str__(self) -> str:
        return self.stacktrace if self.stacktrace else f"[no stacktrace]\n{self.type}: {self.exception}"

    def __repr__(self) -> str:
        return str(self)
