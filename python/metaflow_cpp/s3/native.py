"""The S3 client of the engine, through ctypes: src/python/s3_api.h says what its functions do."""

import ctypes
import functools
import json
from typing import Any, List, Sequence, Tuple

from .. import _native
from .errors import MetaflowS3Exception

_STEP = 100  # milliseconds after which the interpreter handles signals


@functools.lru_cache(maxsize=None)
def _library() -> ctypes.CDLL:
    library = _native.library()
    text, s3, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    for name, result, arguments in (
        ("open", s3, []),
        ("close", None, [s3]),
        ("settings", text, [s3]),
        ("start", ctypes.c_int, [s3, text, ctypes.POINTER(_native._Bytes), size]),
        ("wait", ctypes.c_int, [s3, ctypes.c_int]),
        ("results", text, [s3]),
        ("cancel", None, [s3]),
    ):
        function = getattr(library, "metaflow_s3_" + name)
        function.restype, function.argtypes = result, arguments
    return library


def _fail() -> MetaflowS3Exception:
    return MetaflowS3Exception(_native.library().metaflow_error().decode("utf-8", "replace"))


def _memory_of(content: Any) -> Tuple[Any, int, int]:
    """The owner, the address and the bytes of an object's content. It is not copied, unless it is a read-only view."""
    if isinstance(content, memoryview) and (content.readonly or not content.c_contiguous):
        content = bytes(content)
    if isinstance(content, bytes):
        return content, ctypes.cast(ctypes.c_char_p(content), ctypes.c_void_p).value or 0, len(content)
    size = memoryview(content).nbytes
    memory = (ctypes.c_char * size).from_buffer(content)
    return memory, ctypes.addressof(memory), size


class Client:
    """Connections of this process. For one thread at a time. Throws MetaflowS3Exception."""

    def __init__(self) -> None:
        self._s3 = _library().metaflow_s3_open()
        if not self._s3:
            raise _fail()

    def close(self) -> None:
        if self._s3:
            _library().metaflow_s3_close(self._s3)
            self._s3 = None

    def settings(self) -> Any:
        text = _library().metaflow_s3_settings(self._s3)
        if text is None:
            raise _fail()
        return json.loads(text)

    def execute(self, operations: Sequence[List[Any]], contents: Sequence[Any] = ()) -> List[List[Any]]:
        """The results, in the order of the operations. After an exception the client must be closed."""
        library = _library()
        memory = [_memory_of(content) for content in contents]
        array = (_native._Bytes * len(memory))(*(_native._Bytes(address, size) for _, address, size in memory))
        try:
            order = json.dumps(operations, ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            near = str(error.object)[max(error.start - 40, 0) : error.end + 20]
            raise MetaflowS3Exception(f"This name has bytes that are not UTF-8: {near!r}") from None
        try:
            if library.metaflow_s3_start(self._s3, order, array, len(memory)) < 0:
                raise _fail()
            ended = 0
            while ended == 0:
                ended = library.metaflow_s3_wait(self._s3, _STEP)
            if ended < 0:
                raise _fail()
            results = library.metaflow_s3_results(self._s3)
            if results is None:
                raise _fail()
            found: List[List[Any]] = json.loads(results)
            return found
        except BaseException:
            library.metaflow_s3_cancel(self._s3)  # before the memory goes
            raise
