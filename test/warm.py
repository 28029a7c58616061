"""Starts programs in Python that need no time for their imports: each is a fork of a process that has made them.

A server of test/peers, and a program that reads a run with the official client, need about a second of processor time to import
packages, and a twentieth of that for the rest.

    process = warm.start(["-m", "peers.kubernetes", "--state", "x"], stdin=..., stdout=..., stderr=...)   # descriptors

The process that forks is started by the first call, once per process of the tests, and ends with it."""

import atexit
import json
import os
import pathlib
import random
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import traceback

_TEST = pathlib.Path(__file__).resolve().parent
# What the peers and the official client import. The latter itself reads its settings from the environment when it is imported.
_MODULES = ["asyncio", "boto3", "botocore.session", "requests", "yaml", "aiohttp.web", "kubernetes_validate", "importlib.metadata", "tarfile"]
_MODULES += ["multiprocessing.pool", "concurrent.futures", "ctypes", "unittest.mock", "http.server", "xml.etree.ElementTree", "zipfile", "pdb"]
_MODULES += ["peers.kubernetes.__main__", "peers.batch.__main__"]
_server = None


class Program:
    """A running program: what the tests use of subprocess.Popen."""

    def __init__(self, arguments, answers):
        self.args, self._answers, self.returncode = arguments, answers, None
        self.pid = self._answer()
        assert self.pid is not None, "the process that forks has ended"

    def _answer(self):
        data = self._answers.recv(4)
        return int.from_bytes(data, "little", signed=True) if data else None

    def wait(self, timeout=None):
        if self.returncode is None:
            self._answers.settimeout(timeout)
            try:
                status = self._answer()
            except TimeoutError:
                raise subprocess.TimeoutExpired(self.args, timeout) from None
            self.returncode = -signal.SIGKILL if status is None else status
            self._answers.close()
        return self.returncode

    def poll(self):
        try:
            return self.wait(timeout=0.000001)
        except subprocess.TimeoutExpired:
            return None

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self):
        self.send_signal(signal.SIGTERM)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def start(arguments, *, stdin, stdout, stderr, env=None, cwd=None):
    """`python ARGUMENT...`: -m MODULE, -c PROGRAM or a path, with the arguments of the program."""
    global _server
    if _server is None:
        _server, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        python_path = os.pathsep.join(filter(None, [str(_TEST), os.environ.get("PYTHONPATH")]))
        subprocess.Popen(
            [sys.executable, "-B", __file__, str(other.fileno())], pass_fds=[other.fileno()], stdin=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": python_path}
        )
        other.close()
    answers, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    order = {"arguments": [*map(str, arguments)], "env": dict(os.environ if env is None else env), "cwd": str(cwd or os.getcwd())}
    with other:
        # In a file: it may be longer than a packet.
        text = os.memfd_create("order")
        try:
            os.write(text, json.dumps(order).encode())
            socket.send_fds(_server, [b"!"], [text, other.fileno(), stdin, stdout, stderr])
        finally:
            os.close(text)
    return Program(order["arguments"], answers)


def run(arguments, timeout=120, **more):
    """As subprocess.run, with captured output."""
    outputs = [os.memfd_create("output"), os.memfd_create("output")]
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        process = start(arguments, stdin=nothing, stdout=outputs[0], stderr=outputs[1], **more)
        try:
            status = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return subprocess.CompletedProcess(process.args, status, *(os.pread(output, 1 << 30, 0) for output in outputs))
    finally:
        for descriptor in (nothing, *outputs):
            os.close(descriptor)


# The process that forks.


def _execute(order, descriptors):
    """The program, in its own process."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
    os.closerange(3, max(int(name) for name in os.listdir("/proc/self/fd")) + 1)
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.stdin = open(0, encoding="utf-8", closefd=False)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = open(2, "w", encoding="utf-8", buffering=1, closefd=False)
    random.seed()
    option, *arguments = [argument for argument in order["arguments"] if argument != "-B"]
    path = [entry for entry in os.environ.get("PYTHONPATH", "").split(os.pathsep) if entry]
    sys.path[:] = [os.getcwd() if option in ("-m", "-c") else os.path.dirname(os.path.abspath(option)), *path, *_PATH]
    if option == "-m":
        sys.argv = arguments
        sys.modules.pop(f"{arguments[0]}.__main__", None)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.argv = ["-c", *arguments[1:]]
        exec(compile(arguments[0], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = [option, *arguments]
        runpy.run_path(option, run_name="__main__")


def _run(order, descriptors):
    status = 1
    try:
        _execute(order, descriptors)
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _serve(orders):
    running = {}  # the sockets for the status, by process
    wake, ended = socket.socketpair()
    wake.setblocking(False)
    ended.setblocking(False)
    signal.set_wakeup_fd(wake.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    selector = selectors.DefaultSelector()
    selector.register(orders, selectors.EVENT_READ)
    selector.register(ended, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is ended:
                ended.recv(4096)
                while running:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                    if pid == 0:
                        break
                    with running.pop(pid) as answers:
                        try:
                            answers.send(os.waitstatus_to_exitcode(status).to_bytes(4, "little", signed=True))
                        except OSError:
                            pass  # the test does not wait for it
                continue
            data, descriptors, _, _ = socket.recv_fds(orders, 1, 5)
            if not data:
                return
            order = json.loads(os.pread(descriptors[0], 1 << 24, 0))
            pid = os.fork()
            if pid == 0:
                _run(order, descriptors[2:])
            answers = socket.socket(fileno=descriptors[1])
            answers.send(pid.to_bytes(4, "little", signed=True))
            running[pid] = answers
            for descriptor in (descriptors[0], *descriptors[2:]):
                os.close(descriptor)


if __name__ == "__main__":
    for name in _MODULES:
        try:
            __import__(name)
        except ImportError:
            pass  # the program itself says what is missing
    _PATH = [entry for entry in sys.path if entry not in os.environ["PYTHONPATH"].split(os.pathsep) and entry != str(_TEST)]
    _serve(socket.socket(fileno=int(sys.argv[1])))
