"""Starts the processes of containers: a small process of its own, so that starting one costs one fork.

It is a program: zygote.py FD, where FD is a socket. Each message on it is the path of a description of a container (JSON), with two
file descriptors, for standard output and error. Answers are JSON: {"id", "pid"} when it runs, {"id", "error", "missing"} when it could
not be started, and {"id", "exit"} with the wait status when it ended. When the socket is closed every container is killed."""

import ctypes
import errno
import json
import os
import select
import shutil
import signal
import socket
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYS_CLONE = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
NEW_MOUNTS, NEW_HOST_NAME, NEW_IPC, NEW_USERS, NEW_PIDS = 0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000
MS_READ_ONLY, MS_NO_SUID, MS_NO_DEV, MS_REMOUNT, MS_BIND, MS_RECURSIVE, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
_PR_SET_PDEATHSIG = 1
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# What a container gets of the host's /etc, to look up users and to start programs.
_SETTINGS = (
    "passwd",
    "group",
    "nsswitch.conf",
    "ld.so.cache",
    "ld.so.conf",
    "os-release",
    "debian_version",
    "resolv.conf",
    "services",
    "protocols",
    "localtime",
)


def clone(flags):
    """Like fork, into new namespaces."""
    pid = _LIBC.syscall(_SYS_CLONE, flags | signal.SIGCHLD, 0, 0, 0, 0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "clone")
    return pid


def mount(source, target, kind="", flags=0, data=""):
    if _LIBC.mount(source.encode(), target.encode(), kind.encode(), flags, data.encode()):
        raise OSError(ctypes.get_errno(), f"mount: {os.strerror(ctypes.get_errno())}", target)


def bind(source, target, read_only=False):
    """Shows a file or a directory at another place."""
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.close(os.open(target, os.O_CREAT | os.O_WRONLY, 0o644))
    mount(source, target, flags=MS_BIND | MS_RECURSIVE)
    if read_only:
        locked = os.statvfs(source).f_flag & (MS_NO_SUID | MS_NO_DEV | 8)
        mount("", target, flags=MS_REMOUNT | MS_BIND | MS_READ_ONLY | locked)


def _system(root, tree):
    """The host's programs and libraries, without those that a slim image does not have."""
    os.makedirs(f"{root}/usr", exist_ok=True)
    hidden = tree.get("hidden")
    try:
        if not hidden:
            raise OSError
        mount("overlay", f"{root}/usr", "overlay", MS_READ_ONLY, f"lowerdir={hidden}:/usr")
    except OSError:
        bind("/usr", f"{root}/usr", read_only=True)
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
        elif os.path.isdir(f"/{name}"):
            bind(f"/{name}", f"{root}/{name}", read_only=True)
    for name in _SETTINGS:
        if os.path.exists(f"/etc/{name}"):
            shutil.copy(f"/etc/{name}", f"{root}/etc/{name}")
    if os.path.isdir("/etc/alternatives"):
        bind("/etc/alternatives", f"{root}/etc/alternatives", read_only=True)
    if not hidden and os.path.isdir("/etc/ssl/certs"):
        bind("/etc/ssl/certs", f"{root}/etc/ssl/certs", read_only=True)


def build_root(box):
    """The tree that the container sees, on a file system in memory."""
    root = box["rootDirectory"]
    mount("none", "/", flags=MS_RECURSIVE | MS_PRIVATE)
    mount("tmpfs", root, "tmpfs", MS_NO_SUID, "mode=755")
    for name in ("etc", "proc", "dev", "tmp", "run", "var", "root"):
        os.makedirs(f"{root}/{name}")
    os.chmod(f"{root}/tmp", 0o1777)
    os.makedirs(f"{root}/var/tmp")
    os.symlink("/run", f"{root}/var/run")
    tree = box["tree"]
    if tree["kind"] == "debian":
        _system(root, tree)
    elif tree["kind"] == "busybox":
        os.makedirs(f"{root}/bin")
        bind(tree["busybox"], f"{root}/bin/busybox", read_only=True)
        for applet in tree["applets"]:
            if applet != "busybox":
                os.symlink("busybox", f"{root}/bin/{applet}")
    elif tree["kind"] == "directory":
        for name in os.listdir(tree["path"]):
            source, target = os.path.join(tree["path"], name), f"{root}/{name}"
            if os.path.islink(source):
                if not os.path.lexists(target):
                    os.symlink(os.readlink(source), target)
            elif name not in ("proc", "dev", "tmp", "run"):
                bind(source, target, read_only=name != "etc")
    for name, text in box["files"].items():
        with open(f"{root}{name}", "w", encoding="utf-8") as file:
            file.write(text)
    mount("tmpfs", f"{root}/dev", "tmpfs", MS_NO_SUID, "mode=755")
    for name in _DEVICES:
        bind(f"/dev/{name}", f"{root}/dev/{name}")
    os.makedirs(f"{root}/dev/shm")
    os.chmod(f"{root}/dev/shm", 0o1777)
    for name, target in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):
        os.symlink(target, f"{root}/dev/{name}")
    for entry in box["mounts"]:
        # /var/run is a link to /run: the place is found inside of the new root, not in the host's.
        path = entry["path"].replace("/var/run/", "/run/", 1) if entry["path"].startswith("/var/run/") else entry["path"]
        bind(entry["source"], root + path, entry.get("readOnly", False))
    mount("proc", f"{root}/proc", "proc", MS_NO_SUID | MS_NO_DEV)


