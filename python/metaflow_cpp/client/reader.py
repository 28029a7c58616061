"""Reads the store and the metadata of runs through ctypes: src/python/client_api.h says what its functions do."""

import ctypes
import functools
import json
import os
import pathlib
import threading
import weakref
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from .. import _native
from ..exception import DataException, MetaflowException, MetaflowTaggingError

LOCAL, SERVICE = "local", "service"
_DIRECTORY = ".metaflow"
_INCLUDED = (1 << 63) - 1  # METAFLOW_INCLUDED_FILE


@functools.lru_cache(maxsize=None)
def _library() -> ctypes.CDLL:
    try:
        library = _native.library()
    except _native.NativeError as error:
        raise MetaflowException(str(error)) from error
    text, client, number = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int
    into = ctypes.POINTER(_native._Bytes)
    for name, result, arguments in (
        ("client_open", client, [text, text]),
        ("client_close", None, [client]),
        ("client_facts", text, [client]),
        ("client_object", text, [client, text]),
        ("client_children", text, [client, text]),
        ("client_artifacts", text, [client, text, number, text]),
        ("client_fields", text, [client, text]),
        ("client_edit_tags", text, [client, text, text, text]),
        ("client_value", ctypes.c_void_p, [client, text, text, text, text, number, into]),
        ("client_file", ctypes.c_void_p, [client, text, into]),
        ("client_size", ctypes.c_int64, [client, text, number, text, text, text, text]),
        ("client_log", ctypes.c_void_p, [client, text, number, text, text, number, into]),
        ("client_log_size", ctypes.c_int64, [client, text, number, text, text, number]),
        ("content_free", None, [ctypes.c_void_p]),
    ):
        function = getattr(library, "metaflow_" + name)
        function.restype, function.argtypes = result, arguments
    return library


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


_readers: "weakref.WeakSet[Reader]" = weakref.WeakSet()


def _renew_locks() -> None:
    for reader in list(_readers):
        reader._lock = threading.Lock()


# Another thread may hold a lock while this one forks.
os.register_at_fork(after_in_child=_renew_locks)


