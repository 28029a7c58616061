"""The HTTP side: finds out what a request wants, whether it may, and whether an accident happens to it."""

import asyncio
import json
import uuid

from aiohttp import web

from .. import serving
from . import discovery, errors, logs, resources
from .access import Request, User
from .resources import ACCESS_REVIEWS, NAMESPACES, PODS
from .selectors import is_set
from .verbs import parse_body
from .watches import Watch

_COMPRESS_FROM = 128 * 1024
# What is noted for a client that went before its answer began.
_GONE = 499
_WAITING_TEXTS = {"ErrImagePull": "trying and failing to pull image", "ImagePullBackOff": "trying and failing to pull image"}


class Target:
    """What the path of a request names."""

    def __init__(self, resource, namespace="", name="", subresource=""):
        self.resource = resource
        self.namespace = namespace
        self.name = name
        self.subresource = subresource


def parse_path(path):
    """The target of a path, or nothing when it is none of a resource."""
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    resource = resources.BY_PATH.get((group, version, rest[0]))
    if resource is None or len(rest) > 3 or len(rest) > 1 and resource.namespaced and not namespace:
        return None
    target = Target(resource, namespace, rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else "")
    if target.subresource and target.subresource not in resource.subresources:
        return None
    if resource is NAMESPACES and target.name:
        target.namespace = target.name
    return target


def verb_of(method, target, query):
    if method == "GET":
        if target.name:
            return "get"
        return "watch" if is_set(query, "watch") else "list"
    verb = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete" if target.name else "deletecollection"}.get(method)
    named = {"create": target.subresource == "eviction" or not target.name, "update": bool(target.name), "patch": bool(target.name)}
    if verb is None or not named.get(verb, True) or verb not in target.resource.verbs:
        raise errors.method_not_allowed()
    if target.subresource in ("log", "status") or target.subresource == "eviction" and verb != "create":
        raise errors.method_not_allowed()
    return verb


class Drop(Exception):
    """The connection is to be broken instead of an answer."""


