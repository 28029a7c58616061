"""A root directory with busybox, an interpreter of Python, and the libraries that these need, without others: as small as images are in practice."""

import io
import os
import pathlib
import re
import subprocess
import sys
import sysconfig
import tarfile

from . import busybox

_LEFT_OUT = {"__pycache__", "test", "tests", "idlelib", "ensurepip", "tkinter", "turtledemo", "lib2to3", "pydoc_data", "site-packages", "dist-packages"}


def _is_left_out(path):
    return any(name in _LEFT_OUT or name.startswith(("config-", "_tkinter")) for name in path.split("/"))


def _libraries(files):
    """The paths of the shared libraries that these need, with the loader."""
    shown = subprocess.run(["ldd", *files], capture_output=True, text=True).stdout
    return {found for found in re.findall(r"(?:=> |^\s+)(/\S+) \(0x", shown, re.MULTILINE)}


def archive(path, packages=()):
    """As a tar archive. `packages`: names of packages of this interpreter, which are in it too, without what they import."""
    interpreter = os.path.realpath(sys.executable)
    standard = pathlib.Path(sysconfig.get_path("stdlib", vars={"installed_base": sys.base_prefix, "base": sys.base_prefix}))
    site = pathlib.Path(sysconfig.get_path("purelib"))
    natives = [interpreter, *(path for path in standard.glob("lib-dynload/*.so") if not _is_left_out(path.name))]
    content = io.BytesIO(busybox.archive(path))
    with tarfile.open(fileobj=content, mode="a") as tar:
        tar.add(interpreter, interpreter[1:])
        for name in ("python3", "python"):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, interpreter
            tar.addfile(link)
        tar.add(standard, str(standard)[1:], filter=lambda entry: None if _is_left_out(entry.name) else entry)
        for package in packages:
            for part in (site / package, site / f"{package}.libs"):
                if part.exists():
                    natives += part.rglob("*.so")
                    tar.add(part, f"packages/{part.name}", filter=lambda entry: None if _is_left_out(entry.name) else entry)
        for library in sorted(_libraries(natives)):
            if not library.startswith(str(site)):
                tar.add(os.path.realpath(library), library[1:])
    return content.getvalue()
