"""Puts the parts together: one account in one region."""

import json

from ..containers.images import Images
from ..containers.runtime import Permissions, Runtime
from .access import Access
from .definitions import Definitions
from .faults import Faults
from .jobs import Jobs
from .logs import Logs
from .model import Model
from .queues import Queues

REGION = "us-east-1"
ACCOUNT = "123456789012"
_ROLE_SECONDS = 3600


class World:
    """What both services share."""

    def __init__(self, directory, scenario, pace, url):
        self.pace = pace
        self.role_url = url + "/role"
        self.model = Model("batch")
        self.logs_model = Model("logs")
        self.access = Access(REGION, ACCOUNT)
        self.faults = Faults()
        for rule in scenario.get("rules", ()):
            self.faults.add(rule)
        self.quotas = {"SubmitJob": 50.0, "GetLogEvents": 25.0, **scenario.get("quotas", {})}
        self.page_size = scenario.get("pageSize")
        self.logs = Logs(scenario.get("logPageSize", 10000))
        self.queues = Queues(scenario, self.arn)
        self.definitions = Definitions(self.arn, self.model)
        self.jobs = Jobs(self, self.queues, self.definitions, scenario.get("listingDelay", 0))
        self.permissions = Permissions(scenario.get("isolated", True))
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o700)
        self._volumes = directory / "volumes"
        self.images = Images(directory, [(entry["image"], entry["root"]) for entry in scenario.get("images", ())])
        self.runtime = Runtime(directory, self.permissions, self.images)
        self.runtime.simulation.update(scenario.get("simulation", {}))

    @staticmethod
    def arn(name, service="batch"):
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:{name}"

    @staticmethod
    def size_of(overrides):
        return len(json.dumps(overrides, separators=(",", ":")))

    def role_keys(self, arn="task-role"):
        """What the container's endpoint for credentials gives."""
        key = self.access.issue(arn, _ROLE_SECONDS)
        expires = key.expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        return {"RoleArn": arn, "AccessKeyId": key.access, "SecretAccessKey": key.secret, "Token": key.token, "Expiration": expires}

    def mounts_of(self, container):
        """Directories in the place of volumes, of the host's and in memory: those of one name are the same for all jobs."""
        places = {}
        for volume in container.get("volumes", ()):
            source = volume.get("host", {}).get("sourcePath") or volume.get("efsVolumeConfiguration", {}).get("fileSystemId") or volume["name"]
            places[volume["name"]] = self._directory_for(source)
        mounts = [
            {"source": places[point["sourceVolume"]], "path": point["containerPath"], "readOnly": point.get("readOnly", False)}
            for point in container.get("mountPoints", ())
        ]
        for tmpfs in container.get("linuxParameters", {}).get("tmpfs", ()):
            mounts.append({"source": self._directory_for("tmpfs" + tmpfs["containerPath"]), "path": tmpfs["containerPath"], "readOnly": False})
        return mounts

    def _directory_for(self, source):
        directory = self._volumes / source.strip("/").replace("/", "_")
        directory.mkdir(parents=True, exist_ok=True)
        return str(directory)

    async def close(self):
        await self.jobs.close()
        await self.runtime.close()
