"""Code packages."""

import json
import os
import tarfile
from io import BytesIO
from tempfile import TemporaryDirectory
from typing import Any, Dict, Optional

from ..exception import MetaflowInternalError
from .reader import Reader


class MetaflowCode:
    """The code package of a task that was executed on another machine."""

    def __init__(self, reader: Reader, flow: str, description: str) -> None:
        facts = json.loads(description)
        self._path: str = facts["location"]
        where = f":root:{self._path.split(f'/{flow}/data/')[0]}"
        with reader.value(flow, facts["sha"], facts["ds_type"], where, is_file=True) as content:
            self._file = BytesIO(content.view.tobytes())
        with tarfile.open(fileobj=BytesIO(self._file.getvalue())) as archive:
            names = archive.getnames()
            self._is_new = ".mf_install" in names or ".mf_meta/INFO" in names
            self._info: Dict[str, Any] = json.loads(self._member(archive, ".mf_meta/INFO" if self._is_new else "INFO"))
            self._flowspec = self._member(archive, self._info["script"])
        self._tarball: Optional[tarfile.TarFile] = None

    @staticmethod
    def _member(archive: tarfile.TarFile, name: str) -> bytes:
        try:
            file = archive.extractfile(name)
        except KeyError:
            file = None
        if file is None:
            raise MetaflowInternalError("Code package metadata is invalid.")
        return file.read()

    @property
    def path(self) -> str:
        """Where the package is: a URL or a path."""
        return self._path

    @property
    def info(self) -> Dict[str, Any]:
        """What the package says about itself."""
        return self._info

    @property
    def flowspec(self) -> bytes:
        """The source file of the flow; of a flow in C++ its graph."""
        return self._flowspec

    @property
    def script_name(self) -> str:
        """The name of that file."""
        return str(self._info["script"])

    @property
    def tarball(self) -> tarfile.TarFile:
        """The whole package."""
        if self._tarball is None:
            self._tarball = tarfile.open(fileobj=self._file)  # noqa: SIM115
        return self._tarball

    def extract(self) -> "TemporaryDirectory[str]":
        """Extracts the user's files, without Metaflow's, into a temporary directory, which exists as long as the result."""
        directory = TemporaryDirectory()
        others = (".mf_meta", ".mf_code", ".mf_install") if self._is_new else ("metaflow", "metaflow_extensions", "INFO", "CONFIG")
        with tarfile.open(fileobj=BytesIO(self._file.getvalue())) as archive:
            for member in archive.getmembers():
                if member.isfile() and member.name.split("/")[0] not in others:
                    path = os.path.normpath(os.path.join(directory.name, member.name))
                    if not path.startswith(directory.name + os.sep):  # who wrote the package is not known
                        raise MetaflowInternalError(f"The code package has a file outside of its directory: {member.name}")
                    os.makedirs(os.path.dirname(path), exist_ok=True)
                    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, member.mode & 0o777), "wb") as file:
                        file.write(self._member(archive, member.name))
        return directory

    def __str__(self) -> str:
        return f"<MetaflowCode: {self.script_name}>"
