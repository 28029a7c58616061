"""Jobs and their states, single ones and arrays."""

import asyncio
import copy
import re
import uuid

from .attempts import Attempt, Cut, milliseconds
from .definitions import check_environment, check_name, check_retry, check_timeout, resources_of
from .errors import client_error

STATES = ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED", "FAILED")
ENDED = ("SUCCEEDED", "FAILED")
_LONGEST_OVERRIDES = 8192
_MOST_DEPENDENCIES = 20
_ARRAY_SIZES = range(2, 10001)


def merged(container, overrides):
    """The container of a definition with what a job says differently."""
    container = copy.deepcopy(container)
    if overrides.get("command"):
        container["command"] = overrides["command"]
    for name, key in (("environment", "name"), ("resourceRequirements", "type")):
        by_key = {item[key]: item for item in (*container.get(name, ()), *overrides.get(name, ()))}
        if by_key:
            container[name] = list(by_key.values())
    return container


class Job:
    """One job; the children of an array are jobs, too."""

    def __init__(self, world, queue, definition, request, parent=None, index=None):
        self._world = world
        self.queue = queue
        self.definition = definition
        self.request = request
        self.parent = parent
        self.index = index
        self.id = str(uuid.uuid4()) if parent is None else f"{parent.id}:{index}"
        self.name = request["jobName"]
        self.container = merged(definition.container, request.get("containerOverrides", {}))
        self.amounts = resources_of(self.container["resourceRequirements"])
        self.status = "SUBMITTED"
        self.reason = None
        self.created = milliseconds()
        self.stopped = None
        self.attempts = []
        self.attempt = None
        self.children = []
        self.ended = asyncio.get_running_loop().create_future()
        self.dependencies = []
        self.is_terminated = self.is_cancelled = False
        self._cut = None

    @property
    def cpu(self):
        return self.amounts["VCPU"]

    @property
    def memory(self):
        return self.amounts["MEMORY"]

    @property
    def timeout(self):
        both = {**self.definition.request.get("timeout", {}), **self.request.get("timeout", {})}
        return both.get("attemptDurationSeconds")

    @property
    def _retry(self):
        return self.request.get("retryStrategy") or self.definition.request.get("retryStrategy") or {}

    def set(self, status, reason=None):
        self.status = status
        self.reason = reason
        if self.parent is not None:
            self.parent.child_changed()

    # Its way.

    async def run(self):
        """From SUBMITTED to the end."""
        pace = self._world.pace
        await asyncio.sleep(pace)
        if self.dependencies and self._cut is None:
            self.set("PENDING")
            results = await asyncio.gather(*(asyncio.shield(job.ended) for job in self.dependencies))
            if "FAILED" in results and self._cut is None:
                self._cut = Cut("Dependent Job failed")
        succeeded, reason = False, ""
        most = self._retry.get("attempts", 1)
        for number in range(1, most + 1):
            if self._cut is not None:
                reason = self._cut.reason
                break
            self.attempt = Attempt(self._world, self, number)
            succeeded, reason, final = await self.attempt.run()
            self.attempt.detail["statusReason"] = reason
            if self.attempt.started is not None or self.attempt.detail["container"].get("reason"):
                self.attempts.append(self.attempt.detail)
            if succeeded or final or self._exits(reason):
                break
        self.finish("SUCCEEDED" if succeeded else "FAILED", reason)

    def finish(self, status, reason):
        self.stopped = milliseconds()
        self.set(status, reason)
        if not self.ended.done():
            self.ended.set_result(status)

    def _exits(self, reason):
        """Whether the retry strategy says that this end is no reason for another attempt."""
        container = self.attempt.detail["container"]
        values = {"onStatusReason": reason, "onReason": container.get("reason", ""), "onExitCode": str(container.get("exitCode", ""))}
        for condition in self._retry.get("evaluateOnExit", ()):
            patterns = {name: text for name, text in condition.items() if name in values}
            if all(_matches(pattern, values[name]) for name, pattern in patterns.items()):
                return condition["action"].upper() == "EXIT"
        return False

    def child_changed(self):
        """Of a parent: its status follows from those of its children."""
        states = {child.status for child in self.children}
        if self.status in ENDED or not states:
            return
        if states <= set(ENDED):
            self.finish("FAILED" if "FAILED" in states else "SUCCEEDED", "Array Child Job failed" if "FAILED" in states else None)
        elif states - {"SUBMITTED"}:
            self.status = "PENDING"

    def end(self, reason, *, terminate):
        """TerminateJob or CancelJob; the latter only of what has not begun."""
        if self.status in ENDED:
            return
        if self.children:
            for child in self.children:
                child.end(reason, terminate=terminate)
        begun = self.status in ("STARTING", "RUNNING")
        if begun and not terminate:
            return
        if terminate:
            self.is_terminated = True
        else:
            self.is_cancelled = True
        if self._cut is None:
            self._cut = Cut(reason, final=True)
        if self.attempt is not None:
            self.attempt.cut(self._cut)

    # What its container gets.

    def command(self):
        parameters = {**self.definition.request.get("parameters", {}), **self.request.get("parameters", {})}
        return [re.sub(r"Ref::([\w.-]+)", lambda m: parameters.get(m.group(1), m.group(0)), word) for word in self.container.get("command", ())]

    def environment(self, attempt):
        own = {variable["name"]: variable.get("value", "") for variable in self.container.get("environment", ())}
        own.update(
            AWS_BATCH_JOB_ID=self.id,
            AWS_BATCH_JOB_ATTEMPT=str(attempt),
            AWS_BATCH_JQ_NAME=self.queue.name,
            AWS_BATCH_CE_NAME=self.queue.environment.name,
            ECS_CONTAINER_METADATA_URI_V4="http://169.254.170.2/v4/" + self.id.replace(":", "-"),
        )
        if self.index is not None:
            own["AWS_BATCH_JOB_ARRAY_INDEX"] = str(self.index)
        if self.container.get("jobRoleArn"):
            own["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = self._world.role_url
        return own

    # --- the descriptions of a job

    def _container_detail(self):
        last = self.attempts[-1]["container"] if self.attempts else {}
        if self.attempt is not None and self.status in ("STARTING", "RUNNING"):
            last = self.attempt.detail["container"]
        shown = ("image", "command", "jobRoleArn", "executionRoleArn", "volumes", "environment", "mountPoints", "resourceRequirements", "logConfiguration",
                 "linuxParameters", "privileged", "networkConfiguration", "ephemeralStorage")  # fmt: skip
        detail = {name: self.container[name] for name in shown if name in self.container}
        return {**detail, "ulimits": [], "secrets": [], "networkInterfaces": [], **last}

    @property
    def started(self):
        if self.status == "RUNNING":
            return self.attempt.started
        return self.attempts[-1].get("startedAt") if self.attempts else None

    def summary(self):
        summary = {
            "jobArn": self._world.arn(f"job/{self.id}"),
            "jobId": self.id,
            "jobName": self.name,
            "createdAt": self.created,
            "status": self.status,
            "jobDefinition": self.definition.arn,
            **({"statusReason": self.reason} if self.reason else {}),
            **({"startedAt": self.started} if self.started else {}),
            **({"stoppedAt": self.stopped} if self.stopped else {}),
        }
        last = self.attempts[-1]["container"] if self.attempts else {}
        if last.keys() & {"exitCode", "reason"}:
            summary["container"] = {name: last[name] for name in ("exitCode", "reason") if name in last}
        if self.children:
            summary["arrayProperties"] = {"size": len(self.children)}
        elif self.index is not None:
            summary["arrayProperties"] = {"index": self.index}
        return summary

    def detail(self):
        detail = {name: value for name, value in self.summary().items() if name != "container"}
        detail.setdefault("startedAt", 0)
        detail.update(
            jobQueue=self.queue.arn,
            attempts=self.attempts,
            dependsOn=[{"jobId": job.id} for job in self.dependencies],
            parameters={**self.definition.request.get("parameters", {}), **self.request.get("parameters", {})},
            platformCapabilities=["FARGATE" if self.definition.is_fargate else "EC2"],
            isCancelled=self.is_cancelled,
            isTerminated=self.is_terminated,
        )
        for name in ("retryStrategy", "propagateTags", "tags"):
            if name in self.request or name in self.definition.request:
                detail[name] = self.request.get(name, self.definition.request.get(name))
        if self.timeout is not None:
            detail["timeout"] = {"attemptDurationSeconds": self.timeout}
        if self.children:
            counts = {state: sum(child.status == state for child in self.children) for state in STATES}
            detail["arrayProperties"] = {"size": len(self.children), "statusSummary": counts}
        else:
            detail["container"] = self._container_detail()
        return detail


def _matches(pattern, text):
    """The globs of evaluateOnExit: a star at the end only."""
    if pattern.endswith("*"):
        return text.lower().startswith(pattern[:-1].lower())
    return text.lower() == pattern.lower()


class Jobs:
    """All jobs."""

    def __init__(self, world, queues, definitions, listing_delay):
        self._world = world
        self._queues = queues
        self._definitions = definitions
        self._listing_delay = listing_delay
        self._jobs = {}
        self._tasks = set()

    def submit(self, request):
        check_name(request["jobName"], "Job Name")
        queue = self._queues.find(request["jobQueue"])
        if (queue.state, queue.status) != ("ENABLED", "VALID"):
            raise client_error(f"JobQueue {queue.name} is {queue.state} and {queue.status}: it takes no jobs")
        definition = self._definitions.find(request["jobDefinition"])
        overrides = request.get("containerOverrides", {})
        if self._world.size_of(overrides) > _LONGEST_OVERRIDES:
            raise client_error(f"Container Overrides length must be at most {_LONGEST_OVERRIDES}")
        if queue.environment.is_fargate != definition.is_fargate:
            raise client_error(
                f"The job queue {queue.name} has machines of type {queue.environment.type}, and the job definition is for "
                f"{'FARGATE' if definition.is_fargate else 'EC2'}"
            )
        check_environment(overrides.get("environment", ()))
        check_retry(request.get("retryStrategy"))
        job = Job(self._world, queue, definition, request)
        self._definitions.check_container(job.container, definition.is_fargate)
        check_timeout(job.timeout)
        self._add_dependencies(job, request)
        size = request.get("arrayProperties", {}).get("size")
        if size is not None:
            self._add_children(job, size)
        self._jobs[job.id] = job
        for each in job.children or [job]:
            self._start(each)
        return job

    def _add_dependencies(self, job, request):
        dependencies = request.get("dependsOn", ())
        if len(dependencies) > _MOST_DEPENDENCIES:
            raise client_error(f"A job depends on at most {_MOST_DEPENDENCIES} others")
        for dependency in dependencies:
            if "jobId" in dependency:
                job.dependencies.append(self.find(dependency["jobId"]))
            elif dependency.get("type") != "SEQUENTIAL":
                raise client_error("A dependency needs a jobId")

    def _add_children(self, job, size):
        if size not in _ARRAY_SIZES:
            raise client_error(f"Array size must be between {_ARRAY_SIZES.start} and {_ARRAY_SIZES.stop - 1}: {size}")
        kinds = [dependency.get("type") for dependency in job.request.get("dependsOn", ())]
        for index in range(size):
            child = Job(self._world, job.queue, job.definition, job.request, job, index)
            child.dependencies = list(job.dependencies)
            for i, kind in enumerate(kinds):
                if kind == "N_TO_N":
                    child.dependencies[i] = self.find(f"{job.dependencies[i].id}:{index}")
            if "SEQUENTIAL" in kinds and index > 0:
                child.dependencies.append(job.children[-1])
            job.children.append(child)

    def _start(self, job):
        task = asyncio.ensure_future(job.run())
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task):
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            asyncio.get_running_loop().call_exception_handler({"message": "a job failed in the server", "exception": task.exception()})

    def find(self, job_id):
        job = self._find(job_id)
        if job is None:
            raise client_error(f"Job not found: {job_id}")
        return job

    def _find(self, job_id):
        parent, colon, index = job_id.partition(":")
        job = self._jobs.get(parent)
        if job is None or not colon:
            return job
        return job.children[int(index)] if index.isdigit() and int(index) < len(job.children) else None

    def describe(self, ids):
        found = (self._find(job_id) for job_id in ids)
        return [job.detail() for job in found if job is not None]

    def list(self, request):
        which = [name for name in ("jobQueue", "arrayJobId", "multiNodeJobId") if name in request]
        if len(which) != 1:
            raise client_error("Exactly one of jobQueue, arrayJobId, multiNodeJobId is needed")
        if "jobQueue" in request:
            queue = self._queues.find(request["jobQueue"])
            now = milliseconds()
            jobs = [job for job in self._jobs.values() if job.queue is queue and now - job.created >= self._listing_delay * 1000]
        else:
            jobs = self.find(request[which[0]]).children
        if filters := request.get("filters"):
            return [job.summary() for job in sorted(self._filtered(jobs, filters), key=lambda job: -job.created)]
        status = request.get("jobStatus", "RUNNING")
        return [job.summary() for job in jobs if job.status == status]

    @staticmethod
    def _filtered(jobs, filters):
        if len(filters) != 1 or len(filters[0].get("values", ())) != 1:
            raise client_error("Only one filter with one value can be used")
        name, value = filters[0].get("name"), filters[0]["values"][0]
        if name == "JOB_NAME":
            return [job for job in jobs if _matches(value, job.name)]
        if name == "JOB_DEFINITION":
            known = lambda d: {d.name, d.arn}  # noqa: E731
            return [job for job in jobs if value in known(job.definition) or (value.endswith("*") and job.definition.name.startswith(value[:-1]))]
        if name in ("BEFORE_CREATED_AT", "AFTER_CREATED_AT") and value.isdigit():
            return [job for job in jobs if (job.created < int(value)) == (name == "BEFORE_CREATED_AT")]
        raise client_error(f"Invalid filter {name}={value}")

    def all(self):
        return list(self._jobs.values())

    def forget(self, job_id):
        del self._jobs[job_id]

    async def close(self):
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
