"""parallel_map: many cores inside one task, with processes."""

import os
import pickle
import selectors
import signal
import sys
import traceback
from typing import Any, Callable, Dict, Iterable, Iterator, List, NamedTuple, NoReturn, Optional, TypeVar

from . import _native
from .current import current

T = TypeVar("T")
R = TypeVar("R")


class MulticoreException(Exception):
    """An item failed, or the process that worked on it died."""


class _Worker(NamedTuple):
    item: int  # its index
    pid: int
    result: int  # the descriptor of a file in memory


def _cpus() -> int:
    """Those of the task: what the step asks for with `resources`, at most those of the machine."""
    return _native.task_cpus() if current._facts else len(os.sched_getaffinity(0))


def _work(func: Callable[[Any], Any], item: Any, result: int) -> NoReturn:
    """In the child: the result, or the text of the exception, goes into the file."""
    status = 0
    try:
        try:
            payload = pickle.dumps((True, func(item)), pickle.HIGHEST_PROTOCOL)
        except Exception:
            payload = pickle.dumps((False, traceback.format_exc()))
        with open(result, "wb", closefd=False) as file:
            file.write(payload)
    except BaseException:
        traceback.print_exc()
        status = 1
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _start(func: Callable[[Any], Any], index: int, item: Any) -> _Worker:
    result = os.memfd_create("result")
    try:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
    except BaseException:
        os.close(result)
        raise
    if pid == 0:
        _work(func, item, result)
    return _Worker(index, pid, result)


def _stop(worker: _Worker) -> None:
    os.kill(worker.pid, signal.SIGKILL)
    os.waitpid(worker.pid, 0)
    os.close(worker.result)


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # a real-time signal
        return f"signal {number}"


def _result_of(worker: _Worker) -> Any:
    _, status = os.waitpid(worker.pid, 0)
    code = os.waitstatus_to_exitcode(status)
    with open(worker.result, "rb") as file:
        file.seek(0)
        if code < 0:
            raise MulticoreException(f"Item {worker.item}: its process was killed by {_name_of(-code)}")
        if code > 0:
            raise MulticoreException(f"Item {worker.item}: its process ended with exit code {code}")
        try:
            is_ok, value = pickle.load(file)
        except Exception as error:
            words = f"Item {worker.item}: its result cannot be loaded: {type(error).__name__}: {error}"
            raise MulticoreException(words) from error
    if not is_ok:
        raise MulticoreException(f"Item {worker.item} failed:\n{value}")
    return value


def _results(func: Callable[[Any], Any], iterable: Iterable[Any], max_parallel: Optional[int]) -> Iterator[Any]:
    """(index, result) of each item, in the order in which they finish."""
    items = enumerate(iterable)
    workers: Dict[int, _Worker] = {}  # by the descriptor of the process
    at_once = max(1, max_parallel or _cpus())
    with selectors.DefaultSelector() as selector:
        try:
            while True:
                while len(workers) < at_once:
                    following = next(items, None)
                    if following is None:
                        break
                    worker = _start(func, *following)
                    try:
                        pidfd = os.pidfd_open(worker.pid)
                    except BaseException:
                        _stop(worker)
                        raise
                    workers[pidfd] = worker
                    selector.register(pidfd, selectors.EVENT_READ)
                if not workers:
                    return
                for key, _ in selector.select():
                    selector.unregister(key.fd)
                    worker = workers.pop(key.fd)
                    os.close(key.fd)
                    yield worker.item, _result_of(worker)
        finally:
            for pidfd, worker in workers.items():
                os.close(pidfd)
                _stop(worker)


def parallel_imap_unordered(
    func: Callable[[T], R], iterable: Iterable[T], max_parallel: Optional[int] = None, dir: Optional[str] = None
) -> Iterator[R]:
    """The results of func for all items, in the order in which they are ready. Each item is worked on in a process of
    its own, max_parallel (default: the cores of the task) at once. func may be any callable; results may have any size.
    `dir` has no effect: results are in memory. Throws MulticoreException if an item fails."""
    for _, result in _results(func, iterable, max_parallel):
        yield result


def parallel_map(func: Callable[[T], R], iterable: Iterable[T], max_parallel: Optional[int] = None, dir: Optional[str] = None) -> List[R]:
    """The same, as a list in the order of the items."""
    return [result for _, result in sorted(_results(func, iterable, max_parallel), key=lambda pair: pair[0])]
