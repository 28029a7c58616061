"""What is behind the names of images."""

import fnmatch
import os
import shutil
import subprocess

# What debian:bookworm-slim has not, of what a machine that builds and tests has.
_NOT_IN_SLIM = (
    "bin/curl",
    "bin/wget",
    "bin/openssl",
    "bin/python3",
    "bin/python3.11",
    "bin/nc",
    "bin/xz",
    "bin/zstd",
    "bin/gdb",
    "local",
    "share/ca-certificates",
    "lib/ssl",
)

# An image is looked up by its whole name, then by its name without registry and repository.
_IMAGES = (
    ("*/no-such*", None),
    ("debian*", "debian"),
    ("ubuntu*", "debian-full"),
    ("python*", "debian-full"),
    ("curlimages/curl*", "debian-full"),
    ("busybox*", "busybox"),
    ("alpine*", "busybox"),
    ("*distroless*", "empty"),
    ("scratch*", "empty"),
    ("simulated*", "simulated"),
)


class Images:
    """What is behind the name of an image: a tree of files. The first pattern that fits counts; see README.md for the kinds."""

    def __init__(self, directory, table=()):
        self._directory = directory
        self._busybox = shutil.which("busybox")
        self._applets = None
        self.table = [*table, *_IMAGES]

    def find(self, image):
        """The tree of an image, or nothing when there is no such image."""
        for pattern, kind in self.table:
            if fnmatch.fnmatch(image, pattern) or fnmatch.fnmatch(image.rpartition("/")[2], pattern):
                return self._tree(kind) if kind else None
        return None

    def _tree(self, kind):
        if isinstance(kind, dict):
            return {**self._tree(kind["root"]), "mounts": kind.get("mounts", {})}
        if kind == "debian":
            return {"kind": "debian", "hidden": self._hidden()}
        if kind == "debian-full":
            return {"kind": "debian"}
        if kind == "busybox":
            if self._busybox is None:
                return None
            if self._applets is None:
                self._applets = subprocess.run([self._busybox, "--list"], capture_output=True, check=True, text=True).stdout.split()
            return {"kind": "busybox", "busybox": self._busybox, "applets": self._applets}
        if kind in ("empty", "simulated"):
            return {"kind": kind}
        return {"kind": "directory", "path": kind}

    def _hidden(self):
        """A directory which, laid over /usr, hides what a slim image has not; nothing where that is not permitted."""
        directory = self._directory / "hidden"
        if not directory.exists():
            made = directory.with_suffix(".new")
            try:
                for name in _NOT_IN_SLIM:
                    (made / name).parent.mkdir(parents=True, exist_ok=True)
                    os.mknod(made / name, 0o20000, os.makedev(0, 0))
                made.rename(directory)
            except OSError:
                return None
        return str(directory)
