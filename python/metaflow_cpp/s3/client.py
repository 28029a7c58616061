"""class S3: many objects at once, to and from files and memory."""

import itertools
import os
import re
import shutil
from typing import Any, Callable, Iterable, List, NoReturn, Optional, Sequence, Tuple, Union

from .addresses import SCHEME, Address, address_of, directory_of, is_url, list_of, range_of, root_of_run, text_of
from .errors import (
    MetaflowS3AccessDenied,
    MetaflowS3Exception,
    MetaflowS3InsufficientDiskSpace,
    MetaflowS3InvalidObject,
    MetaflowS3InvalidRange,
    MetaflowS3NotFound,
    MetaflowS3URLException,
)
from .native import Client
from .objects import Info, PutValue, RangeInfo, S3GetObject, S3Object, S3PutObject, Source, metadata_text, source_of

_FROM_SETTINGS = ""
_ELSEWHERE = {
    "role": "AWS_PROFILE or AWS_ROLE_ARN",
    "session_vars": "the variables of AWS",
    "client_params": "METAFLOW_S3_ENDPOINT_URL and METAFLOW_S3_VERIFY_CERTIFICATE",
    "external_client": "the variables of AWS",
}


class S3:
    """Reads and writes objects in S3, many at once. Downloads are files in a temporary directory, which the end of `with`,
    or close(), removes.

        with S3(run=self) as s3:
            url = s3.put("summary.csv", text)
            for found in s3.get_many(["a", "b"]):
                print(found.key, found.size, found.text)

    Keys are relative to the root: with `run` (the flow in one of its tasks, or a Run of the client) it is
    METAFLOW_DATATOOLS_S3ROOT (default: METAFLOW_DATASTORE_SYSROOT_S3/data), the flow and the run, and `bucket` and
    `prefix` replace the parts of METAFLOW_DATATOOLS_S3ROOT; else it is `s3root`. Without a root, keys are full URLs.

    `tmproot`: where to make the temporary directory; default: METAFLOW_TEMPDIR, or the current directory. `encryption`:
    of new objects, "AES256" or "aws:kms"; default: METAFLOW_S3_SERVER_SIDE_ENCRYPTION.

    Threads may share an S3 object. A forked process gets its own connections. All methods throw MetaflowS3Exception if S3
    cannot be reached or refuses, after retries, MetaflowS3AccessDenied if it denies access, and MetaflowS3URLException
    for an invalid key or URL."""

    TYPE = "s3"

    def __init__(
        self,
        tmproot: Optional[str] = None,
        bucket: Optional[str] = None,
        prefix: Optional[str] = None,
        run: Optional[Any] = None,
        s3root: Optional[Union[str, bytes]] = None,
        encryption: Optional[str] = _FROM_SETTINGS,
        **ignored: Any,
    ) -> None:
        for name, value in ignored.items():
            if name in _ELSEWHERE and value is not None:
                raise MetaflowS3Exception(f"S3() has no '{name}' here. Set {_ELSEWHERE[name]} instead.")
        client = Client()
        settings = client.settings()
        self._free, self._process = [client], os.getpid()
        self._is_closed = False
        self._encryption = (settings["encryption"] if encryption == _FROM_SETTINGS else encryption) or ""
        self._numbers, self._unique = itertools.count(), os.urandom(4).hex()
        self._s3root: Optional[str] = None
        if run is not None:
            self._s3root = root_of_run(run, settings["root"], bucket, prefix)
        elif s3root:
            self._s3root = text_of(s3root).rstrip("/")
            if not is_url(self._s3root):
                raise MetaflowS3URLException("s3root needs to be an S3 URL prefixed with s3://.")
        self._directory = _make_directory(tmproot or settings["directory"])
        self._owner = self._process

    def __enter__(self) -> "S3":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def close(self) -> None:
        """Removes all downloaded files, and closes the connections."""
        self._is_closed = True
        if self._process == os.getpid():
            while self._free:
                self._free.pop().close()
        if self._owner == os.getpid():
            shutil.rmtree(self._directory, ignore_errors=True)

    def __reduce__(self) -> NoReturn:
        raise TypeError("An S3 object has connections and cannot be pickled. Make it where it is used.")

    # --- listing

    def list_paths(self, keys: Optional[Iterable[str]] = None) -> List[S3Object]:
        """What is directly below each of the keys (default: the root): objects, and prefixes of objects, whose `exists` is
        False."""
        return self._list(keys, False)

    def list_recursive(self, keys: Optional[Iterable[str]] = None) -> List[S3Object]:
        """All objects below each of the keys (default: the root), at any depth."""
        return self._list(keys, True)

    def _list(self, keys: Optional[Iterable[str]], is_recursive: bool) -> List[S3Object]:
        addresses = [address_of(self._s3root, key, True) for key in ([None] if keys is None else list_of(keys))]
        found = []
        prefixes = [directory_of(address.key if is_recursive else address.key.rstrip("/")) for address in addresses]
        for address, listed in zip(addresses, self._listed(addresses, prefixes, is_recursive)):
            prefix = address.url if is_recursive else address.url.rstrip("/") + "/"
            found += [S3Object(prefix, f"{SCHEME}{address.bucket}/{key}", size=size) for key, size in listed]
        return found

    def _listed(self, addresses: Sequence[Address], prefixes: Sequence[str], is_recursive: bool) -> List[List[Tuple[str, Optional[int]]]]:
        results = self._execute([["list", address.bucket, prefix, is_recursive] for address, prefix in zip(addresses, prefixes)])
        for address, result in zip(addresses, results):
            _check(result, address.url)
        return [result[1] for result in results]

    # --- information

    def info(self, key: Optional[str] = None, return_missing: bool = False) -> S3Object:
        """Size, metadata and the like of an object, which is not downloaded. Throws MetaflowS3NotFound if it does not exist;
        with `return_missing`, `exists` is False instead."""
        return self._info([key], return_missing)[0]

    def info_many(self, keys: Iterable[str], return_missing: bool = False) -> List[S3Object]:
        """The same of many objects, in this order."""
        return self._info(list_of(keys), return_missing)

    def _info(self, keys: Iterable[Any], return_missing: bool) -> List[S3Object]:
        addresses = [address_of(self._s3root, key) for key in keys]
        results = self._execute([["head", address.bucket, address.key] for address in addresses])
        found = []
        for address, result in zip(addresses, results):
            if not _check(result, address.url, return_missing):
                found.append(S3Object(self._s3root, address.url))
                continue
            info = _info_of(result)
            found.append(S3Object(self._s3root, address.url, size=info.size, info=info))
        return found

    # --- reading

    def get(self, key: Optional[Union[str, S3GetObject]] = None, return_missing: bool = False, return_info: bool = True) -> S3Object:
        """Downloads an object, or a part of one (S3GetObject); without a key, the object at the root. Throws
        MetaflowS3NotFound if it does not exist; with `return_missing`, `exists` is False instead. Throws
        MetaflowS3InvalidRange if it ends before the part. Its content_type, metadata, encryption, range_info and last_modified
        are known if `return_info`. Throws MetaflowS3InsufficientDiskSpace if the temporary directory is full."""
        return self._get([key], return_missing, return_info)[0]

    def get_many(self, keys: Iterable[Union[str, S3GetObject]], return_missing: bool = False, return_info: bool = True) -> List[S3Object]:
        """The same with many objects, in this order."""
        return self._get(list_of(keys), return_missing, return_info)

    def get_recursive(self, keys: Iterable[str], return_info: bool = False) -> List[S3Object]:
        """Downloads all objects whose keys begin with each of the keys, at any depth. A key that ends with "/" is a
        directory."""
        return self._get_recursive(list_of(keys), return_info)

    def get_all(self, return_info: bool = False) -> List[S3Object]:
        """Downloads all objects below the root, at any depth. Throws MetaflowS3URLException if there is no root."""
        if self._s3root is None:
            raise MetaflowS3URLException("Can't get_all() when S3 is initialized without a prefix")
        return self._get_recursive([None], return_info)

    def _get(self, keys: Iterable[Any], return_missing: bool, return_info: bool) -> List[S3Object]:
        wanted = [(address_of(self._s3root, key), range_of(key)) for key in keys]
        return self._download(wanted, [self._s3root] * len(wanted), return_missing, return_info)

    def _get_recursive(self, keys: Iterable[Any], return_info: bool) -> List[S3Object]:
        keys = list(keys)
        addresses = [address_of(self._s3root, key, True) for key in keys]
        # A key is the beginning of keys, as in Metaflow; the root is a directory.
        begins = [address.key if key else directory_of(address.key) for key, address in zip(keys, addresses)]
        wanted, prefixes = [], []
        for address, listed in zip(addresses, self._listed(addresses, begins, True)):
            wanted += [(Address(f"{SCHEME}{address.bucket}/{key}", address.bucket, key), (0, 0, 0)) for key, _ in listed]
            # As Metaflow does.
            prefixes += [self._s3root if return_info else address.url] * len(listed)
        return self._download(wanted, prefixes, False, return_info)

    def _download(
        self, wanted: Sequence[Tuple[Address, Tuple[int, int, int]]], prefixes: Sequence[Optional[str]], return_missing: bool, return_info: bool
    ) -> List[S3Object]:
        if not wanted:
            return []
        paths = [self._new_path(address) for address, _ in wanted]
        results = self._execute([["get", address.bucket, address.key, path, *part] for (address, part), path in zip(wanted, paths)])
        found = []
        for (address, _), prefix, path, result in zip(wanted, prefixes, paths, results):
            if not _check(result, address.url, return_missing):
                found.append(S3Object(self._s3root, address.url))
                continue
            begin, length = result[6:]
            info = _info_of(result) if return_info else None
            part = RangeInfo(result[1], begin, length) if return_info else None
            found.append(S3Object(prefix, address.url, path, length, info, part))
        return found

    # --- writing

    def put(
        self,
        key: Union[str, S3PutObject],
        obj: PutValue,
        overwrite: bool = True,
        content_type: Optional[str] = None,
        metadata: Optional[Any] = None,
    ) -> str:
        """Writes a text (as UTF-8), bytes, or a binary file from its begin; returns the URL. `metadata`: a dict that JSON can
        represent. Without `overwrite`, an object that exists stays as it is. Throws MetaflowS3InvalidObject for another
        value."""
        name: Any = getattr(key, "key", key)
        given = S3PutObject(name, content_type=content_type, encryption=getattr(key, "encryption", None), metadata=metadata)
        address = address_of(self._s3root, name)
        self._put([(given, address, source_of(name, obj, from_begin=True))], overwrite)
        return address.url

    def put_many(self, key_objs: Iterable[Union[Tuple[str, PutValue], S3PutObject]], overwrite: bool = True) -> List[Tuple[str, str]]:
        """Writes many objects: pairs of key and value, or S3PutObjects. A binary file is read from its position. Returns the
        (key, URL) of those that were written: without `overwrite`, objects that exist stay as they are."""

        def source(given: S3PutObject) -> Source:
            return source_of(given.key, given.value, from_begin=False)

        return self._put_all(key_objs, lambda key, value: S3PutObject(key, value), source, overwrite)

    def put_files(self, key_paths: Iterable[Union[Tuple[str, str], S3PutObject]], overwrite: bool = True) -> List[Tuple[str, str]]:
        """The same with local files: pairs of key and path, or S3PutObjects. Throws MetaflowS3NotFound for a missing file."""

        def source(given: S3PutObject) -> Source:
            if not isinstance(given.path, (str, bytes, os.PathLike)):
                raise MetaflowS3InvalidObject(f"The path of the file for the key '{given.key}' is {given.path!r}")
            path = os.fsdecode(given.path)
            if not os.path.exists(path):
                raise MetaflowS3NotFound(f"Local file not found: {path}")
            return Source(os.path.abspath(path))

        return self._put_all(key_paths, lambda key, path: S3PutObject(key, path=path), source, overwrite)

    def _put_all(
        self, given: Iterable[Any], of_pair: Callable[[str, Any], S3PutObject], source: Callable[[S3PutObject], Source], overwrite: bool
    ) -> List[Tuple[str, str]]:
        puts = []
        for each in given:
            is_pair = isinstance(each, (tuple, list)) and len(each) == 2
            if not is_pair and not hasattr(each, "content_type"):
                raise MetaflowS3InvalidObject(f"A pair or an S3PutObject is needed, not {each!r}")
            put = of_pair(*each) if is_pair else each
            puts.append((put, address_of(self._s3root, put.key), source(put)))
        return self._put(puts, overwrite)

    def _put(self, puts: Sequence[Tuple[S3PutObject, Address, Source]], overwrite: bool) -> List[Tuple[str, str]]:
        operations = [
            [
                "put", address.bucket, address.key, source.file, given.content_type or "", given.encryption or self._encryption,
                metadata_text(given.metadata), overwrite,
            ]
            for given, address, source in puts
        ]  # fmt: skip
        results = self._execute(operations, [source.content for _, _, source in puts])
        return [(given.key, address.url) for (given, address, _), result in zip(puts, results) if _check(result, address.url)]

    # ---

    def _execute(self, operations: Sequence[List[Any]], contents: Sequence[Any] = ()) -> List[List[Any]]:
        if self._is_closed:
            raise MetaflowS3Exception("This S3 object is closed. Use it inside of its `with`, or before close().")
        if not operations:
            return []
        if self._process != os.getpid():
            self._free, self._process = [], os.getpid()  # the connections are those of the parent
            self._unique = os.urandom(4).hex()
        try:
            client = self._free.pop()
        except IndexError:
            client = Client()
        try:
            results = client.execute(operations, contents)
        except BaseException:
            client.close()
            raise
        self._free.append(client)
        return results

    def _new_path(self, address: Address) -> str:
        """A new file in the temporary directory, whose name ends like the key."""
        leaf = re.sub(r"[^A-Za-z0-9._-]", "_", address.key.rpartition("/")[2][-100:])
        # Forked processes share the directory.
        return os.path.join(self._directory, f"{self._unique}-{next(self._numbers)}-{leaf}")


