"""What can be done with objects: get, list, create, update, patch, delete."""

import base64
import json
import uuid

from . import defaults, errors, fields, patches, schema, validation
from .resources import JOBS, NAMESPACES, PODS, RESOURCE_QUOTAS, SERVICE_ACCOUNTS
from .selectors import selector
from .store import key_of, now, suffix

_BODY_TYPES = ("application/json", "application/yaml", "application/vnd.kubernetes.protobuf")
_BODY_LIMIT = 3 * 1024 * 1024
_ETCD_LIMIT = 1536 * 1024
# What the schema requires, and the server fills in or has a better message for.
_DEFAULTED = r"spec\.template\.spec\.restartPolicy|spec\.podFailurePolicy\.rules\[\d+\]\.onPodConditions\[\d+\]\.status"
_ORPHAN_WARNING = (
    '299 - "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them '
    'or set propagationPolicy=Orphan to suppress this warning"'
)
_LIST_TOO_OLD = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, "
    "or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an "
    "inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in "
    "the list."
)


def _continue_token(version, start):
    text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start + "\0"}, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def _parse_continue(token):
    try:
        data = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        return data["rv"], data["start"].rstrip("\0")
    except (ValueError, KeyError):
        raise errors.bad_request("continue key is not valid: the server rejected our request due to an error in our request") from None


def parse_body(resource, content_type, data):
    """The JSON of a request."""
    media_type = content_type.partition(";")[0].strip()
    if media_type not in ("application/json", ""):
        raise errors.unsupported_media_type(_BODY_TYPES)
    if len(data) > _BODY_LIMIT:
        raise errors.ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {_BODY_LIMIT}")
    try:
        body, duplicates = schema.parse(data)
        if not isinstance(body, dict):
            raise ValueError
    except ValueError:
        text = data[:100].decode("utf-8", "replace")
        first = text[1:2] if text.startswith("{") else text[:1]
        place = "beginning of object key string" if text.startswith("{") else "beginning of value"
        raise errors.bad_request(
            f"the object provided is unrecognized (must be of type {resource.kind}): couldn't get version/kind; "
            f"json parse error: invalid character '{first}' looking for {place} ({text})"
        ) from None
    if duplicates:
        raise errors.bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: strict decoding error: '
            + ", ".join(f'duplicate field "{d}"' for d in duplicates)
        )
    return body


