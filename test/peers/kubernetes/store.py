"""The objects, their versions, and what happened to them: what etcd and the watch cache are to the real server.

An object that is in the store is never changed in place: a change puts a new one, which shares what did not change. So the history
can keep every version, and lists of an earlier version can be made for the next pages of a list."""

import asyncio
import datetime
import json
import random
import uuid

from . import errors

# What Kubernetes makes random suffixes of: no vowels, no digits that look like letters.
_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"


def now(later=0):
    """The time, or one so many seconds later, as metadata has it: UTC, whole seconds."""
    time = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=later)
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def now_micro():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def seconds_since(time):
    """How long ago that was, to the precision that metadata has."""
    then = datetime.datetime.strptime(time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    return (datetime.datetime.now(datetime.timezone.utc) - then).total_seconds()


def suffix(length=5):
    return "".join(random.choices(_SUFFIX_LETTERS, k=length))


def key_of(obj):
    return (obj["metadata"].get("namespace", ""), obj["metadata"]["name"])


class Change:
    """One change of one object."""

    __slots__ = ("version", "type", "object", "previous", "_encoded")

    def __init__(self, version, type_, obj, previous):
        self.version = version
        self.type = type_
        self.object = obj
        self.previous = previous
        self._encoded = None

    def encoded(self):
        """The object as JSON; it is the same for every watch."""
        if self._encoded is None:
            self._encoded = json.dumps(self.object, separators=(",", ":")).encode()
        return self._encoded


class Table:
    """The objects of one resource, and their latest changes."""

    def __init__(self, resource, limit):
        self.resource = resource
        self.objects = {}
        self.changes = []
        self.first = 0  # the number of the first change that is kept
        self.compacted = 0  # changes up to this version are gone
        self.limit = limit
        self.watchers = set()
        self.listeners = []

    def record(self, change):
        self.changes.append(change)
        if len(self.changes) > 2 * self.limit:
            self.forget(len(self.changes) - self.limit)
        for watcher in self.watchers:
            watcher.set()
        for listener in self.listeners:
            listener(change)

    def forget(self, count):
        self.compacted = self.changes[count - 1].version
        del self.changes[:count]
        self.first += count

    def number_after(self, version):
        """The number of the first change after this version."""
        low, high = 0, len(self.changes)
        while low < high:
            middle = (low + high) // 2
            if self.changes[middle].version <= version:
                low = middle + 1
            else:
                high = middle
        return self.first + low

    def at(self, version):
        """The objects as they were at a version, or nothing when that is forgotten."""
        if version < self.compacted:
            return None
        objects = dict(self.objects)
        for change in reversed(self.changes[self.number_after(version) - self.first :]):
            key = key_of(change.object)
            if change.previous is None:
                objects.pop(key, None)
            else:
                objects[key] = change.previous
        return objects


class Store:
    """Every object. A version number runs over all of them."""

    def __init__(self, resources, history=20000):
        self.version = 1000
        self.tables = {resource.plural: Table(resource, history) for resource in resources}

    def table(self, resource):
        return self.tables[resource.plural]

    def get(self, resource, namespace, name):
        return self.table(resource).objects.get((namespace, name))

    def find(self, resource, namespace, name):
        """The object, or 404."""
        obj = self.get(resource, namespace, name)
        if obj is None:
            raise errors.not_found(resource, name)
        return obj

    def all(self, resource, namespace=None):
        objects = self.table(resource).objects.values()
        return list(objects) if namespace is None else [o for o in objects if o["metadata"].get("namespace") == namespace]

    def create(self, resource, obj):
        """Puts a new object, whose metadata is completed."""
        metadata = dict(obj["metadata"])
        if not metadata.get("name"):
            metadata["name"] = metadata["generateName"] + suffix()
        key = (metadata.get("namespace", ""), metadata["name"])
        table = self.table(resource)
        if key in table.objects:
            raise errors.already_exists(resource, metadata["name"])
        self.version += 1
        metadata.setdefault("uid", str(uuid.uuid4()))
        metadata["resourceVersion"] = str(self.version)
        metadata.setdefault("creationTimestamp", now())
        obj = {**obj, "metadata": metadata}
        table.objects[key] = obj
        table.record(Change(self.version, "ADDED", obj, None))
        return obj

    def replace(self, resource, obj):
        """Puts a new version of an object. One that waits for nothing but its last finalizer goes with that."""
        key = key_of(obj)
        table = self.table(resource)
        previous = table.objects.get(key)
        if previous is None or previous["metadata"]["uid"] != obj["metadata"]["uid"]:
            raise errors.not_found(resource, key[1])
        if previous == obj:
            return previous
        metadata = obj["metadata"]
        self.version += 1
        obj = {**obj, "metadata": {**metadata, "resourceVersion": str(self.version)}}
        table.objects[key] = obj
        table.record(Change(self.version, "MODIFIED", obj, previous))
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers") and metadata.get("deletionGracePeriodSeconds", 0) == 0:
            return self.remove(resource, obj)
        return obj

    def remove(self, resource, obj):
        key = key_of(obj)
        table = self.table(resource)
        previous = table.objects.pop(key, None)
        if previous is None:
            raise errors.not_found(resource, key[1])
        self.version += 1
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.version)}}
        table.record(Change(self.version, "DELETED", obj, previous))
        return obj

    def compact(self):
        """Forgets the history: every version before this one is too old from now on."""
        for table in self.tables.values():
            table.first += len(table.changes)
            table.changes.clear()
            table.compacted = self.version


class Watcher:
    """Reads the changes of a table one after the other."""

    def __init__(self, table, version):
        self.table = table
        self.number = table.number_after(version)
        self._event = asyncio.Event()

    def __enter__(self):
        self.table.watchers.add(self._event)
        return self

    def __exit__(self, *_):
        self.table.watchers.discard(self._event)

    def set(self):
        self._event.set()

    def take(self):
        """The changes since the last call, or nothing when some of them are forgotten."""
        table = self.table
        if self.number < table.first:
            return None
        self._event.clear()
        changes = table.changes[self.number - table.first :]
        self.number = table.first + len(table.changes)
        return changes

    async def wait(self, seconds):
        try:
            await asyncio.wait_for(self._event.wait(), max(seconds, 0))
        except asyncio.TimeoutError:
            pass
