"""HTTP: which operation a request is, who asks, whether it is well-formed, and what goes wrong."""

import asyncio
import collections
import json
import sys
import time
import uuid

from aiohttp import web

from .. import serving
from .admin import Admin
from .errors import ServiceError
from .service import BatchService, LogsService

_LARGEST_BODY = 30 * 1024  # of SubmitJob


class Bucket:
    """A quota: so many requests in a second."""

    def __init__(self, rate):
        self._rate = rate
        self._tokens = max(1.0, rate)
        self._last = time.monotonic()

    def take(self):
        now = time.monotonic()
        self._tokens = min(max(1.0, self._rate), self._tokens + (now - self._last) * self._rate)
        self._last = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class Dropped(Exception):
    """The connection breaks."""


class Server:
    """Both services, and the door for tests."""

    def __init__(self, world):
        self.world = world
        self.counts = collections.Counter()
        self.statuses = collections.Counter()
        self._batch = BatchService(world)
        self._logs = LogsService(world)
        self._buckets = {name: Bucket(rate) for name, rate in world.quotas.items()}
        self._admin = Admin(self)

    def application(self):
        app = web.Application(client_max_size=1 << 20)
        app.router.add_get("/role", self._role)
        app.router.add_route("*", "/_test/{name:.*}", self._admin.handle)
        app.router.add_route("*", "/{path:.*}", self._handle, expect_handler=serving.expect)
        return app

    async def _role(self, _request):
        return web.json_response(self.world.role_keys())

    async def _handle(self, request):
        body = await request.read()
        target = request.headers.get("X-Amz-Target", "")
        is_logs = target.startswith("Logs_20140328.")
        try:
            if is_logs:
                operation, model, service = target.partition(".")[2], self.world.logs_model, "logs"
            else:
                operation, model, service = self.world.model.operation_at(request.method, request.path), self.world.model, "batch"
            if operation not in model.operations:
                raise ServiceError("UnknownOperationException", f"{request.method} {request.path} {target}", 404)
            answer = await self._answer(request, body, operation, model, service)
            self.statuses["200"] += 1
            return web.json_response(answer, content_type="application/x-amz-json-1.1" if is_logs else "application/json")
        except ServiceError as error:
            self.statuses[str(error.status)] += 1
            return self._refusal(error, is_logs)
        except Dropped:
            request.transport.abort()
            raise asyncio.CancelledError from None

    @staticmethod
    def _refusal(error, is_logs):
        headers = {"x-amzn-RequestId": str(uuid.uuid4())}
        text = {"message": error.message}
        if is_logs:
            text["__type"] = error.code
        else:
            headers["x-amzn-errortype"] = error.code
        if getattr(error, "retry_after", None) is not None:
            headers["Retry-After"] = str(error.retry_after)
        return web.json_response(text, status=error.status, headers=headers)

    async def _answer(self, request, body, operation, model, service):
        self.counts[operation] += 1
        rule = self.world.faults.of_request(operation)
        action = rule["action"] if rule else None
        if action == "slow":
            await asyncio.sleep(rule["seconds"])
        if action == "drop":
            raise Dropped
        if action == "status":
            error = ServiceError(rule.get("type", "ServerException"), rule.get("message", "told to"), rule["code"])
            error.retry_after = rule.get("retryAfter")
            raise error
        key = self.world.access.authenticate(request, body, service)
        self.world.access.authorize(key, f"{service}:{operation}")
        bucket = self._buckets.get(operation)
        if bucket is not None and not bucket.take():
            if service == "logs":
                raise ServiceError("ThrottlingException", "Rate exceeded")
            raise ServiceError("TooManyRequestsException", "Too Many Requests", 429)
        parsed = self._parsed(request, body, operation, service)
        if problem := model.input_problem(operation, parsed):
            raise ServiceError("ClientException" if service == "batch" else "InvalidParameterException", f"Error executing request, Exception : {problem}")
        answer = (self._batch if service == "batch" else self._logs).call(operation, parsed)
        if problem := model.output_problem(operation, answer):
            print(f"{operation} answers what the model does not know: {problem}: {answer}", file=sys.stderr, flush=True)
            raise ServiceError("ServerException", problem, 500)
        if action == "lose":
            raise Dropped
        return answer

    @staticmethod
    def _parsed(request, body, operation, service):
        expected = "application/x-amz-json-1.1" if service == "logs" else "application/json"
        if request.content_type != expected:
            raise ServiceError("SerializationException", f"the Content-Type is {request.content_type}, not {expected}")
        if operation == "SubmitJob" and len(body) > _LARGEST_BODY:
            raise ServiceError("ClientException", f"the request has {len(body)} bytes, and may have {_LARGEST_BODY}", 413)
        try:
            parsed = json.loads(body or b"{}")
        except ValueError as error:
            raise ServiceError("SerializationException", str(error)) from None
        return parsed
