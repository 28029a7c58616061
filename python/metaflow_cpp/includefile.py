"""IncludeFile: the content of a file as a parameter."""

import gzip
import io
import os
import zlib
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Union

from .exception import MetaflowException, UsageError
from .parameters import Option, Parameter, ParameterContext, called

CONTENT = "_included_"  # before the name of an IncludeFile: its content, an artifact that readers do not show


def decoded(data: bytes, encoding: Optional[str]) -> str:
    """A text, as Python reads files: its lines end with "\\n". Throws UnicodeDecodeError, LookupError."""
    return io.TextIOWrapper(io.BytesIO(data), encoding=encoding or "utf-8").read()


def packed(data: bytes) -> bytes:
    """The same bytes for the same file. The name in the header tells `gc` that this is a value (blob_collector.cc)."""
    buffer = io.BytesIO()
    with gzip.GzipFile("metaflow_cpp included file", "wb", 3, buffer, mtime=0) as file:
        file.write(data)
    return buffer.getvalue()


class IncludedFile:
    """What runs of the reference have as the artifact: where the content is."""

    def __init__(self, descriptor: Optional[Dict[str, Any]] = None) -> None:
        self._descriptor = descriptor or {}

    @property
    def descriptor(self) -> Dict[str, Any]:
        return self._descriptor

    def unpacked(self, data: bytes) -> Union[str, bytes]:
        """The content, from the file at the address."""
        is_packed = self._descriptor.get("type") == "uploader-v1" or self._descriptor.get("sub-type") == "uploaded"
        return self.decoded(gzip.decompress(data) if is_packed else data)  # else no flow has stored it

    def decoded(self, data: bytes) -> Union[str, bytes]:
        """The content, from the bytes of the file."""
        return decoded(data, self._descriptor.get("encoding")) if self._descriptor.get("is_text", True) else data

    def content(self, name: str, data: Optional[memoryview] = None) -> Union[str, bytes]:
        """The content. `data`: the bytes of the file, if the run has them. Throws MetaflowException."""
        url = str(self._descriptor.get("url", ""))
        try:
            if data is not None or self._descriptor.get("size") == 0:
                return self.decoded(bytes(data or b""))
            return self.unpacked(self._read(url))
        except MetaflowException as error:
            raise MetaflowException(f"The file of parameter '{name}' cannot be read: {error}") from error
        except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
            words = getattr(error, "strerror", None) or error
            raise MetaflowException(f"The file of parameter '{name}' cannot be read: {url}: {words}") from error

    @staticmethod
    def _read(url: str) -> bytes:
        if url.startswith("s3://"):
            from .s3 import S3

            with S3() as s3:
                return s3.get(url).blob or b""
        if not url.startswith("local://"):
            raise MetaflowException(f"only the reference knows addresses like {url}. Start a new run")
        with open(url[len("local://") :], "rb") as file:
            return file.read()


class FileContent(NamedTuple):
    """A file for a new run."""

    packed: bytes
    facts: Dict[str, Any]  # for the descriptor


class FileOption(NamedTuple):
    """An IncludeFile whose fields have their values."""

    option: Option
    is_text: bool
    encoding: str

    def read(self, path: str) -> FileContent:
        """Throws UsageError, also if the file is not the text that it has to be."""
        place = os.path.expanduser(path)
        if "://" in place:
            words = "it is not a local file. Download it first"
        else:
            try:
                with open(place, "rb") as file:
                    data = file.read()
                if self.is_text:
                    decoded(data, self.encoding)
                facts = {"is_text": self.is_text, "encoding": self.encoding, "size": len(data)}
                return FileContent(packed(data), facts)
            except OSError as error:
                words = error.strerror or str(error)
            except (UnicodeDecodeError, LookupError) as error:
                words = f"{error}. Use is_text=False for a file that is not text"
        raise UsageError(f"Invalid value for '--{self.option.name}': IncludeFile: could not open file '{path}' for reading: {words}")

    def default_path(self, context: ParameterContext) -> Optional[str]:
        default = self.option.default
        path = called(self.option.name, default, str, context) if callable(default) else default
        return None if path is None else str(path)


class IncludeFile(Parameter):
    """A parameter that is a path; the artifact is the content of the file.

    is_text: the artifact is a str, else bytes. encoding: of the text. parser: a function, or its name
    "package.module.function", that makes of the content what steps see. The others are those of Parameter.
    """

    def __init__(
        self,
        name: str,
        required: Any = None,
        is_text: Any = None,
        encoding: Any = None,
        help: Any = None,
        parser: Union[None, str, Callable[[Any], Any]] = None,
        default: Any = None,
        show_default: Any = None,
        **more: Any,
    ) -> None:
        super().__init__(name, default=default, help=help, required=required, show_default=show_default, **more)
        self._fields.update({"is_text": is_text, "encoding": encoding})
        self._parser = parser

    def _file_option(self, configs: Mapping[str, Any]) -> FileOption:
        """Throws MetaflowException."""
        fields = self._values_of_fields(configs)
        default = fields.get("default")
        option = Option(
            self.name, default, str, str(fields.get("help", "")), bool(fields.get("required")) and default is None,
            fields.get("show_default", True) is not False, None, False,
        )  # fmt: skip
        return FileOption(option, fields.get("is_text", True) is not False, fields.get("encoding", "utf-8"))

    def _option(self, configs: Mapping[str, Any]) -> Option:
        return self._file_option(configs).option

    def _load(self, value: Any) -> Any:
        if isinstance(value, IncludedFile):
            value = value.content(self.name)
        if value is None or self._parser is None:
            return value
        from .config import call_parser

        try:
            return call_parser(self._parser, value, True)
        except Exception as error:
            raise MetaflowException(f"Failed to parse content in parameter '{self.name}' using parser: {error}") from error
