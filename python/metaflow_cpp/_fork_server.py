"""A process that has imported the flow, and forks the tasks of a run: an interpreter starts once."""

import gc
import os
import sys
from typing import FrozenSet, List, Set

from . import _native

ARGUMENT = "fork-server"  # kForkServerArgument of src/base/fork_protocol.h


def _can_fork() -> bool:
    """Whether forked processes can rely on what this one has: threads and contexts of GPUs do not survive a fork."""
    # The handlers that libraries registered for forks end their own threads, such as those of BLAS.
    pid = os.fork()
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)
    with open("/proc/self/maps") as maps:
        has_gpu = "libcuda.so" in maps.read()
    return len(os.listdir("/proc/self/task")) == 1 and not has_gpu


def _seed() -> None:
    """Forks would share the state of generators of random numbers. `random` does this itself."""
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        numpy_random.seed()


def _set_environment(inherited: FrozenSet[bytes], variables: Set[bytes]) -> None:
    """Most variables are those of the server: memory that is not written stays shared."""
    for variable in inherited - variables:
        del os.environb[variable.partition(b"=")[0]]
    for variable in variables - inherited:
        name, _, value = variable.partition(b"=")
        os.environb[name] = value


def serve() -> List[str]:
    """Serves the scheduler. Returns in each task's process: the arguments of `step`. Its output streams and variables
    are those of the task."""
    socket = os.dup(0)
    os.set_inheritable(socket, False)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    if not _can_fork():
        os._exit(1)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    inherited = frozenset(name + b"=" + value for name, value in os.environb.items())
    gc.collect()
    gc.freeze()
    words, variables = _native.serve_forks(socket)
    _set_environment(inherited, set(variables))
    _seed()
    return [os.fsdecode(word) for word in words[1:]]
