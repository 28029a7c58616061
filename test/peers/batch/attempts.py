"""One attempt of a job: a container that is placed, started, and comes to an end."""

import asyncio
import contextlib
import hashlib
import signal
import time
import uuid

from ..containers.runtime import StartError

_STOP_TIMEOUT = 30  # seconds between SIGTERM and SIGKILL, as the container agent has them
_STUCK = "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - Service cannot fulfill the capacity requested for instance type [m5.large]"
_OOM = "OutOfMemoryError: Container killed due to memory usage"


def milliseconds():
    return int(time.time() * 1000)


class Cut(Exception):
    """The attempt ends before its container did by itself: with a reason for the status, and for the container."""

    def __init__(self, reason, *, final=False):
        super().__init__(reason)
        self.reason = reason
        self.final = final  # no other attempt follows


class Attempt:
    """What happens between RUNNABLE and the container's end."""

    def __init__(self, world, job, number):
        self._world = world
        self._job = job
        self._number = number
        self._rule = world.faults.of_attempt(job)
        self._accident = asyncio.get_running_loop().create_future()  # a Cut, or what a rule says
        self.process = None
        self.detail = {"container": {"networkInterfaces": []}}
        self.started = None

    @property
    def _container(self):
        return self.detail["container"]

    def cut(self, accident):
        """Something else ends it. Only the first counts."""
        if not self._accident.done():
            self._accident.set_result(accident)

    async def run(self):
        """Whether it succeeded, the reason of its status, and whether that is final."""
        try:
            return await self._run()
        except Cut as cut:
            return False, cut.reason, cut.final
        except StartError as error:
            self._container.update(reason=f"CannotStartContainerError: Error response from daemon: {error}: unknown", exitCode=127)
            return False, "Task failed to start", False
        finally:
            self.detail["stoppedAt"] = milliseconds()

    async def _run(self):
        job = self._job
        environment = job.queue.environment
        job.set("RUNNABLE")
        if self._rule is not None and self._rule["action"] == "stuck":
            job.set("RUNNABLE", self._rule.get("message", _STUCK))
            await self._unless_cut(asyncio.sleep(self._rule.get("after", 1e9)))
        if not environment.fits(job.cpu):
            job.set("RUNNABLE", "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet the CPU requirement of the job.")
            await self._unless_cut(asyncio.sleep(1e9))
        await self._unless_cut(environment.take(job.cpu))
        try:
            job.set("STARTING")
            task = uuid.uuid4().hex
            self._container["taskArn"] = self._world.arn(f"task/{environment.name}/{task}", "ecs")
            if not environment.is_fargate:
                self._container["containerInstanceArn"] = self._world.arn(f"container-instance/{environment.name}/{uuid.uuid4().hex}", "ecs")
            await self._unless_cut(asyncio.sleep(self._world.pace))
            tree = self._pulled()
            stream = self._stream(task)
            await self._start(tree, stream)
            self.started = self.detail["startedAt"] = milliseconds()
            job.set("RUNNING")
            return await self._ending()
        finally:
            await self._clean()
            await environment.give_back(job.cpu)

    def _pulled(self):
        image = self._job.container["image"]
        tree = self._world.images.find(image)
        if tree is None or (self._rule is not None and self._rule["action"] == "cannot-pull"):
            self._container["reason"] = (
                f"CannotPullContainerError: pull image manifest has been retried 1 time(s): failed to resolve ref docker.io/library/{image}: not found"
            )
            raise Cut("Task failed to start")
        return tree

    def _stream(self, task):
        log = self._job.container.get("logConfiguration", {"logDriver": "awslogs"})
        if log["logDriver"] != "awslogs" or (self._rule is not None and self._rule["action"] == "no-log"):
            return self._world.logs.nowhere()
        options = log.get("options", {})
        prefix = options.get("awslogs-stream-prefix", self._job.definition.name)
        name = self._container["logStreamName"] = f"{prefix}/default/{task}"
        return self._world.logs.stream(options.get("awslogs-group", "/aws/batch/job"), name)

    async def _start(self, tree, stream):
        job = self._job
        if tree["kind"] == "simulated":
            self.process = self._world.runtime.simulate(stream)
            return
        command = job.command()
        if not command:
            raise StartError("failed to create task for container: no command specified")
        self.process = await self._world.runtime.start(
            tree,
            {
                "command": command,
                "environment": job.environment(self._number),
                "hostName": f"ip-10-0-0-{int(hashlib.sha1(job.id.encode()).hexdigest(), 16) % 250}",
                "mounts": self._world.mounts_of(job.container),
                "memory": int(job.memory) << 20,
                "readOnlyRoot": job.container.get("readonlyRootFilesystem", False),
            },
            stream,
        )

    async def _ending(self):
        """Waits for the container, its time, or an accident."""
        job = self._job
        waiting = asyncio.ensure_future(self.process.wait())
        timer = None
        if job.timeout is not None:
            timer = asyncio.get_running_loop().call_later(job.timeout, self.cut, Cut("Job attempt duration exceeded timeout", final=True))
        rule = self._rule
        accident_timer = None
        if rule is not None and rule["action"] in ("oom", "exit", "reclaim"):
            accident_timer = asyncio.get_running_loop().call_later(rule.get("after", 0), self.cut, rule)
        try:
            await asyncio.wait([waiting, self._accident], return_when=asyncio.FIRST_COMPLETED)
            if waiting.done():
                return self._ended(waiting.result())
            return await self._cut_short(waiting, self._accident.result())
        finally:
            for each in (timer, accident_timer):
                if each is not None:
                    each.cancel()

    def _ended(self, exit_):
        self._container["exitCode"] = exit_.code
        if exit_.out_of_memory:
            self._container["reason"] = _OOM
        return exit_.code == 0, "Essential container in task exited", False

    async def _cut_short(self, waiting, accident):
        if isinstance(accident, Cut):
            await self._stop(waiting)
            self._container["exitCode"] = (await waiting).code
            raise accident
        if accident["action"] == "reclaim":
            return await self._reclaim(waiting, accident)
        self.process.kill(signal.SIGKILL)
        await waiting
        self._container["exitCode"] = 137 if accident["action"] == "oom" else accident.get("exitCode", 1)
        if accident["action"] == "oom":
            self._container["reason"] = _OOM
        return False, "Essential container in task exited", False

    async def _reclaim(self, waiting, accident):
        """The machine goes: without a word on EC2, after a while on Fargate."""
        if self._job.queue.environment.is_fargate:
            await self._stop(waiting)
            self._container["exitCode"] = (await waiting).code
            raise Cut(accident.get("message", "Your Spot Task was interrupted."))
        self.process.kill(signal.SIGKILL)
        await waiting
        raise Cut(accident.get("message", f"Host EC2 (instance i-{uuid.uuid4().hex[:17]}) terminated."))

    async def _stop(self, waiting):
        self.process.kill(signal.SIGTERM)
        done, _ = await asyncio.wait([waiting], timeout=_STOP_TIMEOUT)
        if not done:
            self.process.kill(signal.SIGKILL)

    async def _unless_cut(self, what):
        """Waits for something; the end of the job may come first."""
        task = asyncio.ensure_future(what)
        await asyncio.wait([task, self._accident], return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        accident = self._accident.result()
        raise accident if isinstance(accident, Cut) else Cut("Host EC2 terminated.")

    async def _clean(self):
        if self.process is not None:
            self.process.clean()
