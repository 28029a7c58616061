"""Job definitions: what can be said once for many jobs."""

import re

from .errors import client_error
from .model import fargate_sizes

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,127}")
_NOT_ON_FARGATE = ("devices", "sharedMemorySize", "tmpfs", "maxSwap", "swappiness")
_LEAST_MEMORY = 4


def check_name(name, what):
    if not _NAME.fullmatch(name):
        raise client_error(f"{what} should match valid pattern: '^[a-zA-Z0-9][a-zA-Z0-9_-]{{0,127}}$': {name!r}")


def check_environment(variables):
    for variable in variables:
        if variable.get("name", "").startswith("AWS_BATCH"):
            raise client_error("Environment variable names can't start with AWS_BATCH")
        if not variable.get("name"):
            raise client_error("Environment variables need a name")


def resources_of(requirements):
    """{"VCPU": 1.0, "MEMORY": 4096.0} of resourceRequirements."""
    amounts = {}
    for requirement in requirements:
        try:
            amounts[requirement["type"]] = float(requirement["value"])
        except ValueError:
            raise client_error(f"Invalid value {requirement['value']!r} of the resource requirement {requirement['type']}") from None
        if requirement["type"] != "VCPU" and not requirement["value"].isdigit():
            raise client_error(f"The value of {requirement['type']} has to be a whole number: {requirement['value']!r}")
    return amounts


class Definition:
    """One revision."""

    def __init__(self, arn, request, revision):
        self.arn = arn
        self.name = request["jobDefinitionName"]
        self.revision = revision
        self.request = request
        self.status = "ACTIVE"

    @property
    def container(self):
        return self.request["containerProperties"]

    @property
    def is_fargate(self):
        return "FARGATE" in self.request.get("platformCapabilities", ["EC2"])

    def described(self):
        kept = {name: value for name, value in self.request.items() if name != "tags"}
        return {**kept, "jobDefinitionArn": self.arn, "revision": self.revision, "status": self.status, "containerOrchestrationType": "ECS"}


class Definitions:
    """All of them."""

    def __init__(self, arn, model):
        self._arn = arn
        self._sizes = fargate_sizes(model)
        self.all = []

    def register(self, request):
        check_name(request["jobDefinitionName"], "Job Definition Name")
        if request["type"] != "container":
            raise client_error(f"this server knows no job definitions of type {request['type']}")
        container = request.get("containerProperties")
        if not container or not container.get("image"):
            raise client_error("Error executing request, Exception : Container properties should not be empty: image is missing")
        if len(request.get("tags", {})) > 50:
            raise client_error("Too many tags")
        self.check_container(container, "FARGATE" in request.get("platformCapabilities", []))
        timeout = request.get("timeout", {}).get("attemptDurationSeconds")
        check_timeout(timeout)
        check_retry(request.get("retryStrategy"))
        revision = 1 + max((d.revision for d in self.all if d.name == request["jobDefinitionName"]), default=0)
        definition = Definition(self._arn(f"job-definition/{request['jobDefinitionName']}:{revision}"), request, revision)
        self.all.append(definition)
        return definition

    def check_container(self, container, fargate):
        """Of a definition, or of a job with its overrides."""
        check_environment(container.get("environment", ()))
        amounts = resources_of(container.get("resourceRequirements", ()))
        for needed in ("VCPU", "MEMORY"):
            if needed not in amounts and needed.lower() not in container:
                raise client_error(f"Error executing request, Exception : {needed} is missing in resourceRequirements")
        if amounts["MEMORY"] < _LEAST_MEMORY:
            raise client_error("Error executing request, Exception : Memory must be at least 4 MiB")
        volumes = {volume.get("name") for volume in container.get("volumes", ())}
        for point in container.get("mountPoints", ()):
            if point.get("sourceVolume") not in volumes:
                raise client_error(f"Unknown volume '{point.get('sourceVolume')}'.")
        if fargate:
            self._check_fargate(container, amounts)
        else:
            self._check_machine(container, amounts)

    def _check_fargate(self, container, amounts):
        if not container.get("executionRoleArn"):
            raise client_error("Error executing request, Exception : EXECUTION_ROLE is required for Fargate")
        for name in _NOT_ON_FARGATE:
            if name in container.get("linuxParameters", {}):
                raise client_error(f"Error executing request, Exception : linuxParameters.{name} is not applicable for Fargate")
        if container.get("privileged"):
            raise client_error("Error executing request, Exception : privileged is not applicable for Fargate")
        if any("host" in volume for volume in container.get("volumes", ())):
            raise client_error("Error executing request, Exception : host volumes are not applicable for Fargate")
        if "GPU" in amounts:
            raise client_error("Error executing request, Exception : GPU is not applicable for Fargate")
        storage = container.get("ephemeralStorage", {}).get("sizeInGiB")
        if storage is not None and not 21 <= storage <= 200:
            raise client_error("Error executing request, Exception : ephemeralStorage has to be from 21 to 200 GiB")
        if amounts["VCPU"] not in self._sizes.get(int(amounts["MEMORY"]), ()):
            raise client_error(
                f"Error executing request, Exception : Fargate resource requirements ({amounts['VCPU']:.2f} vCPU, {amounts['MEMORY']:.0f} MiB) not valid."
            )

    @staticmethod
    def _check_machine(container, amounts):
        if amounts["VCPU"] != int(amounts["VCPU"]) or amounts["VCPU"] < 1:
            raise client_error("Error executing request, Exception : VCPU has to be a whole number from 1 on EC2")
        for name in ("ephemeralStorage", "networkConfiguration", "fargatePlatformConfiguration"):
            if name in container:
                raise client_error(f"Error executing request, Exception : {name} is only applicable for Fargate")

    def find(self, name):
        """By ARN, name:revision, or the latest of a name."""
        active = [d for d in self.all if d.status == "ACTIVE"]
        for definition in reversed(active):
            if name in (definition.arn, definition.name, f"{definition.name}:{definition.revision}", definition.arn.rpartition(":")[0]):
                return definition
        raise client_error(f"JobDefinition not found: {name}")

    def deregister(self, name):
        self.find(name).status = "INACTIVE"

    def describe(self, request):
        found = self.all
        if "jobDefinitions" in request:
            wanted = set(request["jobDefinitions"])
            found = [d for d in found if wanted & {d.arn, f"{d.name}:{d.revision}"}]
        if "jobDefinitionName" in request:
            found = [d for d in found if d.name == request["jobDefinitionName"]]
        if "status" in request:
            found = [d for d in found if d.status == request["status"]]
        return [definition.described() for definition in found]


def check_timeout(seconds):
    if seconds is not None and seconds < 60:
        raise client_error("Error executing request, Exception : attemptDurationSeconds must be at least 60")


def check_retry(strategy):
    if strategy is None:
        return
    if not 1 <= strategy.get("attempts", 1) <= 10:
        raise client_error("Error executing request, Exception : attempts has to be from 1 to 10")
    if len(strategy.get("evaluateOnExit", ())) > 5:
        raise client_error("Error executing request, Exception : evaluateOnExit has at most 5 conditions")
