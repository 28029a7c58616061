"""Job queues, and the compute environments behind them, which have room for so many vCPUs."""

import asyncio

from .errors import client_error

_DEFAULT_ENVIRONMENTS = {
    "ec2": {"type": "EC2"},
    "spot": {"type": "SPOT"},
    "fargate": {"type": "FARGATE"},
    "fargate-spot": {"type": "FARGATE_SPOT"},
}
_DEFAULT_VCPUS = 64


class Environment:
    """Machines that come when they are needed."""

    def __init__(self, arn, name, text):
        self.arn = arn
        self.name = name
        self.type = text.get("type", "EC2")
        self.unmanaged = text.get("unmanaged", False)
        self.orchestration = text.get("orchestration", "ECS")
        self.vcpus = text.get("maxvCpus", _DEFAULT_VCPUS)
        self._used = 0
        self._changed = asyncio.Condition()

    @property
    def is_fargate(self):
        return self.type.startswith("FARGATE")

    @property
    def is_spot(self):
        return self.type.endswith("SPOT")

    def fits(self, cpu):
        return cpu <= self.vcpus

    async def take(self, cpu):
        """Waits for room."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._used + cpu <= self.vcpus)
            self._used += cpu

    async def give_back(self, cpu):
        async with self._changed:
            self._used -= cpu
            self._changed.notify_all()

    def described(self):
        detail = {
            "computeEnvironmentName": self.name,
            "computeEnvironmentArn": self.arn,
            "type": "UNMANAGED" if self.unmanaged else "MANAGED",
            "state": "ENABLED",
            "status": "VALID",
            "statusReason": "ComputeEnvironment Healthy",
            "containerOrchestrationType": self.orchestration,
        }
        if not self.unmanaged:
            detail["computeResources"] = {"type": self.type, "maxvCpus": self.vcpus, "subnets": ["subnet-1"], "securityGroupIds": ["sg-1"]}
        return detail


class Queue:
    """Where jobs wait."""

    def __init__(self, arn, name, text, environments):
        self.arn = arn
        self.name = name
        self.state = text.get("state", "ENABLED")
        self.status = text.get("status", "VALID")
        self.environments = environments

    @property
    def environment(self):
        return self.environments[0]

    def described(self):
        return {
            "jobQueueName": self.name,
            "jobQueueArn": self.arn,
            "state": self.state,
            "status": self.status,
            "statusReason": "JobQueue Healthy",
            "priority": 1,
            "computeEnvironmentOrder": [{"order": i, "computeEnvironment": e.arn} for i, e in enumerate(self.environments, 1)],
        }


class Queues:
    """All queues; without a scenario one for each kind of machine, with its name."""

    def __init__(self, scenario, arn):
        environments = scenario.get("environments", _DEFAULT_ENVIRONMENTS)
        queues = scenario.get("queues", {name: {"environments": [name]} for name in environments})
        self.environments = {name: Environment(arn(f"compute-environment/{name}"), name, text) for name, text in environments.items()}
        self.queues = {
            name: Queue(arn(f"job-queue/{name}"), name, text, [self.environments[e] for e in text["environments"]]) for name, text in queues.items()
        }

    def find(self, name):
        """By name or ARN."""
        for queue in self.queues.values():
            if name in (queue.name, queue.arn):
                return queue
        raise client_error(f"JobQueue {name} not found.")

    def describe(self, names):
        chosen = self.queues.values() if names is None else [q for q in self.queues.values() if {q.name, q.arn} & set(names)]
        return [queue.described() for queue in chosen]

    def describe_environments(self, names):
        chosen = self.environments.values() if names is None else [e for e in self.environments.values() if {e.name, e.arn} & set(names)]
        return [environment.described() for environment in chosen]
