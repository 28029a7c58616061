"""What the methods of S3 take and return."""

import io
import json
import os
from typing import Any, Dict, NamedTuple, Optional, Union

PutValue = Union[str, bytes, bytearray, memoryview, io.RawIOBase, io.BufferedIOBase]


class S3GetObject(NamedTuple):
    """A part of an object: `length` bytes from `offset` on. No length: up to the end. A negative length: so many bytes at
    the end, whatever the offset."""

    key: str
    offset: Optional[int] = None
    length: Optional[int] = None


class S3PutObject(NamedTuple):
    """An object to write: `value` for put_many, `path` of a local file for put_files."""

    key: str
    value: Optional[PutValue] = None
    path: Optional[str] = None
    content_type: Optional[str] = None
    encryption: Optional[str] = None
    metadata: Optional[Dict[str, Any]] = None


class RangeInfo(NamedTuple):
    """The bytes that were read of an object: `request_length` from `request_offset` on, out of `total_size`."""

    total_size: int
    request_offset: int = 0
    request_length: int = -1


class Info(NamedTuple):
    """What S3 records about an object."""

    size: int  # bytes of the whole object
    content_type: Optional[str]
    encryption: Optional[str]
    metadata: Optional[Dict[str, Any]]
    last_modified: int  # seconds since 1970


class S3Object:
    """An object or a prefix in S3, with a local copy if it was downloaded. Methods of S3 return it."""

    def __init__(
        self,
        prefix: Optional[str],
        url: str,
        path: Optional[str] = None,
        size: Optional[int] = None,
        info: Optional[Info] = None,
        range_info: Optional[RangeInfo] = None,
    ) -> None:
        self._url, self._path, self._size, self._info, self._range_info = url, path, size, info, range_info
        if prefix is None or prefix == url:
            self._prefix, self._key = None, url
        else:
            self._prefix, self._key = prefix, url[len(prefix.rstrip("/")) + 1 :].rstrip("/")

    @property
    def exists(self) -> bool:
        """Whether this is an object. False for prefixes, and for objects that are missing."""
        return self._size is not None

    @property
    def downloaded(self) -> bool:
        """Whether the content is at hand, as `path`, `blob` and `text`."""
        return self._path is not None

    @property
    def url(self) -> str:
        """The full URL, "s3://bucket/key"."""
        return self._url

    @property
    def prefix(self) -> Optional[str]:
        """The URL that `key` is relative to. None if `key` is a full URL."""
        return self._prefix

    @property
    def key(self) -> str:
        """The key as it was passed to the method, or found below the prefix."""
        return self._key

    @property
    def path(self) -> Optional[str]:
        """The local file with the content, which exists until the S3 object is closed. None if it was not downloaded."""
        return self._path

    @property
    def blob(self) -> Optional[bytes]:
        """The content. None if it was not downloaded."""
        if self._path is None:
            return None
        with open(self._path, "rb") as file:
            return file.read()

    @property
    def text(self) -> Optional[str]:
        """The content as UTF-8 text; invalid bytes become U+FFFD. None if it was not downloaded."""
        blob = self.blob
        return None if blob is None else blob.decode("utf-8", "replace")

    @property
    def size(self) -> Optional[int]:
        """Bytes of the object, or of the part that was downloaded. None if the object does not exist."""
        return self._size

    @property
    def has_info(self) -> bool:
        """Whether content_type, metadata, encryption or range_info is known."""
        return any(each is not None for each in (self.content_type, self.metadata, self.encryption, self._range_info))

    @property
    def metadata(self) -> Optional[Dict[str, Any]]:
        """The metadata of put(). None if there is none."""
        return self._info.metadata if self._info else None

    @property
    def content_type(self) -> Optional[str]:
        """The MIME type."""
        return self._info.content_type if self._info else None

    @property
    def encryption(self) -> Optional[str]:
        """The server-side encryption: "AES256", "aws:kms"."""
        return self._info.encryption if self._info else None

    @property
    def range_info(self) -> Optional[RangeInfo]:
        """Which bytes of the object were downloaded."""
        return self._range_info

    @property
    def last_modified(self) -> Optional[int]:
        """When the object was written, in seconds since 1970."""
        return self._info.last_modified if self._info else None

    def __str__(self) -> str:
        if self._path is not None:
            return f"<S3Object {self._url} ({self._size} bytes, local)>"
        if self._size is not None:
            return f"<S3Object {self._url} ({self._size} bytes, in S3)>"
        return f"<S3Object {self._url} (object does not exist)>"

    def __repr__(self) -> str:
        return str(self)


class Source(NamedTuple):
    """Where the content of an object to write is: a file, or memory."""

    file: str
    content: Any = b""


def source_of(key: str, value: Any, from_begin: bool) -> Source:
    """`from_begin`: a file is read from its begin, else from its position. Throws MetaflowS3InvalidObject."""
    from .errors import MetaflowS3InvalidObject

    if isinstance(value, str):
        return Source("", value.encode("utf-8", "surrogatepass"))
    if isinstance(value, (bytes, bytearray, memoryview)):
        return Source("", value)
    if not isinstance(value, (io.RawIOBase, io.BufferedIOBase)):
        raise MetaflowS3InvalidObject(f"Object corresponding to the key '{key}' is not a string or a bytes object.")
    if not value.readable() or not value.seekable():
        raise MetaflowS3InvalidObject(f"Object corresponding to the key '{key}' is not readable or seekable")
    if from_begin:
        value.seek(0)
    at = value.tell()
    # Others, such as GzipFile, have a file with other bytes.
    if at == 0 and type(value) in (io.FileIO, io.BufferedReader, io.BufferedRandom):
        value.flush()
        return Source(f"/proc/{os.getpid()}/fd/{value.fileno()}")
    if type(value) is io.BytesIO:
        return Source("", value.getbuffer()[at:])
    return Source("", value.read() or b"")


def metadata_text(metadata: Optional[Dict[str, Any]]) -> str:
    """As Metaflow's clients store it."""
    return json.dumps(metadata) if metadata else ""
