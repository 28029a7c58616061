"""Files that a task has open for writing: the end of an interpreter closes them, that of a task's process does not."""

import gc
import io
import sys
import weakref
from typing import Any, Iterator, List

_BASE: Any = io.IOBase.__mro__[1]  # _io._IOBase, of which all classes of files are subclasses
_before: List["weakref.ref[Any]"] = []  # of a process that is forked: gc.get_objects() does not know what it has frozen


def _found() -> Iterator[Any]:
    return (each for each in gc.get_objects() if isinstance(each, _BASE) and not isinstance(each, (io.BytesIO, io.StringIO)))


def remember() -> None:
    """Before gc.freeze()."""
    _before.extend(weakref.ref(each) for each in _found())


def close_all() -> None:
    """Writes what is in their buffers. Not the standard streams."""
    found = [*_found(), *(each for each in (reference() for reference in _before) if each is not None)]
    found.sort(key=lambda each: isinstance(each, (io.BufferedWriter, io.BufferedRandom, io.FileIO)))  # last: others write into them
    for each in found:
        try:
            if not each.closed and each.writable() and each.fileno() > 2:
                each.close()
        except (io.UnsupportedOperation, AttributeError):  # not a file
            continue
        except Exception as error:
            print(f"Exception ignored in {each!r}: {type(error).__name__}: {error}", file=sys.stderr)


def flush_streams() -> None:
    """The standard streams; a step may have closed or replaced them."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not getattr(stream, "closed", False):
            stream.flush()
