"""What the tests of the Batch peer share: the official client on it, and waiting for jobs."""

import contextlib
import time

import boto3
import botocore.config

from .batch.launch import Peer
from .batch.world import REGION

# The first process of a container has to say that SIGTERM ends it: until it has, nothing but SIGKILL does.
SLEEP = ["sh", "-c", "trap exit TERM; echo up; while :; do sleep 0.05; done"]
ROLE = "arn:aws:iam::123456789012:role/tasks"
_ENDED = ("SUCCEEDED", "FAILED")


def requirements(cpu="1", memory="256"):
    return [{"type": "VCPU", "value": cpu}, {"type": "MEMORY", "value": memory}]


class Client:
    """The official client, with one pair of keys; it does not try again by itself."""

    def __init__(self, peer: Peer, access=None, secret=None, token=None, region=REGION):
        if access is None:
            access, secret = peer.keys
        session = boto3.Session(access, secret, token, region)
        config = botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=False)
        self.batch = session.client("batch", endpoint_url=peer.url, config=config)
        self.logs = session.client("logs", endpoint_url=peer.url, config=config)

    def define(self, name, image="debian:bookworm-slim", container=None, **more):
        properties = {"image": image, "jobRoleArn": ROLE, "command": ["true"], "resourceRequirements": requirements(), **(container or {})}
        return self.batch.register_job_definition(jobDefinitionName=name, type="container", containerProperties=properties, **more)["jobDefinitionArn"]

    def submit(self, name, command, definition="plain", queue="ec2", environment=None, **more):
        overrides = {"command": command, "environment": [{"name": k, "value": v} for k, v in (environment or {}).items()]}
        overrides.update(more.pop("containerOverrides", {}))
        return self.batch.submit_job(jobName=name, jobQueue=queue, jobDefinition=definition, containerOverrides=overrides, **more)["jobId"]

    def job(self, job_id):
        return self.batch.describe_jobs(jobs=[job_id])["jobs"][0]

    def until(self, job_id, condition, seconds=30):
        """Polls until the job has a description."""
        end = time.monotonic() + seconds
        while True:
            job = self.job(job_id)
            if condition(job):
                return job
            assert time.monotonic() < end, f"it did not come to it within {seconds} s: {job}"
            time.sleep(0.02)

    def status(self, job_id, status, seconds=30):
        return self.until(job_id, lambda job: job["status"] == status or (job["status"] in _ENDED and status not in _ENDED), seconds)

    def end(self, job_id, seconds=30):
        return self.until(job_id, lambda job: job["status"] in _ENDED, seconds)

    def listening(self, job_id):
        """Waits until it runs and its program has said that it is up."""
        name = self.until(job_id, lambda job: "logStreamName" in job["container"])["container"]["logStreamName"]
        while True:
            with contextlib.suppress(self.logs.exceptions.ResourceNotFoundException):
                if self.stream(name) == ["up"]:
                    return
            assert self.job(job_id)["status"] not in _ENDED
            time.sleep(0.02)

    def log(self, job):
        """The lines of its last attempt."""
        return self.stream(job["container"]["logStreamName"])

    def stream(self, name, group="/aws/batch/job", **more):
        lines, token = [], None
        while True:
            page = self.logs.get_log_events(
                logGroupName=group, logStreamName=name, startFromHead=True, **({"nextToken": token} if token else {}), **more
            )
            lines += [event["message"] for event in page["events"]]
            if page["nextForwardToken"] == token:
                return lines
            token = page["nextForwardToken"]
