"""The task side of the engine, through ctypes: src/python/task_api.h says what its functions do."""

import ctypes
import functools
import json
import os
import pathlib
import re
import threading
import weakref
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence, Tuple

API_VERSION = 4
IN_NO_INPUT, CONFLICT = -1, -2  # results of Task.merge
_OPENED_LATER = ("libcurl.so.4",)  # by the engine, when it needs them

_DIRECTORY = pathlib.Path(__file__).resolve().parent / "native"


class NativeError(Exception):
    """The engine could not do what was asked of it."""


class _Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("size", ctypes.c_size_t)]


class _Array(ctypes.Structure):  # of array_api.h
    _fields_ = [
        ("type", ctypes.c_char), ("column_major", ctypes.c_int), ("item_size", ctypes.c_size_t), ("dimensions", ctypes.c_size_t),
        ("shape", ctypes.c_size_t * 64), ("elements", _Bytes),
    ]  # fmt: skip


class ArrayFacts(NamedTuple):
    """What numpy needs to know about an array, besides its elements."""

    kind: str  # of numpy.dtype
    item_size: int
    shape: Tuple[int, ...]
    column_major: bool


class LoadedArray(NamedTuple):
    """An array that a task has loaded."""

    array: "weakref.ref[Any]"
    input: Optional[int]  # its index, in a join
    name: str
    facts: ArrayFacts
    address: int  # of the elements


_readers: List[Callable[[int, int, int, int, int], int]] = []  # the last one reads the item of the task that begins
_DECODER = json.JSONDecoder()
_READ_ITEM = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int64, ctypes.c_void_p, ctypes.c_size_t)


# One for all tasks: libffi reads files when the first of a process is made, and forked processes have this one.
_read_item = _READ_ITEM(lambda *arguments: _readers[-1](*arguments))


def native_file(name: str) -> str:
    """The path of a file of the engine. METAFLOW_ENGINE_DIRECTORY names another directory."""
    directory = pathlib.Path(os.environ.get("METAFLOW_ENGINE_DIRECTORY") or _DIRECTORY)
    path = directory / name
    if not path.exists():
        raise NativeError(f"{path} is missing. Install the package again: pip install --force-reinstall metaflow_cpp")
    return str(path)


def _load(path: pathlib.Path) -> ctypes.CDLL:
    """Loads a library. In a package for other hosts, the libraries that it needs are beside it: they are loaded if the
    host lacks them, or has older ones. Throws NativeError."""
    tried = set()
    while True:
        try:
            return ctypes.CDLL(str(path))
        except OSError as error:
            found = re.match(r"(\S+): (?:cannot open shared object file|version \S+ not found)", str(error))
            needed = path.parent / os.path.basename(found.group(1)) if found else path
            if needed == path or needed in tried or needed.name.startswith("libc.so") or not needed.exists():
                words = f"{path} cannot be loaded: {error}. It needs Linux with glibc 2.36 or newer."
                raise NativeError(words) from error
            tried.add(needed)
            _load(needed)