def _executable(argv, environment):
    """The file to execute; refuses as runc does."""
    name = argv[0]
    if "/" in name:
        try:
            mode = os.stat(name).st_mode
        except OSError as error:
            raise OSError(error.errno, f'exec: "{name}": stat {name}: {os.strerror(error.errno).lower()}') from None
        if os.path.isdir(name):
            raise OSError(errno.EISDIR, f'exec: "{name}": is a directory')
        if not mode & 0o111:
            raise OSError(errno.EACCES, f'exec: "{name}": permission denied')
        return name
    for directory in environment.get("PATH", "").split(":"):
        path = os.path.join(directory, name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return path
    raise OSError(errno.ENOENT, f'exec: "{name}": executable file not found in $PATH')


def _become(box, stdout, stderr, report):
    """In the new process: builds what it sees, and executes the command."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    os.setsid()
    for path in box["controlGroup"]:
        with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as file:
            file.write("0")
    if box["newUsers"] is not None:
        outer_user, outer_group = box["newUsers"]
        for name, text in (("setgroups", "deny"), ("uid_map", f"0 {outer_user} 1"), ("gid_map", f"0 {outer_group} 1")):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                file.write(text)
    if box["isolated"]:
        name = box["hostName"].encode()
        _LIBC.sethostname(name, len(name))
        build_root(box)
        os.chroot(box["rootDirectory"])
        if box["readOnlyRoot"]:
            mount("", "/", flags=MS_REMOUNT | MS_BIND | MS_READ_ONLY)
        if not os.path.isdir(box["workingDirectory"]):
            os.makedirs(box["workingDirectory"])
    os.chdir(box["workingDirectory"])
    os.umask(0o022)
    # A user namespace with one user has no other user to switch to.
    if box["newUsers"] is None and os.getuid() == 0:
        if box["group"] is not None:
            os.setgroups([])
            os.setgid(box["group"])
        if box["user"] is not None:
            os.setuid(box["user"])
    path = _executable(box["command"], box["environment"])
    for number in range(1, signal.NSIG):
        if number not in (signal.SIGKILL, signal.SIGSTOP, 32, 33):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    null = os.open("/dev/null", os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(stdout, 1)
    os.dup2(stderr, 2)
    # From here on the container has started: what fails now is the program's failure, and seen in its log.
    os.write(report, b"{}")
    os.closerange(3, 256)
    try:
        os.execve(path, box["command"], box["environment"])
    except OSError as error:
        os.write(2, f"exec {path}: {os.strerror(error.errno).lower()}\n".encode())
        os._exit(255)


def start(path, stdout, stderr):
    """The process id of a new container, or why there is none."""
    with open(path, encoding="utf-8") as file:
        box = json.load(file)
    read, write = os.pipe()
    flags = 0
    if box["isolated"]:
        flags = NEW_MOUNTS | NEW_HOST_NAME | NEW_IPC | NEW_PIDS | (NEW_USERS if box["newUsers"] is not None else 0)
    pid = clone(flags)
    if pid == 0:
        try:
            _become(box, stdout, stderr, write)
        except OSError as error:
            text = error.strerror if error.filename is None else f"{error.strerror}: {error.filename}"
            os.write(write, json.dumps({"error": text}).encode())
        except BaseException as error:  # whatever it is: this is a copy of the zygote, which must not go on
            os.write(write, json.dumps({"error": repr(error)}).encode())
        os._exit(1)
    os.close(write)
    answer = b""
    while b"}" not in answer:
        part = os.read(read, 4096)
        if not part:
            break
        answer += part
    os.close(read)
    answer = json.loads(answer or b'{"error": "killed while it started"}')
    if "error" in answer:
        os.waitpid(pid, 0)
        return {"id": box["id"], "error": answer["error"]}
    return {"id": box["id"], "pid": pid}


def main():
    channel = socket.socket(fileno=int(sys.argv[1]))
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    running = {}

    def reap():
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            if pid in running:
                channel.send(json.dumps({"id": running.pop(pid), "exit": status}).encode())

    while True:
        ready, _, _ = select.select([channel, wake_read], [], [])
        if wake_read in ready:
            os.read(wake_read, 4096)
            reap()
        if channel in ready:
            message, descriptors, _, _ = socket.recv_fds(channel, 65536, 2)
            if not message:
                break
            answer = start(message.decode(), *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            if "pid" in answer:
                running[answer["pid"]] = answer["id"]
            channel.send(json.dumps(answer).encode())
            reap()
    for pid in running:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


if __name__ == "__main__":
    main()
