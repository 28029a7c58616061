"""The operations of the API: each has the name of its own in the model, and takes and gives bodies."""

import base64

from .errors import client_error

_MOST_DESCRIBED = 100
_MOST_LISTED = 1000
_MOST_FILTERED = 100


def _words(name):
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class BatchService:
    """AWS Batch."""

    def __init__(self, world):
        self._world = world

    def call(self, operation, request):
        method = getattr(self, _words(operation), None)
        if method is None:
            raise client_error(f"this server has no {operation}")
        return method(request)

    def _page(self, items, request, name, most):
        """As many as fit, and how to go on."""
        wanted = request.get("maxResults", most)
        if not 1 <= wanted <= _MOST_LISTED:
            raise client_error("Error executing request, Exception : maxResults has to be from 1 to 1000")
        size = min(wanted, most, self._world.page_size or most)
        start = 0
        if token := request.get("nextToken"):
            try:
                start = int(base64.b64decode(token, validate=True))
            except ValueError:
                raise client_error("Error executing request, Exception : Invalid nextToken") from None
        body = {name: items[start : start + size]}
        if start + size < len(items):
            body["nextToken"] = base64.b64encode(str(start + size).encode()).decode()
        return body

    def register_job_definition(self, request):
        definition = self._world.definitions.register(request)
        return {"jobDefinitionName": definition.name, "jobDefinitionArn": definition.arn, "revision": definition.revision}

    def deregister_job_definition(self, request):
        self._world.definitions.deregister(request["jobDefinition"])
        return {}

    def describe_job_definitions(self, request):
        return self._page(self._world.definitions.describe(request), request, "jobDefinitions", _MOST_DESCRIBED)

    def describe_job_queues(self, request):
        return self._page(self._world.queues.describe(request.get("jobQueues")), request, "jobQueues", _MOST_DESCRIBED)

    def describe_compute_environments(self, request):
        found = self._world.queues.describe_environments(request.get("computeEnvironments"))
        return self._page(found, request, "computeEnvironments", _MOST_DESCRIBED)

    def submit_job(self, request):
        job = self._world.jobs.submit(request)
        return {"jobArn": self._world.arn(f"job/{job.id}"), "jobName": job.name, "jobId": job.id}

    def describe_jobs(self, request):
        if len(request["jobs"]) > _MOST_DESCRIBED:
            raise client_error(f"Error executing request, Exception : jobs must have at most {_MOST_DESCRIBED} ids")
        return {"jobs": self._world.jobs.describe(request["jobs"])}

    def list_jobs(self, request):
        most = _MOST_FILTERED if request.get("filters") else _MOST_LISTED
        return self._page(self._world.jobs.list(request), request, "jobSummaryList", most)

    def terminate_job(self, request):
        self._end(request, terminate=True)
        return {}

    def cancel_job(self, request):
        self._end(request, terminate=False)
        return {}

    def _end(self, request, terminate):
        if not request["reason"]:
            raise client_error("Error executing request, Exception : reason is empty")
        self._world.jobs.find(request["jobId"]).end(request["reason"], terminate=terminate)


class LogsService:
    """CloudWatch Logs."""

    def __init__(self, world):
        self._world = world

    def call(self, operation, request):
        if operation != "GetLogEvents":
            raise client_error(f"this server has no {operation}")
        return self._world.logs.get_log_events(request)