def memory_file(content: bytes) -> int:
    """A descriptor of a file in memory, which survives exec."""
    fd = os.memfd_create("flow", 0)
    with open(fd, "wb", closefd=False) as file:
        file.write(content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


@functools.lru_cache(maxsize=None)
def library() -> ctypes.CDLL:
    """The library, loaded once per process. Throws NativeError."""
    # PyDLL would keep the lock of the interpreter: the engine reads and writes files.
    loaded = _load(pathlib.Path(native_file("libmetaflow_task.so")))
    for other in _OPENED_LATER:
        if (pathlib.Path(loaded._name).parent / other).exists():
            _load(pathlib.Path(loaded._name).parent / other)
    text, task, size = ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t
    into = ctypes.POINTER(_Bytes)
    for name, result, arguments in (
        ("api_version", ctypes.c_int, []),
        ("error", text, []),
        ("aws_secret", text, [text, text, text]),
        ("flow_read", task, [text, size]),
        ("task_open", task, [task, ctypes.c_int, ctypes.POINTER(text)]),
        ("task_close", None, [task]),
        ("task_begin", ctypes.c_int, [task, _READ_ITEM]),
        ("task_facts", text, [task]),
        ("task_cpus", ctypes.c_int, []),
        ("task_item", ctypes.c_int, [task, size, into]),
        ("task_load", ctypes.c_int, [task, text, into]),
        ("task_graph", ctypes.c_int, [task, into]),
        ("task_load_input", ctypes.c_int, [task, size, text, into]),
        ("task_own", ctypes.c_int, [task, ctypes.c_int64, text, into]),
        ("task_release", None, [task, ctypes.c_void_p]),
        ("is_written", ctypes.c_int, [into]),
        ("read_array", ctypes.c_int, [into, ctypes.POINTER(_Array)]),
        ("write_array", ctypes.c_int, [ctypes.POINTER(_Array), into, into]),
        ("task_input_has", ctypes.c_int, [task, size, text]),
        ("task_merge", ctypes.c_int64, [task, text]),
        ("task_save", ctypes.c_int, [task, text, into, size, text]),
        ("task_keep", ctypes.c_int, [task, text]),
        ("task_keep_input", ctypes.c_int, [task, size, text]),
        ("task_caught", ctypes.c_int, [task, text, text, text]),
        ("task_fail", ctypes.c_int, [task, text, text, text]),
        ("task_split", ctypes.c_int, [task, size, ctypes.POINTER(text), text, ctypes.POINTER(size)]),
        ("task_finish", ctypes.c_int, [task, ctypes.c_int]),
    ):
        function = getattr(loaded, "metaflow_" + name)
        function.restype, function.argtypes = result, arguments
    if loaded.metaflow_api_version() != API_VERSION:
        raise NativeError(f"{loaded._name} is of another version. Install the package again.")
    return loaded


def _view(data: int, size: int) -> memoryview:
    """The bytes, which the engine owns and keeps until the task is closed."""
    if size == 0:
        return memoryview(b"")
    return memoryview((ctypes.c_char * size).from_address(data)).cast("B").toreadonly()


def array_in(address: int, size: int) -> Optional[Tuple[ArrayFacts, int, int]]:
    """If a payload is an array that the engine stores itself: its facts, and the address and the size of its elements."""
    array = _Array()
    if library().metaflow_read_array(ctypes.byref(_Bytes(address, size)), ctypes.byref(array)) != 1:
        return None
    facts = ArrayFacts(array.type.decode(), array.item_size, tuple(array.shape[: array.dimensions]), bool(array.column_major))
    return facts, array.elements.data, array.elements.size


def is_written(address: int, size: int) -> bool:
    """Whether this process has written to a mapped file; also true if it is not known."""
    return int(library().metaflow_is_written(ctypes.byref(_Bytes(address, size)))) != 0


def writable(address: int, size: int) -> memoryview:
    """Memory of the engine, which it keeps until the task is closed, or the payload is released."""
    return memoryview((ctypes.c_char * size).from_address(address)).cast("B")


def writable_until_unused(address: int, size: int, release: Callable[..., None], *arguments: Any) -> memoryview:
    """The same. `release` is called when nothing refers to the memory any more."""
    owner = (ctypes.c_char * size).from_address(address)
    weakref.finalize(owner, release, *arguments).atexit = False  # type: ignore[misc]
    return memoryview(owner).cast("B")


def serve_forks(socket: int) -> Tuple[List[bytes], List[bytes]]:
    """Serves requests of the scheduler. Returns only in a forked process: its arguments, and its variables."""
    server = ctypes.PyDLL(native_file("libmetaflow_task.so"))  # the forked process goes on with the interpreter's lock
    texts, size, words, variables = ctypes.c_void_p(), ctypes.c_size_t(), ctypes.c_size_t(), ctypes.c_size_t()
    after_fork = ctypes.pythonapi.PyOS_AfterFork_Child  # looked up once
    ctypes.pythonapi.PyOS_BeforeFork()
    server.metaflow_serve_forks(socket, ctypes.byref(texts), ctypes.byref(size), ctypes.byref(words), ctypes.byref(variables))
    after_fork()
    parts = ctypes.string_at(texts.value or 0, size.value).split(b"\0")
    return parts[: words.value], parts[words.value : words.value + variables.value]


def aws_secret(name: str, region: str, role: str) -> Dict[str, Any]:
    """The answer of AWS Secrets Manager for a secret. `region`, `role`: empty: the configured region, no role to assume. Throws NativeError."""
    answer = library().metaflow_aws_secret(_text(name), _text(region), _text(role))
    if answer is None:
        raise NativeError(str(library().metaflow_error().decode("utf-8", "replace")))
    return dict(json.loads(answer))


def _text(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace").replace(b"\0", b"\\0")


def task_cpus() -> int:
    """The cores that the step of this process may use."""
    return int(library().metaflow_task_cpus())


class Flow:
    """A described flow. Forked processes share it."""

    def __init__(self, description: bytes) -> None:
        self.handle = library().metaflow_flow_read(description, len(description))
        if not self.handle:
            raise NativeError(str(library().metaflow_error().decode("utf-8", "replace")))


class Task:
    """One task of a flow, in this process. Thread-safe."""

    def __init__(self, flow: Flow, arguments: Sequence[str]) -> None:
        self._library = library()
        words = [os.fsencode(word) for word in arguments]
        array = (ctypes.c_char_p * len(words))(*words)
        self._task = self._library.metaflow_task_open(flow.handle, len(words), array)
        if not self._task:
            raise NativeError(self._error())
        # A forked process has one thread; its parent's others may hold the lock.
        self._lock = threading.RLock()
        os.register_at_fork(after_in_child=self._renew_lock)
        self.facts: Dict[str, Any] = {}
        self.loaded: Dict[int, LoadedArray] = {}  # by the id of the array

    def _renew_lock(self) -> None:
        self._lock = threading.RLock()

    def _error(self) -> str:
        return str(self._library.metaflow_error().decode("utf-8", "replace"))

    def _call(self, name: str, *arguments: Any, least: int = 0) -> int:
        """Calls a function of the task. ctypes lets other threads run meanwhile, and the engine's task has one thread."""
        with self._lock:
            result = int(getattr(self._library, "metaflow_task_" + name)(self._task, *arguments))
            if result < least:
                raise NativeError(self._error())
        return result

    def begin(self, read_item: Callable[[memoryview, Optional[int]], str]) -> bool:
        """Whether the step is to be called. `read_item` loads an item of the range for it, and returns the item's label.
        Without an index the bytes are the item alone."""
        raised: List[BaseException] = []

        def call(data: int, size: int, index: int, label: int, room: int) -> int:
            try:
                text = _text(read_item(_view(data, size), index if index >= 0 else None))[: room - 1]
                ctypes.memmove(label, text + b"\0", len(text) + 1)
                return 0
            except BaseException as error:  # it must not cross the C code
                raised.append(error)
                return -1

        _readers.append(call)
        try:
            result = self._call("begin", _read_item)
        except NativeError:
            if raised:
                raise raised[0] from None
            raise
        finally:
            _readers.pop()
        facts = self._library.metaflow_task_facts(self._task)
        if facts is None:
            raise NativeError(self._error())
        self.facts = _DECODER.raw_decode(facts.decode())[0]  # loads() looks for the encoding first
        return bool(result == 1)

    def item_payload(self, level: int) -> Tuple[memoryview, bool]:
        """The item alone, as split() got it, and True; else the payload of the range."""
        into = _Bytes()
        is_alone = self._call("item", level, ctypes.byref(into)) == 1
        return _view(into.data, into.size), is_alone

    def load(self, name: str) -> Optional[memoryview]:
        into = _Bytes()
        found = self._call("load", _text(name), ctypes.byref(into))
        return _view(into.data, into.size) if found else None

    def graph(self) -> Optional[memoryview]:
        """The artifact _graph_info."""
        into = _Bytes()
        return _view(into.data, into.size) if self._call("graph", ctypes.byref(into)) else None

    def load_input(self, index: int, name: str) -> Optional[memoryview]:
        into = _Bytes()
        found = self._call("load_input", index, _text(name), ctypes.byref(into))
        return _view(into.data, into.size) if found else None

    def input_has(self, index: int, name: str) -> bool:
        return self._call("input_has", index, _text(name)) == 1

    def merge(self, name: str) -> int:
        """The first input that has an artifact; IN_NO_INPUT; or CONFLICT, if inputs have different values."""
        return self._call("merge", _text(name), least=CONFLICT)

    def own(self, index: Optional[int], name: str) -> Optional[Tuple[int, int]]:
        """The address and the size of a large artifact's payload, in memory that this process may write to. None: there is no such artifact, or
        it is small. `index`: of an input of a join."""
        into = _Bytes()
        found = self._call("own", -1 if index is None else index, _text(name), ctypes.byref(into))
        return (into.data, into.size) if found else None

    def release(self, address: int) -> None:
        """Gives back the payload at this address: nothing refers to it any more."""
        with self._lock:
            self._library.metaflow_task_release(self._task, address)

    def save(self, name: str, payload: bytes, type_name: str) -> None:
        part = _Bytes(ctypes.cast(ctypes.c_char_p(payload), ctypes.c_void_p), len(payload))
        self._call("save", _text(name), ctypes.byref(part), 1, _text(type_name))

    def save_array(self, name: str, facts: ArrayFacts, address: int, size: int, type_name: str) -> None:
        """Stores an array whose elements are at this address."""
        shape = (ctypes.c_size_t * 64)(*facts.shape)
        array = _Array(facts.kind.encode(), facts.column_major, facts.item_size, len(facts.shape), shape, _Bytes(address, size))
        parts = (_Bytes * 3)(_Bytes(), _Bytes(address, size), _Bytes())
        with self._lock:
            if self._library.metaflow_write_array(ctypes.byref(array), ctypes.byref(parts[0]), ctypes.byref(parts[2])) < 0:
                raise NativeError(self._error())
        self._call("save", _text(name), parts, 3, _text(type_name))

    def keep(self, name: str) -> None:
        self._call("keep", _text(name))

    def keep_input(self, index: int, name: str) -> None:
        self._call("keep_input", index, _text(name))

    def caught(self, type_name: str, message: str, report: str) -> None:
        self._call("caught", _text(type_name), _text(message), _text(report))

    def fail(self, type_name: str, message: str, report: str) -> None:
        self._call("fail", _text(type_name), _text(message), _text(report))

    def split(self, labels: Sequence[str], items: Optional[Sequence[bytes]] = None) -> None:
        """`items`: pickles of the items, if each can be read without the others."""
        texts = (ctypes.c_char_p * len(labels))(*(_text(label) for label in labels))
        sizes = (ctypes.c_size_t * len(labels))(*map(len, items or ()))
        self._call("split", len(labels), texts, b"".join(items) if items else None, sizes)

    def finish(self, chosen: int = -1) -> None:
        self._call("finish", chosen)