class Verbs:
    """The verbs, on a store."""

    def __init__(self, store, checks, propagate, admit):
        self.store = store
        self.schema = checks
        self._propagate = propagate
        self._admit = admit

    # Reading.

    def get(self, resource, namespace, name):
        return self.store.find(resource, namespace, name)

    def list(self, resource, namespace, query):
        """A page of a list, of the version that the first page had."""
        selected = selector(resource, query)
        table = self.store.table(resource)
        limit = int(query.get("limit", 0) or 0)
        version, start = self.store.version, ""
        objects = table.objects
        asked = query.get("resourceVersion", "")
        if query.get("continue"):
            version, start = _parse_continue(query["continue"])
            objects = table.at(version) if version > 0 else table.objects
            if objects is None:
                raise errors.expired(_LIST_TOO_OLD, {"continue": _continue_token(-1, start)})
            version = version if version > 0 else self.store.version
        elif asked and int(asked) > self.store.version:
            raise errors.ApiError(
                504,
                "Timeout",
                f"Too large resource version: {asked}, current: {self.store.version}",
                {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1},
            )
        elif asked and query.get("resourceVersionMatch") == "Exact":
            version = int(asked)
            objects = table.at(version)
            if objects is None:
                raise errors.expired("The resourceVersion for the provided list is too old.")
        keys = sorted(
            key
            for key in objects
            if (not namespace or key[0] == namespace) and (not start or "/".join(key).lstrip("/") > start if not namespace else key[1] > start)
        )
        items, metadata = [], {"resourceVersion": str(version)}
        for number, key in enumerate(keys):
            if limit and len(items) == limit:
                rest = keys[number:]
                metadata["continue"] = _continue_token(version, keys[number - 1][1] if namespace else "/".join(keys[number - 1]).lstrip("/"))
                if not query.get("labelSelector") and not query.get("fieldSelector"):
                    metadata["remainingItemCount"] = len(rest)
                break
            if selected(objects[key]):
                items.append({k: v for k, v in objects[key].items() if k not in ("kind", "apiVersion")})
        return {"kind": f"{resource.kind}List", "apiVersion": resource.api_version, "metadata": metadata, "items": items}

    # Writing.

    def create(self, resource, namespace, body, query, manager):
        if resource.namespaced and self.store.get(NAMESPACES, "", namespace) is None:
            raise errors.not_found(NAMESPACES, namespace)
        if body.get("kind", resource.kind) != resource.kind or body.get("apiVersion", resource.api_version) != resource.api_version:
            kind, version = body.get("kind"), body.get("apiVersion", "")
            raise errors.bad_request(
                f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {resource.kind}: '
                f'no kind "{kind}" is registered for version "{version}"'
            )
        obj = self.schema.decode(resource, body, optional=_DEFAULTED)
        given = obj.setdefault("metadata", {})
        if given.get("resourceVersion"):
            raise errors.bad_request("resourceVersion should not be set on objects to be created")
        if resource.namespaced:
            if given.setdefault("namespace", namespace) != namespace:
                raise errors.bad_request("the namespace of the provided object does not match the namespace sent on the request")
        for key in ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "generation", "selfLink"):
            given.pop(key, None)
        if given.get("generateName") and not given.get("name"):
            given["name"] = given["generateName"][:58] + suffix()
        given["uid"] = str(uuid.uuid4())
        obj = self._complete(resource, {"kind": resource.kind, "apiVersion": resource.api_version, **obj})
        if len(json.dumps(obj)) > _ETCD_LIMIT:
            raise errors.ApiError(500, "", "etcdserver: request is too large")
        if self.store.get(resource, given.get("namespace", ""), given["name"]) is not None:
            raise errors.already_exists(resource, given["name"])
        if resource in (JOBS, PODS):
            self._admit(obj)
        obj["metadata"]["managedFields"] = fields.created(obj, manager)
        if query.get("dryRun"):
            return {**obj, "metadata": {**obj["metadata"], "creationTimestamp": now()}}
        return self.store.create(resource, obj)

    def _complete(self, resource, obj):
        """Defaults, then the rules."""
        if resource.plural == "jobs":
            obj["status"] = {}
            obj["metadata"]["generation"] = 1
            obj.setdefault("spec", {})
            defaults.job(obj)
            validation.check(resource, obj)
            defaults.job_selector(obj)
            return obj
        if resource is PODS:
            defaults.pod(obj)
        elif resource.plural == "secrets":
            for key, value in obj.pop("stringData", {}).items():
                obj.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
            obj.setdefault("type", "Opaque")
        elif resource is NAMESPACES:
            obj["spec"] = {"finalizers": ["kubernetes"]}
            obj["status"] = {"phase": "Active"}
        elif resource is RESOURCE_QUOTAS:
            obj["status"] = {}
        validation.check(resource, obj)
        return obj

    def create_pod(self, obj):
        """A pod that a controller makes: complete but for its name."""
        if "name" not in obj["metadata"]:
            obj["metadata"]["name"] = obj["metadata"]["generateName"] + suffix()
        self._admit(obj)
        obj["metadata"]["managedFields"] = fields.created(obj, "kube-controller-manager")
        return self.store.create(PODS, obj)

    def update(self, resource, namespace, name, body, query):
        previous = self.store.find(resource, namespace, name)
        obj = self.schema.decode(resource, body)
        return self._put(resource, previous, obj, query)

    def patch(self, resource, namespace, name, media_type, patch, query):
        if media_type not in patches.TYPES:
            raise errors.unsupported_media_type((*patches.TYPES, "application/apply-patch+yaml"))
        previous = self.store.find(resource, namespace, name)
        obj = self.schema.decode(resource, patches.apply(self.schema, resource, media_type, previous, patch))
        return self._put(resource, previous, obj, query)

    def _put(self, resource, previous, obj, query):
        name = previous["metadata"]["name"]
        given = obj.get("metadata", {})
        if given.get("name", name) != name:
            raise errors.bad_request(f"the name of the object ({given['name']}) does not match the name on the URL ({name})")
        version = given.get("resourceVersion")
        if version and version != previous["metadata"]["resourceVersion"]:
            raise errors.modified(resource, name)
        if given.get("uid", previous["metadata"]["uid"]) != previous["metadata"]["uid"]:
            raise errors.conflict(
                resource, name, f"Precondition failed: UID in precondition: {given['uid']}, UID in object meta: {previous['metadata']['uid']}"
            )
        metadata = dict(previous["metadata"])
        for key in ("labels", "annotations", "finalizers", "ownerReferences"):
            metadata.pop(key, None)
            if given.get(key):
                metadata[key] = given[key]
        obj = {**obj, "kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
        if "status" in previous:
            obj["status"] = previous["status"]
        if resource.plural == "jobs":
            # Decoding drops nulls; this one is shown.
            obj["spec"]["template"].setdefault("metadata", {})["creationTimestamp"] = None
        if resource.plural == "secrets":
            for key, value in obj.pop("stringData", {}).items():
                obj.setdefault("data", {})[key] = base64.b64encode(value.encode()).decode()
            obj.setdefault("type", previous["type"])
        validation.check_update(resource, previous, obj)
        if "generation" in metadata and obj.get("spec") != previous.get("spec"):
            metadata["generation"] += 1
        return obj if query.get("dryRun") else self.store.replace(resource, obj)

    # Deleting.

    def delete(self, resource, namespace, name, options, query):
        """Deletes an object, or starts to: (what is answered, warnings)."""
        obj = self.store.find(resource, namespace, name)
        for key, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
            wanted = options.get("preconditions", {}).get(key)
            if wanted and wanted != obj["metadata"][key]:
                raise errors.conflict(
                    resource, name, f"Precondition failed: {label} in precondition: {wanted}, {label} in object meta: {obj['metadata'][key]}"
                )
        policy = options.get("propagationPolicy") or query.get("propagationPolicy")
        if policy not in (None, "Background", "Foreground", "Orphan"):
            raise errors.invalid(DELETE_OPTIONS, "", [errors.unsupported_value("propagationPolicy", policy, ("Background", "Foreground", "Orphan"))])
        warnings = [_ORPHAN_WARNING] if resource.plural == "jobs" and policy is None and "orphanDependents" not in options else []
        if options.get("dryRun") or query.get("dryRun"):
            return self._deleted(resource, obj), warnings
        if resource is PODS:
            grace = options.get("gracePeriodSeconds", query.get("gracePeriodSeconds"))
            return self.delete_pod(obj, None if grace is None else int(grace)), warnings
        if resource.plural == "jobs":
            left = self._propagate(obj, policy or "Orphan")
            if left is not None:
                return left, warnings
        return self._deleted(resource, self._remove(resource, obj)), warnings

    def _remove(self, resource, obj):
        metadata = obj["metadata"]
        if not metadata.get("finalizers"):
            return self.store.remove(resource, obj)
        return self.store.replace(
            resource,
            {**obj, "metadata": {**metadata, "deletionTimestamp": metadata.get("deletionTimestamp") or now(), "deletionGracePeriodSeconds": 0}},
        )

    @staticmethod
    def _deleted(resource, obj):
        details = {"name": obj["metadata"]["name"]}
        if resource.group:
            details["group"] = resource.group
        return {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Success",
            "details": {**details, "kind": resource.plural, "uid": obj["metadata"]["uid"]},
        }

    def delete_pod(self, pod, grace=None):
        """Asks a pod to end; it goes when its containers ended. With no time to give, or when it is nowhere yet, it goes at once."""
        metadata = pod["metadata"]
        if grace is None:
            grace = pod["spec"]["terminationGracePeriodSeconds"]
        if not pod["spec"].get("nodeName") or pod["status"].get("phase") in ("Succeeded", "Failed"):
            grace = 0
        if "deletionTimestamp" in metadata and metadata["deletionGracePeriodSeconds"] <= grace:
            return pod if grace else self.store.replace(PODS, pod)
        pod = {**pod, "metadata": {**metadata, "deletionTimestamp": now(grace), "deletionGracePeriodSeconds": grace}}
        if "generation" in metadata:
            pod["metadata"]["generation"] = metadata["generation"] + 1
        return self.store.replace(PODS, pod)

    def delete_all(self, resource, namespace, options, query):
        """Deletes a page of a list, and answers with it: the objects as they were."""
        page = self.list(resource, namespace, query)
        for item in page["items"]:
            key = key_of(item)
            if self.store.get(resource, *key) is not None:  # a later page shows the version of the first one
                self.delete(resource, *key, options, query)
        return page

    def prepare_namespace(self, name):
        """What every namespace has from its beginning."""
        if self.store.get(NAMESPACES, "", name) is None:
            self.create(NAMESPACES, "", {"metadata": {"name": name}}, {}, "kube-apiserver")
        if self.store.get(SERVICE_ACCOUNTS, name, "default") is None:
            self.create(SERVICE_ACCOUNTS, name, {"metadata": {"name": "default"}}, {}, "kube-controller-manager")


class _DeleteOptions:
    group, kind, plural, version = "meta.k8s.io", "DeleteOptions", "deleteoptions", "v1"


DELETE_OPTIONS = _DeleteOptions()
