"""Runs containers: as processes with namespaces and roots of their own where that is permitted, or pretended, for load tests."""

import asyncio
import itertools
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid

_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GROUP_PREFIX = "metaflow-peer-"


class StartError(Exception):
    """A container that could not be started."""


class Exit:
    """How a container ended."""

    def __init__(self, code, out_of_memory=False, killed=False):
        self.code = code
        self.out_of_memory = out_of_memory
        self.killed = killed


class Permissions:
    """What this machine lets us do."""

    def __init__(self, isolated=True):
        self.root = os.geteuid() == 0
        self.isolated = isolated and self._can("--mount", "--pid", "--fork", "--uts", "--ipc", *(() if self.root else ("--user", "--map-root-user")))
        self.memory = self._memory_controller()

    @staticmethod
    def _can(*arguments):
        return subprocess.run(["unshare", *arguments, "true"], capture_output=True, check=False).returncode == 0

    @staticmethod
    def _memory_controller():
        """The directory under which control groups for memory can be made, and the version of their interface."""
        name = f"{_GROUP_PREFIX}{os.getpid()}"
        for base, version in (("/sys/fs/cgroup", 2), ("/sys/fs/cgroup/unified", 2), ("/sys/fs/cgroup/memory", 1)):
            path = pathlib.Path(base, name)
            controllers = pathlib.Path(base, "cgroup.controllers")
            if version == 2 and not (controllers.exists() and "memory" in controllers.read_text().split()):
                continue
            try:
                _sweep(pathlib.Path(base))
                path.mkdir()
                if version == 2:
                    pathlib.Path(base, "cgroup.subtree_control").write_text("+memory")
                    (path / "cgroup.subtree_control").write_text("+memory")
                elif not (path / "memory.limit_in_bytes").exists():
                    raise OSError
                return path, version
            except OSError:
                if path.exists():
                    path.rmdir()
        return None

    def described(self):
        return {"root": self.root, "isolated": self.isolated, "memory": f"cgroup v{self.memory[1]}" if self.memory else None}

    def close(self):
        if self.memory:
            for group in (*self.memory[0].glob("*/"), self.memory[0]):
                try:
                    group.rmdir()
                except OSError:
                    pass  # the next server sweeps it


def _sweep(base):
    """Removes the groups that a server left which was killed."""
    for path in base.glob(f"{_GROUP_PREFIX}*"):
        if not pathlib.Path("/proc", path.name.removeprefix(_GROUP_PREFIX)).exists():
            for group in (*path.glob("*/"), path):
                try:
                    group.rmdir()
                except OSError:
                    pass  # another process was faster, or a container still runs there


class Process:
    """A container that is really executed."""

    def __init__(self, runtime, number, pid, directory, group, log):
        self.id = uuid.uuid4().hex * 2
        self._runtime = runtime
        self.number = number
        self.pid = pid
        self._directory = directory
        self._group = group
        self._log = log
        self.ended = asyncio.get_running_loop().create_future()
        self.drained = []
        self._killed = False
        self._wanted = []

    def begins(self, pid):
        """What it got while it was started, it gets now."""
        self.pid = pid
        for number in self._wanted:
            self.kill(number)

    def kill(self, number):
        self._killed = self._killed or number == signal.SIGKILL
        if self.pid is None:
            self._wanted.append(number)
        elif not self.ended.done():
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                pass

    async def wait(self):
        """Waits until everything of it ended and what it wrote is in its log."""
        status = await asyncio.shield(self.ended)
        if self.drained:
            # A process without a namespace of its own may leave others behind that hold the pipe.
            await asyncio.wait(self.drained, timeout=2)
        self._log.close()
        code = os.waitstatus_to_exitcode(status)
        out_of_memory = self._runtime.kills_for_memory(self._group) > 0
        self._runtime.forget(self)
        return Exit(128 - code if code < 0 else code, out_of_memory, self._killed)

    def termination_log(self):
        path = self._directory / "termination-log"
        return path.read_bytes()[:4096].decode("utf-8", "replace") if path.exists() else ""

    def clean(self):
        if self._group:
            for _ in range(50):
                try:
                    self._group.rmdir()
                    break
                except OSError:
                    time.sleep(0.01)
        shutil.rmtree(self._directory, ignore_errors=True)


class Simulated:
    """A container that only pretends: it ends after a while."""

    def __init__(self, seconds, code, log):
        self.id = uuid.uuid4().hex * 2
        self.pid = None
        self._log = log
        self.ended = asyncio.get_running_loop().create_future()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end, code, False)

    def _end(self, code, killed):
        if not self.ended.done():
            self.ended.set_result((code, killed))

    def kill(self, number):
        self._timer.cancel()
        self._end(128 + number, number == signal.SIGKILL)

    async def wait(self):
        code, killed = await asyncio.shield(self.ended)
        if self._log is not None:
            self._log.close()
        return Exit(code, False, killed)

    def termination_log(self):
        return ""

    def clean(self):
        pass


