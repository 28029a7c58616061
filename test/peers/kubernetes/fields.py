"""managedFields: what the server notes about who set which field. Clients do not need them; they are half of the size of an object."""

from . import store


def _fields(value):
    if isinstance(value, dict):
        return {f"f:{key}": _fields(item) for key, item in value.items()}
    if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
        return {f'k:{{"name":"{item["name"]}"}}': {".": {}, **_fields(item)} for item in value}
    return {}


def _entry(manager, api_version, fields, **more):
    return {
        "manager": manager,
        "operation": "Update",
        "apiVersion": api_version,
        "time": store.now(),
        "fieldsType": "FieldsV1",
        "fieldsV1": fields,
        **more,
    }


def created(obj, manager):
    metadata = {f"f:{key}": {".": {}, **_fields(obj["metadata"][key])} for key in ("labels", "annotations") if obj["metadata"].get(key)}
    fields = {"f:metadata": metadata} if metadata else {}
    for key, value in obj.items():
        if key not in ("metadata", "status", "kind", "apiVersion"):
            fields[f"f:{key}"] = _fields(value)
    return [_entry(manager, obj["apiVersion"], fields)]


def with_status(obj, manager, fields):
    """The entries, with one of who writes the status."""
    entries = [entry for entry in obj["metadata"].get("managedFields", []) if entry.get("subresource") != "status"]
    return entries + [_entry(manager, obj["apiVersion"], {"f:status": fields}, subresource="status")]


_CONDITION = {".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {}, "f:type": {}}
POD_STATUS = {
    "f:conditions": {f'k:{{"type":"{kind}"}}': _CONDITION for kind in ("ContainersReady", "Initialized", "PodReadyToStartContainers", "Ready")},
    **{f"f:{key}": {} for key in ("containerStatuses", "hostIP", "hostIPs", "phase", "podIP", "podIPs", "startTime")},
}
JOB_STATUS = {f"f:{key}": {} for key in ("active", "ready", "startTime", "terminating", "uncountedTerminatedPods")}
