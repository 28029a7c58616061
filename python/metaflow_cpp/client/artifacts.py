"""The values that tasks saved."""

from datetime import datetime
from typing import Any, Dict, Iterable, List, Optional

from . import values
from .objects import MetaflowObject, Record
from .reader import Reader


class DataArtifact(MetaflowObject):
    """A value that a task saved."""

    _DEPTH, _FORM, _HAS_ATTEMPTS = 5, "FlowName/RunID/StepName/TaskID/ArtifactName", True

    @classmethod
    def _read(cls, reader: Reader, pathspec: str, attempt: Optional[int]) -> Optional[Record]:
        task, _, name = pathspec.rpartition("/")
        records = cls._records(reader.artifacts(task, attempt, name))
        return records[0] if records else None

    @staticmethod
    def _records(found: Dict[str, Any]) -> List[Record]:
        tags, system_tags = frozenset(found["tags"]), frozenset(found["system_tags"])
        return [Record(row[0], row[1], tags, system_tags, tuple(row[2:])) for row in found["rows"]]

    @property
    def data(self) -> Any:
        """The value. Raises DataException if it is missing, or if a class that it needs cannot be imported here."""
        value = self._value()
        if not isinstance(value, values.IncludedFile):
            return value
        if "key" not in value.descriptor:
            return value.read(self._reader)
        _, datastore, location, _ = self._record.artifact  # the content is a value of the same store
        with self._reader.value(self.path_components[0], str(value.descriptor["key"]), datastore, location) as content:
            return value.decoded(content.view.tobytes())

    def _value(self) -> Any:
        key, datastore, location, _ = self._record.artifact
        with self._reader.value(self.path_components[0], key, datastore, location) as content:
            return values.load(content.view, self._pathspec)

    @property
    def size(self) -> int:
        """Bytes of the pickled value; of an IncludeFile, of its file."""
        key, datastore, location, attempt = self._record.artifact
        size = self._reader.size(self._pathspec.rpartition("/")[0], attempt, self.id, key, datastore, location)
        return self._value().size(self._reader) if size is None else size

    @property
    def sha(self) -> str:
        """The key of the value: artifacts with the same key have the same value."""
        return self._record.artifact[0]

    @property
    def finished_at(self) -> datetime:
        """created_at."""
        return self.created_at


class MetaflowData:
    """The values of a task: `task.data.x`, `"x" in task.data`. A value is read when it is used."""

    def __init__(self, artifacts: Iterable[DataArtifact]) -> None:
        self._artifacts = {artifact.id: artifact for artifact in artifacts}

    def __getattr__(self, name: str) -> Any:
        if name == "_artifacts" or name not in self._artifacts:
            raise AttributeError(name)
        return self._artifacts[name].data

    def __contains__(self, name: object) -> bool:
        return name in self._artifacts

    def __dir__(self) -> List[str]:
        return [*self._artifacts, *object.__dir__(self)]

    def __str__(self) -> str:
        return f"<MetaflowData: {', '.join(self._artifacts)}>"

    def __repr__(self) -> str:
        return str(self)