class Runtime:
    """Starts containers."""

    def __init__(self, directory, permissions, images):
        self._directory = directory / "containers"
        self._directory.mkdir(parents=True, exist_ok=True)
        self.permissions = permissions
        self.images = images
        self.simulation = {"seconds": 1.0, "exitCode": 0}
        self._numbers = itertools.count(1)
        self._waiting = {}
        self._running = {}
        self._channel = None
        self._zygote = None

    def _connect(self):
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        path = pathlib.Path(__file__).with_name("zygote.py")
        self._zygote = subprocess.Popen(
            [sys.executable, "-I", "-S", str(path), str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        theirs.close()
        ours.setblocking(False)
        self._channel = ours
        asyncio.get_running_loop().add_reader(ours, self._answer)

    def _answer(self):
        try:
            message = self._channel.recv(65536)
        except BlockingIOError:
            return
        if not message:
            asyncio.get_running_loop().remove_reader(self._channel)
            return
        answer = json.loads(message)
        if "exit" in answer:
            container = self._running.get(answer["id"])
            if container is not None and not container.ended.done():
                container.ended.set_result(answer["exit"])
        else:
            self._waiting.pop(answer["id"]).set_result(answer)

    def simulate(self, log):
        return Simulated(self.simulation["seconds"], self.simulation["exitCode"], log)

    async def start(self, tree, container, log):
        """Starts a container from its resolved description: command, environment, mounts, user, bytes of memory."""
        if self._channel is None:
            self._connect()
        number = next(self._numbers)
        directory = self._directory / str(number)
        (directory / "root").mkdir(parents=True)
        os.chmod(directory, 0o700)
        (directory / "termination-log").touch()
        group = self._make_group(number, container.get("memory"))
        box = self._describe(number, tree, container, directory, group)
        description = directory / "container.json"
        with open(os.open(description, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="utf-8") as file:
            json.dump(box, file)
        pipes = [os.pipe(), os.pipe()]
        answered = self._waiting[number] = asyncio.get_running_loop().create_future()
        socket.send_fds(self._channel, [str(description).encode()], [pipes[0][1], pipes[1][1]])
        for _, write in pipes:
            os.close(write)
        process = Process(self, number, None, directory, group, log)
        self._running[number] = process
        process.drained = [asyncio.ensure_future(self._drain(read, stream, log)) for (read, _), stream in zip(pipes, ("stdout", "stderr"))]
        answer = await answered
        description.unlink()
        if "error" in answer:
            await asyncio.wait(process.drained, timeout=2)
            log.close()
            self.forget(process)
            process.clean()
            raise StartError(answer["error"])
        process.begins(answer["pid"])
        return process

    def _describe(self, number, tree, container, directory, group):
        permissions = self.permissions
        mounts = [{"source": source, "path": path, "readOnly": True} for path, source in tree.get("mounts", {}).items()] + container["mounts"]
        if "terminationMessagePath" in container:
            mounts.append({"source": str(directory / "termination-log"), "path": container["terminationMessagePath"]})
        command, environment, working = container["command"], {"PATH": _PATH, **container["environment"]}, container.get("workingDirectory") or "/"
        if group is not None:
            inside = "/sys/fs/cgroup" if permissions.memory[1] == 2 else "/sys/fs/cgroup/memory"
            mounts.append({"source": str(group), "path": inside, "readOnly": True})
        if not permissions.isolated:
            command, environment, working = _map_paths(mounts, command, environment, working, directory)
        return {
            "id": number,
            "isolated": permissions.isolated,
            "newUsers": None if permissions.root or not permissions.isolated else [os.getuid(), os.getgid()],
            "tree": tree,
            "rootDirectory": str(directory / "root"),
            "readOnlyRoot": container.get("readOnlyRoot", False),
            "files": {
                "/etc/hostname": container["hostName"] + "\n",
                "/etc/hosts": f"127.0.0.1 localhost {container['hostName']}\n",
                **({} if tree["kind"] == "debian" else {"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\n"}),
            },
            "mounts": mounts,
            "hostName": container["hostName"],
            "controlGroup": [str(group)] if group else [],
            "command": command,
            "environment": environment,
            "workingDirectory": working,
            "user": container.get("user"),
            "group": container.get("group"),
        }

    def _make_group(self, number, memory):
        """A control group with a limit for memory."""
        if memory is None or self.permissions.memory is None:
            return None
        base, version = self.permissions.memory
        group = base / str(number)
        group.mkdir()
        limit = str(int(memory))
        for name in ("memory.max",) if version == 2 else ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes"):
            if (group / name).exists():
                (group / name).write_text(limit)
        if version == 2 and (group / "memory.swap.max").exists():
            (group / "memory.swap.max").write_text("0")
        return group

    def kills_for_memory(self, group):
        if group is None:
            return 0
        path = group / ("memory.events" if self.permissions.memory[1] == 2 else "memory.oom_control")
        for line in path.read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    @staticmethod
    async def _drain(descriptor, stream, log):
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", buffering=0))
        try:
            while data := await reader.read(65536):
                log.write(stream, data)
        finally:
            transport.close()

    def forget(self, process):
        self._running.pop(process.number, None)

    async def close(self):
        """Kills everything that runs."""
        for process in list(self._running.values()):
            process.kill(signal.SIGKILL)
        if self._zygote is not None:
            asyncio.get_running_loop().remove_reader(self._channel)
            self._channel.close()
            self._zygote.wait()
        for process in list(self._running.values()):
            process.clean()
        self.permissions.close()


def _map_paths(mounts, command, environment, working, directory):
    """Without namespaces: the places of volumes are replaced by where they really are."""
    table = sorted(((mount["path"], mount["source"]) for mount in mounts), key=lambda entry: -len(entry[0]))

    def mapped(text):
        for path, source in table:
            if text == path or text.startswith(path + "/"):
                return source + text[len(path) :]
            text = text.replace(f" {path}/", f" {source}/").replace(f"={path}/", f"={source}/")
        return text

    working = mapped(working)
    if not os.path.isdir(working):
        working = str(directory)
    return [mapped(part) for part in command], {key: mapped(value) for key, value in environment.items()}, working
