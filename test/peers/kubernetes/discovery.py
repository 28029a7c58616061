"""What the server says of itself: its version and its resources."""

from . import errors
from .resources import ALL, GROUPS

VERSION = {
    "major": "1", "minor": "32", "gitVersion": "v1.32.13", "gitCommit": "0000000000000000000000000000000000000000", "gitTreeState": "clean",
    "buildDate": "1970-01-01T00:00:00Z", "goVersion": "go1.23.5", "compiler": "gc", "platform": "linux/amd64",
}  # fmt: skip

# What the deletion of a collection may be told.
_COLLECTION = ("continue", "dryRun", "fieldSelector", "gracePeriodSeconds", "labelSelector", "limit", "orphanDependents", "propagationPolicy",
               "resourceVersion", "resourceVersionMatch", "sendInitialEvents", "timeoutSeconds")  # fmt: skip


def _group(name):
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resources(group):
    entries = []
    for resource in ALL:
        if resource.group != group:
            continue
        entry = {
            "name": resource.plural,
            "singularName": resource.kind.lower(),
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": sorted(resource.verbs),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        entries.append(entry)
        for subresource in resource.subresources:
            verbs = {"log": ["get"], "eviction": ["create"], "status": ["get"]}[subresource]
            entries.append(
                {
                    "name": f"{resource.plural}/{subresource}",
                    "singularName": "",
                    "namespaced": resource.namespaced,
                    "kind": resource.kind,
                    "verbs": verbs,
                }
            )
    return entries


def _openapi(group):
    """As much of the OpenAPI document as kubectl reads to see that the server validates fields itself."""
    paths = {}
    for resource in ALL:
        if resource.group == group:
            prefix = f"/apis/{group}/v1" if group else "/api/v1"
            middle = "/namespaces/{namespace}" if resource.namespaced else ""
            kind = {"group": group, "kind": resource.kind, "version": "v1"}
            operation = {
                "x-kubernetes-group-version-kind": kind,
                "parameters": [{"name": "fieldValidation", "in": "query"}, {"name": "dryRun", "in": "query"}],
            }
            collection = {**operation, "parameters": [{"name": name, "in": "query"} for name in _COLLECTION]}
            paths[f"{prefix}{middle}/{resource.plural}"] = {"post": operation, "delete": collection}
            paths[f"{prefix}{middle}/{resource.plural}/{{name}}"] = {"patch": operation}
    return {"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": VERSION["gitVersion"]}, "paths": paths}


def answer(path):
    """The document at a path outside of the resources."""
    if path in ("/healthz", "/livez", "/readyz"):
        return "ok"
    if path == "/version":
        return VERSION
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(name) for name in GROUPS]}
    if path == "/openapi/v3":
        names = ["api/v1", *(f"apis/{name}/v1" for name in GROUPS)]
        return {"paths": {name: {"serverRelativeURL": f"/openapi/v3/{name}?hash=1"} for name in names}}
    if path.startswith("/openapi/v3/"):
        return _openapi(path.removeprefix("/openapi/v3/").removeprefix("apis/").removesuffix("v1").strip("/").removeprefix("api"))
    parts = path.strip("/").split("/")
    if parts == ["api", "v1"]:
        return {"kind": "APIResourceList", "groupVersion": "v1", "resources": _resources("")}
    if parts[0] == "apis" and len(parts) == 2 and parts[1] in GROUPS:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[1])}
    if parts[0] == "apis" and len(parts) == 3 and parts[1] in GROUPS and parts[2] == "v1":
        return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{parts[1]}/v1", "resources": _resources(parts[1])}
    raise errors.no_such_path()
