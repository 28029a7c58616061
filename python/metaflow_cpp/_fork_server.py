"""A process that has imported the flow, and forks the tasks of a run: an interpreter starts once."""

import gc
import os
import sys
import weakref
from typing import Any, FrozenSet, List

from . import _files, _native

ARGUMENT = "fork-server"  # kForkServerArgument of src/base/fork_protocol.h
_OWN = b"METAFLOW_"  # variables that the engine sets for a task, and reads when the task begins
_state_at_start: Any = None  # of `random`, before the module of the flow was imported


def begin() -> None:
    """Before the module of the flow is imported."""
    global _state_at_start
    import random  # other commands do not need it

    _state_at_start = random.getstate()


def _can_fork() -> bool:
    """Whether forked processes can rely on what this one has: threads and contexts of GPUs do not survive a fork."""
    # The handlers that libraries registered for forks end their own threads, such as those of BLAS.
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    with open("/proc/self/maps") as maps:
        has_gpu = "libcuda.so" in maps.read()
    # Such as a TemporaryDirectory of the flow's module: the first process that ends would remove it for all others.
    has_finalizers = any(info.atexit for info in getattr(weakref.finalize, "_registry", {}).values())
    return len(os.listdir("/proc/self/task")) == 1 and not has_gpu and not has_finalizers and not _has_generators()


def _has_generators() -> bool:
    """Whether the flow's module has made generators of random numbers: forks would draw the same numbers from each."""
    import random

    kinds: List[Any] = [random.Random]
    numpy_random = sys.modules.get("numpy.random")
    common = {id(getattr(random, "_inst", None))}
    if numpy_random is not None:
        kinds += [numpy_random.Generator, numpy_random.RandomState]
        common.add(id(numpy_random.mtrand._rand))
    # No gc.get_objects(): it knows none of these types, and libraries have some of their own.
    modules = [sys.modules.get("__main__")]
    return any(isinstance(value, tuple(kinds)) and id(value) not in common for module in modules for value in vars(module).values())


def _seed(state: Any) -> None:
    """Forks would share the state of generators of random numbers; `random` seeds itself anew in each. What the flow's
    module has seeded begins in each task with the same state, as in a process that imports the module."""
    import random

    if state is not None:
        random.setstate(state)
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None and not _is_seeded(numpy_random):
        numpy_random.seed()


def _is_seeded(numpy_random: Any) -> bool:
    """Whether seed() was called. A generator that numpy has seeded itself knows the sequence of its seeds."""
    try:
        return numpy_random.mtrand._rand._bit_generator._seed_seq is None
    except AttributeError:
        return False


def _set_environment(started_with: FrozenSet[bytes], variables: List[bytes]) -> None:
    """What the flow's module has changed stays. Most variables are those of the server: memory that is not written stays
    shared."""
    for variable in started_with.difference(variables):
        os.environb.pop(variable.partition(b"=")[0], None)
    for variable in set(variables) - started_with:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value


def _content(file: str) -> List[bytes]:
    with open(f"/proc/self/{file}", "rb") as opened:
        return opened.read().split(b"\0")[:-1]


def serve() -> List[str]:
    """Serves the scheduler. Returns in each task's process: the arguments of `step`. Its output streams and variables
    are those of the task."""
    import random

    socket = os.dup(0)
    os.set_inheritable(socket, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if not _can_fork():
        os._exit(1)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    command = _content("cmdline")
    command = command[: command.index(ARGUMENT.encode())]
    started_with = frozenset(_content("environ"))
    state = None if random.getstate() == _state_at_start else random.getstate()
    gc.collect()
    _files.remember()
    gc.freeze()
    words, variables = _native.serve_forks(socket)
    if not all(variable.startswith(_OWN) for variable in started_with.symmetric_difference(variables)):
        # Libraries read variables when they are imported: those of @environment, the cores of `local`.
        os.execve(command[0], [*command, *words[1:]], {name: value for name, _, value in (each.partition(b"=") for each in variables)})
    _set_environment(started_with, variables)
    _seed(state)
    sys.argv[1:] = [os.fsdecode(word) for word in words[1:]]
    return sys.argv[1:]