class Reader:
    """The metadata and the store of one place. Thread-safe. A process that is forked opens its own."""

    def __init__(self, provider: str = "", place: str = "") -> None:
        self._provider, self._place = provider, place
        self._lock = threading.Lock()
        self._client: Optional[int] = None
        self._process = 0
        _readers.add(self)

    def _opened(self) -> Optional[int]:
        # A handle of the parent shares its connections and event loop with this process: it is left alone.
        if self._client is None or self._process != os.getpid():
            self._client = _library().metaflow_client_open(_bytes(self._provider), _bytes(self._place))
            self._process = os.getpid()
        return self._client

    def _call(self, name: str, *arguments: Any, error: Callable[[str], Exception] = DataException, failed: Any = None) -> Any:
        """Calls a function with the client. Texts are bytes that are copied before the lock is released."""
        with self._lock:
            client = self._opened()
            result = getattr(_library(), name)(client, *arguments) if client else failed
            if result == failed or (isinstance(result, int) and result < 0):
                raise error(_library().metaflow_error().decode("utf-8", "replace"))
            return result

    def _json(self, name: str, *arguments: Any, error: Callable[[str], Exception] = DataException) -> Any:
        return json.loads(self._call(name, *arguments, error=error))

    def _content(self, name: str, *arguments: Any) -> "Content":
        view = _native._Bytes()
        content = self._call(name, *arguments, ctypes.byref(view))
        return Content(content, view)

    # --- facts

    @property
    def _facts(self) -> Dict[str, str]:
        facts: Dict[str, str] = self._json("metaflow_client_facts")
        return facts

    @property
    def user(self) -> str:
        return self._facts["user"]

    def description(self) -> str:
        """As get_metadata() shows it: "local@/home/ada"."""
        if self._place:
            return f"{self._provider}@{self._place if self._provider == SERVICE else os.path.dirname(self._place)}"
        facts = self._facts
        place = facts["place"]
        if facts["provider"] == LOCAL:
            found = os.path.isdir(place)
            place = os.path.dirname(place) if found else f"<No {_DIRECTORY} directory found in current working tree>"
        return f"{facts['provider']}@{place}"

    # --- metadata

    def object(self, pathspec: str) -> Optional[Dict[str, Any]]:
        found: Optional[Dict[str, Any]] = self._json("metaflow_client_object", _bytes(pathspec))
        return found

    def children(self, pathspec: str) -> Optional[Dict[str, Any]]:
        found: Optional[Dict[str, Any]] = self._json("metaflow_client_children", _bytes(pathspec))
        return found

    def artifacts(self, pathspec: str, attempt: Optional[int], name: str = "") -> Dict[str, Any]:
        number = -1 if attempt is None else attempt
        found: Dict[str, Any] = self._json("metaflow_client_artifacts", _bytes(pathspec), number, _bytes(name))
        return found

    def fields(self, pathspec: str) -> List[List[Any]]:
        found: List[List[Any]] = self._json("metaflow_client_fields", _bytes(pathspec))
        return found

    def edit_tags(self, pathspec: str, add: Sequence[str], remove: Sequence[str]) -> List[str]:
        words = [_bytes(json.dumps(list(each))) for each in (add, remove)]
        tags: List[str] = self._json("metaflow_client_edit_tags", _bytes(pathspec), *words, error=MetaflowTaggingError)
        return tags

    # --- contents

    def value(self, flow: str, key: str, datastore: str, location: str, is_file: bool = False) -> "Content":
        words = [_bytes(each) for each in (flow, key, datastore, location)]
        return self._content("metaflow_client_value", *words, int(is_file))

    def file(self, url: str) -> "Content":
        return self._content("metaflow_client_file", _bytes(url))

    def size(self, pathspec: str, attempt: int, name: str, key: str, datastore: str, location: str) -> Optional[int]:
        """Bytes of a payload; None if it only names an included file."""
        words = [_bytes(each) for each in (name, key, datastore, location)]
        size = int(self._call("metaflow_client_size", _bytes(pathspec), attempt, *words))
        return None if size == _INCLUDED else size

    def log(self, pathspec: str, attempt: int, datastore: str, root: str, is_error: bool) -> Iterator[Tuple[Optional[int], bytes]]:
        """Lines of a log: their times in microseconds since 1970, None if one is unknown, and their texts."""
        with self._content("metaflow_client_log", _bytes(pathspec), attempt, _bytes(datastore), _bytes(root), int(is_error)) as content:
            lines = content.view.tobytes().split(b"\n")
        for line in lines[:-1]:
            time, _, text = line.partition(b" ")
            yield int(time) if time else None, text

    def log_size(self, pathspec: str, attempt: int, datastore: str, root: str, is_error: bool) -> int:
        return int(self._call("metaflow_client_log_size", _bytes(pathspec), attempt, _bytes(datastore), _bytes(root), int(is_error)))


class Content:
    """Bytes that the library owns. `view` is valid until the end of `with`."""

    def __init__(self, handle: int, view: "_native._Bytes") -> None:
        self._handle = handle
        self.view = _native._view(view.data, view.size)

    def __enter__(self) -> "Content":
        return self

    def __exit__(self, *_reason: Any) -> None:
        _library().metaflow_content_free(self._handle)


@functools.lru_cache(maxsize=None)
def reader(provider: str = "", place: str = "") -> Reader:
    return Reader(provider, place)


def reader_of(words: str) -> Reader:
    """The reader that the words of metadata() select: "local@DIR", "service@URL", a directory or a URL."""
    provider, at, place = words.partition("@")
    if provider not in (LOCAL, SERVICE):
        provider, at, place = (SERVICE if words.startswith("http") else LOCAL), "@", words
    if not at or (provider == LOCAL and place.startswith("<")):  # the description of a store that does not exist yet
        return reader(provider)
    if provider == SERVICE:
        return reader(SERVICE, place.rstrip("/"))
    store = os.path.join(os.path.abspath(place), _DIRECTORY)
    if not os.path.isdir(store):
        raise ValueError(f"Could not find directory {_DIRECTORY} in directory {place}")
    return reader(LOCAL, str(pathlib.Path(store)))
