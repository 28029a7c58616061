"""What all objects of the client have in common."""

from datetime import datetime
from typing import Any, ClassVar, Dict, FrozenSet, Iterator, List, NamedTuple, Optional, Tuple, Type, cast

from .. import _pickling
from ..exception import MetaflowInternalError, MetaflowInvalidPathspec, MetaflowNamespaceMismatch, MetaflowNotFound
from .reader import Reader, reader_of
from .selection import get_namespace, selected_reader

MAX_ATTEMPTS = 6
_PICKLE_VERSION = "2.12.27"  # the layout of pickled objects: that of this version of Metaflow


class Record(NamedTuple):
    """What the metadata has about an object."""

    id: str
    created: int  # microseconds since 1970
    tags: FrozenSet[str]
    system_tags: FrozenSet[str]
    artifact: Tuple[str, str, str, int] = ("", "", "", 0)  # its key, datastore, location and attempt


def record_of(name: str, created: int, tags: List[str], system_tags: List[str]) -> Record:
    return Record(name, created, frozenset(tags), frozenset(system_tags))


class MetaflowObject:
    """What Flow, Run, Step, Task and DataArtifact have in common.

    pathspec: "Flow", "Flow/run", "Flow/run/step", "Flow/run/step/task", "Flow/run/step/task/artifact". attempt: of a Task
    or DataArtifact, 0 for the first; else the last one that finished. Raises MetaflowInvalidPathspec, MetaflowNotFound,
    MetaflowNamespaceMismatch.
    """

    _DEPTH: ClassVar[int]
    _FORM: ClassVar[str]
    _CHILD: ClassVar[Optional[Type["MetaflowObject"]]] = None
    _PARENT: ClassVar[Optional[Type["MetaflowObject"]]] = None
    _HAS_ATTEMPTS: ClassVar[bool] = False

    id: str
    """The last part of the pathspec."""

    def __init__(
        self,
        pathspec: str,
        attempt: Optional[int] = None,
        _namespace_check: bool = True,
        _current_namespace: Optional[str] = None,
        _current_metadata: Optional[str] = None,
    ) -> None:
        self._reader = reader_of(_current_metadata) if _current_metadata else selected_reader()
        self._namespace = _current_namespace or get_namespace()
        self._namespace_check = _namespace_check and self._namespace is not None
        self._attempt = self._checked_attempt(attempt)
        self._parent: Optional[MetaflowObject] = None
        if not isinstance(pathspec, str) or len(pathspec.split("/")) != self._DEPTH:
            raise MetaflowInvalidPathspec(f"Expects {type(self).__name__}('{self._FORM}')")
        self._pathspec = pathspec
        self.id = pathspec.rpartition("/")[2]
        record = self._read(self._reader, pathspec, self._attempt)
        if record is None:
            raise MetaflowNotFound(f"{self} does not exist")
        self._record = record
        self._check_namespace()

    @classmethod
    def _checked_attempt(cls, attempt: Optional[int]) -> Optional[int]:
        if attempt is None:
            return None
        if not cls._HAS_ATTEMPTS:
            raise MetaflowNotFound("Attempts can only be specified for Task or DataArtifact")
        try:
            number = int(attempt)
        except ValueError:
            raise MetaflowNotFound("Attempt can only be an integer") from None
        if number < 0:
            raise MetaflowNotFound("Attempt can only be non-negative")
        if number >= MAX_ATTEMPTS:
            raise MetaflowNotFound(f"Attempt can only be smaller than {MAX_ATTEMPTS}")
        return number

    @classmethod
    def _read(cls, reader: Reader, pathspec: str, attempt: Optional[int]) -> Optional[Record]:
        """What is recorded about the object of this pathspec."""
        found = reader.object(pathspec)
        return record_of(pathspec.rpartition("/")[2], found["created"], found["tags"], found["system_tags"]) if found else None

    def _child_records(self) -> List[Record]:
        found = self._reader.children(self.pathspec)
        if found is None:
            return []
        # The tags of a run are those of all its objects: one set serves them all.
        tags, system_tags = frozenset(found["tags"]), frozenset(found["system_tags"])
        return [Record(row[0], row[1], tags, system_tags) for row in found["rows"]]

    def _child_of(self, record: Record) -> Any:
        kind = cast(Type[MetaflowObject], self._CHILD)
        child = kind.__new__(kind)
        child.id = record.id
        child._record = record
        child._reader = self._reader
        child._parent = self
        child._pathspec = f"{self._pathspec}/{record.id}"
        child._attempt = self._attempt
        child._namespace_check = self._namespace_check
        child._namespace = self._namespace if self._namespace_check else None
        return child

    def _check_namespace(self) -> None:
        if self._namespace_check and not self._is_in(self._namespace):
            raise MetaflowNamespaceMismatch(self._namespace)

    def _is_in(self, name: Optional[str]) -> bool:
        return name is None or name in self._record.tags or name in self._record.system_tags

    def is_in_namespace(self) -> bool:
        """Whether the object is in the namespace that is selected now."""
        return self._is_in(get_namespace())

    def _shows(self, _name: str) -> bool:
        """Whether iteration yields this child."""
        return True

    def __iter__(self) -> Iterator[Any]:
        """The children that are in the namespace, the newest first."""
        if self._CHILD is None:
            raise TypeError(f"'{type(self).__name__}' object is not iterable")
        records = [record for record in self._child_records() if self._shows(record.id)]
        if self._namespace_check:
            records = [each for each in records if self._namespace in each.tags or self._namespace in each.system_tags]
        records.sort(key=lambda record: record.created, reverse=True)
        return iter([self._child_of(record) for record in records])

    def _filtered(self, tags: Tuple[str, ...]) -> Iterator[Any]:
        wanted = frozenset(tags)
        return (child for child in self if wanted <= child.tags)

    def _ipython_key_completions_(self) -> List[str]:
        return [child.id for child in self]

    def _child_record(self, name: str) -> Optional[Record]:
        if self._CHILD is None or "/" in name or not name:
            return None
        return self._CHILD._read(self._reader, f"{self._pathspec}/{name}", self._attempt)

    def __getitem__(self, id: str) -> Any:
        """The child of this name. Raises KeyError, MetaflowNamespaceMismatch."""
        record = self._child_record(str(id))
        if record is None:
            raise KeyError(id)
        child = self._child_of(record)
        child._check_namespace()
        return child

    def __contains__(self, id: object) -> bool:
        """Whether there is a child of this name."""
        return self._child_record(str(id)) is not None

    def __str__(self) -> str:
        attempt = "" if self._attempt is None else f", attempt={self._attempt}"
        return f"{type(self).__name__}('{self._pathspec}'{attempt})"

    def __repr__(self) -> str:
        return str(self)

    def __reduce__(self) -> Tuple[Any, ...]:
        """A reader without this package finds the official client's class."""
        kind = _pickling.Reference("metaflow.client.core", type(self).__name__)
        return _pickling.Reference("copyreg", "__newobj__"), (kind,), self.__getstate__()

    def __getstate__(self) -> Dict[str, Any]:
        data = [self._pathspec, self._attempt, self._reader.description(), self._namespace, self._namespace_check]
        return {"version": _PICKLE_VERSION, "data": data}

    def __setstate__(self, state: Dict[str, Any]) -> None:
        version = state.get("version")
        if version is None:  # pickled by Metaflow before 2.8.4
            data: List[Any] = [state.get("_pathspec"), state.get("_attempt"), None, None, state.get("_namespace_check", False)]
        elif version == "2.8.4":
            data = [*state["data"][:2], None, None, state["data"][2]]
        elif version == "2.12.4":
            data = [*state["data"][:2], None, *state["data"][2:]]
        elif version == _PICKLE_VERSION:
            data = state["data"]
        else:
            raise MetaflowInternalError(f"Unpickling this object requires a Metaflow version greater than or equal to {version}")
        pathspec, attempt, where, name, check = data
        MetaflowObject.__init__(self, pathspec, attempt, _namespace_check=check, _current_namespace=name, _current_metadata=where)

    @property
    def tags(self) -> FrozenSet[str]:
        """All tags of the run of this object."""
        return self._record.tags | self._record.system_tags

    @property
    def user_tags(self) -> FrozenSet[str]:
        """The tags of the run that users have set."""
        return self._record.tags

    @property
    def system_tags(self) -> FrozenSet[str]:
        """The tags of the run that it has set itself: "user:ada"."""
        return self._record.system_tags

    @property
    def created_at(self) -> datetime:
        """When the object was made: local time."""
        return datetime.fromtimestamp(self._record.created / 1e6)

    @property
    def parent(self) -> Optional[Any]:
        """The object that contains this one; None for a Flow."""
        if self._parent is None and self._PARENT is not None:
            attempt = self._attempt if self._PARENT._HAS_ATTEMPTS else None
            parent = self._PARENT.__new__(self._PARENT)
            MetaflowObject.__init__(
                parent, self._pathspec.rpartition("/")[0], attempt, _namespace_check=False, _current_metadata=self._reader.description()
            )
            self._parent = parent
        return self._parent

    @property
    def pathspec(self) -> str:
        """What the constructor takes to make this object again, besides the attempt."""
        return self._pathspec

    @property
    def path_components(self) -> List[str]:
        """The parts of the pathspec."""
        return self._pathspec.split("/")

    @property
    def origin_pathspec(self) -> Optional[str]:
        """The pathspec of the object that `resume` has cloned into this one; None if it was not cloned."""
        parent = self.parent
        origin = parent.origin_pathspec if parent is not None else None
        return f"{origin}/{self.id}" if origin else None
