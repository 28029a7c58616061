"""Values of artifacts, which need neither the code of the flow nor Metaflow to be installed."""

import io
from collections import namedtuple
from typing import Any, Dict

from .. import _pickling, exception, includefile
from ..exception import DataException
from .reader import Reader

# One foreach around a task, with the names of the reference.
ForeachFrame = namedtuple("ForeachFrame", ["step", "var", "num_splits", "index", "value"], defaults=(None, None, None, None, None))


class IncludedFile(includefile.IncludedFile):
    """What an artifact of an IncludeFile holds: where the content is."""

    def size(self, reader: Reader) -> int:
        """Bytes of the content."""
        if "size" in self.descriptor:
            return int(self.descriptor["size"])
        with reader.file(self.descriptor["url"]) as content:
            return len(content.view)

    def read(self, reader: Reader) -> Any:
        """The content: a str, or bytes of a file that is not text. Throws DataException."""
        with reader.file(self.descriptor["url"]) as content:
            return self.unpacked(content.view.tobytes())


# The official package pickles its tuples as members of the flow's own module.
_CLASSES: Dict[str, Any] = {
    "__main__.ForeachFrame": ForeachFrame,
    "metaflow.tuple_util.ForeachFrame": ForeachFrame,
    "metaflow.includefile.IncludedFile": IncludedFile,
    **{f"metaflow.exception.{name}": value for name, value in vars(exception).items() if name.startswith("Metaflow")},
}


class _Unpickler(_pickling.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known = _CLASSES.get(f"{module}.{name}")
        if known is None and module == "metaflow.client.core":
            from .. import client

            known = getattr(client, name, None)
        return super().find_class(module, name) if known is None else known


def load(payload: memoryview, pathspec: str) -> Any:
    """The value of an artifact. Throws DataException if a class that it needs cannot be imported, and what its own code throws."""
    file = io.BufferedReader(_pickling.View(payload), 1 << 20)
    try:
        return _Unpickler(file).load()
    except (ImportError, AttributeError) as error:
        raise DataException(
            f"Artifact {pathspec} cannot be loaded: {error}. Its class must be importable: install its package, or import its module first."
        ) from error
