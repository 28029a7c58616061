"""Arrays of numpy: stored from where they are, without a copy, and loaded as mapped files. One that was not written to is not read again when
the step ends. Small arrays, and those with elements of other types, are pickled as any other value."""

import importlib
import sys
import weakref
from typing import Any, Optional

from . import _native, _pickling

_FROM = 1 << 16  # bytes: smaller arrays are copied as fast; METAFLOW_LARGE_VALUE of task_api.h
_MOST_DIMENSIONS = 64
_ELEMENTS = {("b", 1), ("f", 2), ("f", 4), ("f", 8), ("c", 8), ("c", 16), *((kind, size) for kind in "iu" for size in (1, 2, 4, 8))}
MISSING = object()
_BEGIN = b"\x80\x04\x8c\x05numpy\x8c\x07ndarray\x93"  # of such a payload: docs/format.md


def save(task: _native.Task, name: str, value: Any) -> bool:
    """Stores an array. False: the value is another one, or is to be pickled."""
    numpy = sys.modules.get("numpy")
    if numpy is None or type(value) is not numpy.ndarray or value.nbytes < _FROM:
        return False
    kind, flags = value.dtype, value.flags
    is_plain = (kind.kind, kind.itemsize) in _ELEMENTS and kind.isnative and kind.metadata is None
    if not is_plain or not (flags.c_contiguous or flags.f_contiguous) or value.ndim > _MOST_DIMENSIONS:
        return False
    facts = _native.ArrayFacts(kind.kind, kind.itemsize, value.shape, not flags.c_contiguous)
    address = value.__array_interface__["data"][0]
    loaded = task.loaded.get(id(value))
    is_loaded = loaded is not None and loaded.array() is value and loaded.name == name and (loaded.facts, loaded.address) == (facts, address)
    if loaded is not None and is_loaded and not _native.is_written(address, value.nbytes):
        if loaded.input is None:
            task.keep(name)
        else:
            task.keep_input(loaded.input, name)
        return True
    task.save_array(name, facts, address, value.nbytes, str(type(value)))
    return True


def load(task: _native.Task, index: Optional[int], name: str) -> Any:
    """Loads an artifact of the input, or of the input `index` of a join. The caller may change the value, also the elements of an array. MISSING
    if there is none."""
    own = task.own(index, name)
    if own is None:
        payload = task.load(name) if index is None else task.load_input(index, name)
        if payload is None:
            return MISSING
        return _pickling.loads(payload)
    memory = _native.writable(*own)
    found = _native.array_in(*own) if memory[: len(_BEGIN)] == _BEGIN else None
    if found is None:
        try:
            return _pickling.loads(memory)
        finally:
            task.release(own[0])
    numpy: Any = importlib.import_module("numpy")

    facts, address, size = found
    kind = numpy.dtype(f"{facts.kind}{facts.item_size}")
    elements = _native.writable_until_unused(address, size, task.release, own[0])
    array = numpy.ndarray(facts.shape, kind, elements, order="F" if facts.column_major else "C")
    task.loaded[id(array)] = _native.LoadedArray(weakref.ref(array), index, name, facts, address)
    return array