def _make_directory(parent: str) -> str:
    path = os.path.join(os.path.abspath(parent), f"metaflow.s3.{os.urandom(6).hex()}")
    try:
        os.mkdir(path, 0o700)
    except OSError as error:
        raise MetaflowS3Exception(f"Cannot make a temporary directory in {parent}: {error.strerror}. S3(tmproot=...) names another.") from error
    return path


def _info_of(result: List[Any]) -> Info:
    import json

    _, size, content_type, encryption, attributes, modified = result[:6]
    try:
        metadata = json.loads(attributes) if attributes else None
    except ValueError:
        metadata = None  # of another program
    return Info(size, content_type or None, encryption or None, metadata, modified)


def _check(result: List[Any], url: str, return_missing: bool = False) -> bool:
    """Whether the operation was carried out; False if the object is missing, or was not overwritten. Throws the others."""
    status = result[0]
    if status in ("ok", "exists"):
        return bool(status == "ok")
    if status == "missing":
        if return_missing:
            return False
        raise MetaflowS3NotFound(f"URL not found: {url}" + (f"\n{result[1]}" if "NoSuchBucket" in result[1] else ""))
    if status == "denied":
        raise MetaflowS3AccessDenied(f"Access denied to URL: {url}\n{result[1]}")
    kind = {"invalid_range": MetaflowS3InvalidRange, "disk_full": MetaflowS3InsufficientDiskSpace}[status]
    raise kind(result[1])