class ApiServer:
    """Answers requests."""

    def __init__(self, cluster, admin):
        self._cluster = cluster
        self._admin = admin
        self.counts = {}
        self.statuses = {}
        self.most_watches = 0
        self._watches = {}

    @property
    def open_watches(self):
        return len(self._watches)

    def cut_watches(self, plural=None):
        """Breaks the connections of watches: how many."""
        cut = [request for request, resource in self._watches.values() if plural in (None, resource)]
        for request in cut:
            if request.transport is not None:
                request.transport.abort()
        return len(cut)

    def application(self):
        application = web.Application(client_max_size=64 * 1024 * 1024, handler_args={"auto_decompress": True, "access_log": None})
        application.router.add_route("*", "/{path:.*}", self._handle, expect_handler=serving.expect)
        return application

    async def _handle(self, request):
        try:
            if request.path.startswith("/_test/"):
                response = await self._admin.handle(request)
            else:
                response = await self._answer(request)
        except errors.ApiError as error:
            response = self._json(error.status(), error.code, error.headers)
        except Drop:
            request.transport.abort()
            return web.Response(status=500)
        except ConnectionResetError:
            response = web.Response(status=_GONE)
        self.statuses[response.status] = self.statuses.get(response.status, 0) + 1
        return response

    @staticmethod
    def _json(body, status=200, headers=None):
        data = json.dumps(body, separators=(",", ":")).encode()
        response = web.Response(
            body=data,
            status=status,
            content_type="application/json",
            headers={"Audit-Id": str(uuid.uuid4()), "Cache-Control": "no-cache, private", **(headers or {})},
        )
        if len(data) > _COMPRESS_FROM:
            response.enable_compression()
        return response

    def _user(self, request) -> User:
        certificate = request.transport.get_extra_info("peercert") if request.transport else None
        return self._cluster.access.authenticate(request.headers.get("Authorization"), certificate)

    def _count(self, verb, what):
        key = f"{verb} {what}"
        self.counts[key] = self.counts.get(key, 0) + 1

    async def _answer(self, request):
        query = request.query
        target = parse_path(request.path)
        if target is None:
            self._count(request.method.lower(), "(path)")
            user = self._user(request)
            self._cluster.access.authorize_path(user, request.method, request.path)
            document = discovery.answer(request.path.rstrip("/"))
            return web.Response(text=document) if isinstance(document, str) else self._json(document)
        verb = verb_of(request.method, target, query)
        wanted = Request(verb, target.resource, target.subresource, target.namespace, target.name)
        self._count(verb, wanted.target)
        user = self._user(request)
        rule = self._cluster.faults.of_request(wanted, user.name)
        if rule is not None:
            refused = await self._accident_before(rule)
            if refused is not None:
                return refused
        self._cluster.access.authorize(user, wanted)
        if verb == "watch":
            return await self._watch(request, target, query, rule)
        if target.subresource == "log":
            return await self._log(request, target, query)
        body, status, headers = await self._carry_out(request, target, verb, query, user)
        response = self._json(body, status, headers)
        if rule is not None:
            await self._accident_after(rule, request, response)
        return response

    # Accidents.

    async def _accident_before(self, rule):
        """What happens before the request is carried out: an answer, an exception, or nothing."""
        action = rule["action"]
        if action == "slow":
            await asyncio.sleep(rule.get("seconds", 1))
        elif action == "drop":
            raise Drop
        elif action == "status":
            code = rule.get("code", 500)
            if code == 429 and "message" not in rule.text:
                # The real server answers in plain text when it has too much to do.
                return web.Response(
                    status=429, text="Too many requests, please try again later.\n", headers={"Retry-After": str(rule.get("retryAfter", 1))}
                )
            raise self._refusal(code, rule)
        return None

    @staticmethod
    def _refusal(code, rule):
        known = {
            401: ("Unauthorized", "Unauthorized"),
            403: ("Forbidden", "forbidden"),
            404: ("NotFound", "the server could not find the requested resource"),
            409: (
                "Conflict",
                "Operation cannot be fulfilled: the object has been modified; please apply your changes to the latest version and try again",
            ),
            410: ("Expired", "The resourceVersion for the provided list is too old."),
            429: ("TooManyRequests", "too many requests"),
            500: ("InternalError", "Internal error occurred: etcdserver: leader changed"),
            503: ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504: ("Timeout", "Timeout: request did not complete within the allotted timeout"),
        }
        reason, message = known.get(code, ("Unknown", "an error"))
        headers = {"Retry-After": str(rule["retryAfter"])} if "retryAfter" in rule.text else {}
        return errors.ApiError(code, rule.get("reason", reason), rule.get("message", message), {}, headers)

    async def _accident_after(self, rule, request, response):
        """What happens to the answer of a request that was carried out."""
        if rule["action"] == "lose":
            raise Drop
        if rule["action"] == "reset":
            stream = web.StreamResponse(
                status=response.status, headers={"Content-Type": "application/json", "Content-Length": str(len(response.body))}
            )
            await stream.prepare(request)
            await stream.write(response.body[: rule.get("bytes", len(response.body) // 2)])
            raise Drop

    # The verbs.

    async def _carry_out(self, request, target, verb, query, user):
        """The body of the answer, its status and headers."""
        verbs, resource = self._cluster.verbs, target.resource
        if verb == "get":
            return verbs.get(resource, target.namespace if resource.namespaced else "", target.name), 200, None
        if verb == "list":
            return verbs.list(resource, target.namespace, query), 200, None
        data = await request.read()
        content_type = request.headers.get("Content-Type", "")
        namespace = target.namespace if resource.namespaced else ""
        if verb == "patch":
            media_type = content_type.partition(";")[0]
            try:
                patch = json.loads(data)
            except ValueError as error:
                raise errors.bad_request(f"error decoding patch: {error}") from None
            return verbs.patch(resource, namespace, target.name, media_type, patch, query), 200, None
        if verb in ("delete", "deletecollection"):
            options = self._cluster.schema.decode(_OPTIONS, parse_body(_OPTIONS, content_type, data)) if data else {}
            if verb == "deletecollection":
                return verbs.delete_all(resource, namespace, options, query), 200, None
            body, warnings = verbs.delete(resource, namespace, target.name, options, query)
            return body, 200, {"Warning": warnings[0]} if warnings else None
        body = parse_body(resource, content_type, data)
        if verb == "update":
            return verbs.update(resource, namespace, target.name, body, query), 200, None
        if resource is ACCESS_REVIEWS:
            return self._review(body, user), 201, None
        if target.subresource == "eviction":
            return self._evict(target), 201, None
        manager = query.get("fieldManager") or request.headers.get("User-Agent", "unknown").partition("/")[0]
        created = verbs.create(resource, namespace, body, query, manager)
        if resource is NAMESPACES and not query.get("dryRun"):
            verbs.prepare_namespace(created["metadata"]["name"])
        return created, 201, None

    def _review(self, body, user):
        """May I?"""
        review = self._cluster.schema.decode(ACCESS_REVIEWS, body, optional="metadata")
        asked = review["spec"].get("resourceAttributes", {})
        resource = resources.BY_PATH.get((asked.get("group", ""), "v1", asked.get("resource", "")))
        allowed = resource is not None and self._cluster.access.allowed(
            user, Request(asked.get("verb", ""), resource, asked.get("subresource", ""), asked.get("namespace", ""), asked.get("name", ""))
        )
        return {
            "kind": ACCESS_REVIEWS.kind,
            "apiVersion": ACCESS_REVIEWS.api_version,
            "metadata": {"creationTimestamp": None},
            "spec": review["spec"],
            "status": {"allowed": bool(allowed)},
        }

    def _evict(self, target):
        pod = self._cluster.store.find(PODS, target.namespace, target.name)
        worker = self._cluster.kubelet.worker(pod)
        if worker is not None:
            worker.disrupt("EvictionByEvictionAPI", "Eviction API: evicting")
        else:
            self._cluster.verbs.delete_pod(pod)
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}

    # Streams.

    async def _stream(self, request, content_type):
        response = web.StreamResponse(headers={"Content-Type": content_type, "Cache-Control": "no-cache, private"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        return response

    async def _watch(self, request, target, query, rule):
        watch = Watch(self._cluster.store, target.resource, target.namespace, target.name, query, self._cluster.pace)
        response = None

        async def send(data):
            await response.write(data)

        try:
            watch.start_version()
        except errors.ApiError as error:
            if error.code != 410:
                raise
        response = await self._stream(request, "application/json")
        self._watches[id(request)] = (request, target.resource.plural)
        self.most_watches = max(self.most_watches, self.open_watches)
        try:
            await watch.run(send, rule if rule is not None and rule["action"] in ("expire", "cut", "garbage", "stall") else None)
            await response.write_eof()
        except ConnectionAbortedError:
            request.transport.abort()
        except ConnectionResetError:
            pass
        finally:
            del self._watches[id(request)]
        return response

    async def _log(self, request, target, query):
        cluster = self._cluster
        pod = cluster.store.find(PODS, target.namespace, target.name)
        spec, status = pod["spec"], pod["status"]
        names = [c["name"] for c in spec["containers"]]
        init_names = [c["name"] for c in spec.get("initContainers", ())]
        name = query.get("container") or (names[0] if len(names) == 1 else "")
        if not name:
            also = f" or one of the init containers: [{' '.join(init_names)}]" if init_names else ""
            raise errors.bad_request(f"a container name must be specified for pod {target.name}, choose one of: [{' '.join(names)}]{also}")
        if name not in names + init_names:
            raise errors.bad_request(f"container {name} is not valid for pod {target.name}")
        if not spec.get("nodeName"):
            return web.Response(content_type="text/plain", body=b"")
        if not cluster.scheduler.nodes[spec["nodeName"]].ready:
            raise errors.ApiError(
                500,
                "InternalError",
                f'Get "https://127.0.0.1:10250/containerLogs/{target.namespace}/{target.name}/{name}": dial tcp 127.0.0.1:10250: connect: connection refused',
                {},
            )
        files = cluster.kubelet.logs.get(pod["metadata"]["uid"], {}).get(name, [])
        if is_set(query, "previous"):
            if len(files) < 2:
                raise errors.bad_request(f'previous terminated container "{name}" in pod "{target.name}" not found')
            files = files[:-1]
        if not files:
            states = status.get("initContainerStatuses", []) + status.get("containerStatuses", [])
            waiting = next((s["state"].get("waiting") for s in states if s["name"] == name), None)
            if waiting is not None:
                raise errors.bad_request(
                    f'container "{name}" in pod "{target.name}" is waiting to start: {_WAITING_TEXTS.get(waiting["reason"], waiting["reason"])}'
                )
            return web.Response(content_type="text/plain", body=b"")
        return await self._send_log(request, files[-1], query)

    async def _send_log(self, request, file, query):
        timestamps = is_set(query, "timestamps")
        limit = int(query["limitBytes"]) if query.get("limitBytes") else None
        size = file.path.stat().st_size
        text = b"".join(logs.shown(entry, timestamps) for entry in logs.select(file.read(), query))[:limit]
        response = await self._stream(request, "text/plain")
        try:
            if text:
                await response.write(text)
            if is_set(query, "follow") and limit is None:
                async for entry in file.follow(size):
                    await response.write(logs.shown(entry, timestamps))
            await response.write_eof()
        except ConnectionResetError:
            pass
        return response


class _Options:
    """The body of a deletion, decoded like an object."""

    group, version, kind, plural, definition = "", "v1", "DeleteOptions", "deleteoptions", "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"


_OPTIONS = _Options()
