"""Events: reports of controllers, the scheduler and kubelets about an object. Repeated events are counted."""

import time

from .resources import EVENTS
from .store import now, now_micro


class Recorder:
    """Writes events."""

    def __init__(self, store):
        self._store = store
        self._known = {}

    def record(self, obj, kind, reason, message, component, host="", path=None):
        """One event about an object, of kind Normal or Warning."""
        metadata = obj["metadata"]
        key = (metadata["uid"], reason, message, path)
        known = self._store.get(EVENTS, *self._known[key]) if key in self._known else None
        scheduler = component == "default-scheduler"
        if known is not None:
            self._store.replace(EVENTS, {**known, "count": (known.get("count") or 1) + 1, "lastTimestamp": now()})
            return
        involved = {
            "kind": obj["kind"], "namespace": metadata["namespace"], "name": metadata["name"], "uid": metadata["uid"],
            "apiVersion": obj["apiVersion"], "resourceVersion": metadata.get("resourceVersion", ""),
        }  # fmt: skip
        if path:
            involved["fieldPath"] = path
        event = {
            "kind": "Event",
            "apiVersion": "v1",
            "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}", "namespace": metadata["namespace"]},
            "involvedObject": involved,
            "reason": reason,
            "message": message,
            "source": {} if scheduler else {"component": component, **({"host": host} if host else {})},
            "type": kind,
            "reportingComponent": component,
            "reportingInstance": "default-scheduler-test" if scheduler else host,
        }
        if scheduler:
            event.update(
                {
                    "eventTime": now_micro(),
                    "firstTimestamp": None,
                    "lastTimestamp": None,
                    "action": "Binding" if reason == "Scheduled" else "Scheduling",
                }
            )
        else:
            event.update({"eventTime": None, "firstTimestamp": now(), "lastTimestamp": now(), "count": 1})
        while True:
            name = (metadata["namespace"], event["metadata"]["name"])
            if self._store.get(EVENTS, *name) is None:
                break
            event["metadata"]["name"] = f"{metadata['name']}.{time.time_ns():x}"
        self._store.create(EVENTS, event)
        self._known[key] = name
