"""URLs, keys and roots of S3."""

import re
from typing import Any, Iterable, List, NamedTuple, Optional, Tuple

from .errors import MetaflowS3InvalidRange, MetaflowS3URLException

SCHEME = "s3://"


class Address(NamedTuple):
    url: str
    bucket: str
    key: str


def address_of(s3root: Optional[str], given: Any, is_prefix: bool = False) -> Address:
    """Of a key below the root, or of a full URL if there is no root. Only a prefix may have no key. Throws
    MetaflowS3URLException."""
    url = _url_of(s3root, given)
    bucket, _, key = url[len(SCHEME) :].partition("/")
    key = key.lstrip("/")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", bucket):
        raise MetaflowS3URLException(f"'{url}' is not an S3 URL. Use the form s3://bucket/key")
    if not key and not is_prefix:
        raise MetaflowS3URLException(f"URL not a full path: {url}")
    try:
        key.encode("utf-8")
    except UnicodeEncodeError:
        raise MetaflowS3URLException(f"The key {key!r} is not valid UTF-8") from None
    return Address(url, bucket, key)


def _url_of(s3root: Optional[str], given: Any) -> str:
    given = getattr(given, "key", given)
    key = "" if given is None else text_of(given)
    if s3root is None:
        if is_url(key) and "/" in key[len(SCHEME) :]:
            return SCHEME + key[len(SCHEME) :]
        raise MetaflowS3URLException(_without_root(key))
    if not key:
        return s3root
    if is_url(key):
        raise MetaflowS3URLException(f"Don't use absolute S3 URLs when the S3 client is initialized with a prefix. URL: {key}")
    return f"{s3root}/{key.lstrip('/')}"


def root_of_run(run: Any, root: str, bucket: Optional[str], prefix: Optional[str]) -> str:
    from ..current import current
    from ..flowspec import FlowSpec

    if root and not is_url(root):
        raise MetaflowS3URLException(f"METAFLOW_DATATOOLS_S3ROOT '{root}' is not an S3 URL. Use the form s3://bucket/prefix")
    if not root and not (bucket and prefix):
        raise MetaflowS3URLException(
            "DATATOOLS_S3ROOT is not configured when trying to use S3 storage. Set METAFLOW_DATATOOLS_S3ROOT, or "
            "METAFLOW_DATASTORE_SYSROOT_S3, to s3://bucket/prefix."
        )
    root_bucket, _, root_prefix = root[len(SCHEME) :].partition("/")
    if isinstance(run, FlowSpec):
        if not current.is_running_flow:
            raise MetaflowS3URLException("Initializing S3 with a FlowSpec outside of a running flow is not supported.")
        names = (current.flow_name, current.run_id)
    else:
        try:
            names = (run.parent.id, run.id)
        except AttributeError:
            raise MetaflowS3URLException(f"S3(run=...) takes `self` of a flow, or a Run of the client, not {run!r}") from None
    return SCHEME + "/".join(part.strip("/") for part in (bucket or root_bucket, prefix or root_prefix, *map(str, names)) if part.strip("/"))


def _without_root(key: str) -> str:
    from ..current import current

    what = f"'{key}' is not a full S3 URL. " if key else ""
    if current.is_running_flow:
        return what + "Specify S3(run=self) when you use S3 inside a running flow. Otherwise you have to use S3 with full s3:// urls."
    return what + "Initialize S3 with an 's3root' or 'run' if you don't want to specify full s3:// urls."


def text_of(key: Any) -> str:
    if isinstance(key, bytes):
        return key.decode("utf-8", "surrogateescape")
    if isinstance(key, str):
        return key
    raise MetaflowS3URLException(f"A key is a string, not {type(key).__name__}: {key!r}")


def is_url(text: str) -> bool:
    return text[: len(SCHEME)].lower() == SCHEME


def directory_of(key: str) -> str:
    return key if not key or key.endswith("/") else key + "/"


def list_of(keys: Iterable[Any]) -> List[Any]:
    if isinstance(keys, (str, bytes)):
        raise TypeError(f"a list of keys is needed, not one key: [{keys!r}]")
    return list(keys)


def range_of(key: Any) -> Tuple[int, int, int]:
    """The first byte, the number of bytes (0: all), and the number of bytes at the end (0: none)."""
    offset, length = getattr(key, "offset", None), getattr(key, "length", None)
    if offset is None and length is None:
        return 0, 0, 0
    if length is not None and length < 0:
        return 0, 0, -length
    if length == 0 or (offset or 0) < 0:
        raise MetaflowS3InvalidRange(f"No bytes can be read of '{key.key}' from offset {offset} with length {length}")
    return offset or 0, length or 0, 0
