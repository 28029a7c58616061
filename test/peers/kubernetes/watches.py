"""Watches: what happened since a version, and what happens."""

import asyncio
import json
import random
import time

from . import errors
from .selectors import is_set, selector
from .store import Watcher

_BOOKMARK_SECONDS = 60


def _line(kind, encoded):
    return b'{"type":"%s","object":%s}\n' % (kind, encoded)


def _error(error):
    return _line(b"ERROR", json.dumps(error.status(), separators=(",", ":")).encode())


class Watch:
    """One watch, written as lines to where 'send' brings them."""

    def __init__(self, store, resource, namespace, name, query, pace=1.0):
        self._store = store
        self._resource = resource
        self._namespace = namespace
        self._table = store.table(resource)
        selected = selector(resource, query)
        self._selected = (
            lambda obj: (not namespace or obj["metadata"].get("namespace") == namespace)
            and (not name or obj["metadata"]["name"] == name)
            and selected(obj)
        )
        self._query = query
        self._bookmarks = is_set(query, "allowWatchBookmarks")
        seconds = int(query.get("timeoutSeconds") or 0)
        self._end = time.monotonic() + (seconds or random.uniform(1800, 3600))
        self._pace = pace

    def _bookmark(self, annotations=None):
        metadata = {"resourceVersion": str(self._store.version), "creationTimestamp": None}
        if annotations:
            metadata["annotations"] = annotations
        obj = {"kind": self._resource.kind, "apiVersion": self._resource.api_version, "metadata": metadata}
        return _line(b"BOOKMARK", json.dumps(obj, separators=(",", ":")).encode())

    def _seen(self, change):
        """How a change looks to this watch: what comes into the selection is new, what leaves it is gone."""
        after = change.type != "DELETED" and self._selected(change.object)
        before = change.previous is not None and self._selected(change.previous)
        if after:
            return _line(b"MODIFIED" if before else b"ADDED", change.encoded())
        return _line(b"DELETED", change.encoded()) if before else b""

    def _initial(self):
        objects = sorted(self._table.objects.items())
        return b"".join(_line(b"ADDED", json.dumps(obj, separators=(",", ":")).encode()) for _, obj in objects if self._selected(obj))

    def start_version(self):
        """The version after which changes are told, or nothing: then what is there comes first. Refuses what is forgotten."""
        asked = self._query.get("resourceVersion", "")
        if is_set(self._query, "sendInitialEvents") or asked in ("", "0"):
            return None
        if not asked.isdigit():
            raise errors.bad_request(f'invalid resource version "{asked}": strconv.ParseUint: parsing "{asked}": invalid syntax')
        if int(asked) < self._table.compacted:
            raise errors.expired(f"too old resource version: {asked} ({self._table.compacted})")
        return int(asked)

    async def run(self, send, rule=None):
        """Sends until the time is over. 'rule' is an accident that happens to this watch."""
        try:
            version = self.start_version()
        except errors.ApiError as error:
            if error.code != 410:
                raise
            # A watch that starts too far back is answered with 200, and with the error as an event.
            await send(_error(error))
            return
        watcher = Watcher(self._table, self._store.version if version is None else version)
        with watcher:
            if version is None:
                initial = self._initial()
                if is_set(self._query, "sendInitialEvents") and self._bookmarks:
                    initial += self._bookmark({"k8s.io/initial-events-end": "true"})
                await send(initial)
            await self._follow(watcher, send, rule)

    async def _follow(self, watcher, send, rule):
        bookmark_at = time.monotonic() + _BOOKMARK_SECONDS * self._pace
        sent, limit = 0, rule.get("events", 0) if rule is not None else None
        while time.monotonic() < self._end:
            changes = watcher.take()
            if changes is None:
                await send(_error(errors.expired(f"too old resource version: {self._table.compacted} ({self._store.version})")))
                return
            lines = [line for line in map(self._seen, changes) if line]
            if limit is not None and sent + len(lines) >= limit:
                await self._accident(rule, lines[: limit - sent], send)
                return
            sent += len(lines)
            if lines:
                await send(b"".join(lines))
            if self._bookmarks and time.monotonic() >= bookmark_at:
                await send(self._bookmark())
                bookmark_at = time.monotonic() + _BOOKMARK_SECONDS * self._pace
            await watcher.wait(min(self._end, bookmark_at if self._bookmarks else self._end) - time.monotonic())
        if self._bookmarks:
            await send(self._bookmark())

    async def _accident(self, rule, lines, send):
        """After so many events the watch expires, breaks off, says nonsense, or says nothing any more."""
        if lines:
            await send(b"".join(lines))
        action = rule["action"]
        if action == "expire":
            await send(_error(errors.expired(f"too old resource version: {self._store.version} ({self._store.version + 1})")))
        elif action == "garbage":
            await send(b'{"type":"MODIFIED","object":{"kind":\n')
        elif action == "stall":
            await asyncio.sleep(rule.get("seconds", 3600))
        elif action == "cut":
            raise ConnectionAbortedError
