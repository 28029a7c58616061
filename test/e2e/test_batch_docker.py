"""Flows on the AWS Batch of moto, whose containers a Docker daemon executes: another's idea of the API, and images that hold nothing but busybox."""

import json
import re
import signal

import boto3
import pytest

import docker_batch
from conftest import SANITIZED
from remote import User, wait_until
from python_cli import PythonCli, smaller

MISSING = docker_batch.missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"BATCH WITH DOCKER IS NOT TESTED: it needs {MISSING}")


class Account(User):
    def __init__(self, cli, server, credentials):
        super().__init__(cli, docker_batch.environment(server, cli.directory.name))
        self.url = server.url
        self.role = ("--with", "environment:vars=" + json.dumps({"AWS_CONTAINER_CREDENTIALS_FULL_URI": credentials}))

    def run(self, program, *arguments, **more):
        return super().run(program, "--with", "batch", *self.role, *arguments, **more)

    def start(self, program, *arguments):
        return super().start(program, "--with", "batch", *self.role, *arguments)

    def jobs(self, *states):
        client = boto3.client("batch", endpoint_url=self.url, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
        return [job for state in states for job in client.list_jobs(jobQueue="ec2", jobStatus=state)["jobSummaryList"] if job["status"] == state]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with docker_batch.account(tmp_path_factory.mktemp("batch")) as running:
        yield running


@pytest.fixture
def user(cli, server):
    with docker_batch.role_credentials() as credentials:
        yield Account(cli, server, credentials)


def test_bigsum(user):
    result = user.run("bigsum", "--with", "resources:cpu=2,memory=1000", "--size", "3000")
    assert result.status == 0 and "The sum is 45" in result.out, result
    seen = user.read("BigSum")
    assert seen["ok"] and abs(seen["tasks"]["start"][0]["data"]["sum"] - 4.5e6) < 1e4


def test_a_foreach(user):
    result = user.run("sweep", "--n", "6", "--max-workers", "6")
    assert result.status == 0 and "The minimum of 6 points" in result.out, result
    assert len(user.read("Sweep")["tasks"]["work"]) == 6
    assert len({job["jobName"] for job in user.jobs("SUCCEEDED") if "-work-" in job["jobName"]}) == 1, "they were an array"


def test_failures(user):
    """moto's DescribeJobs has no exit code: what the task left in S3 says more, anyway."""
    result = user.run("failing", "--where", "start", "--what", "custom", "--with", "retry:times=1,minutes_between_retries=0")
    assert result.status == 1, result
    start = user.read("Failing")["tasks"]["start"][0]
    assert "98 degrees" in start["exception"] and start["attempts"] == "1"
    result = user.run("failing", "--where", "start", "--what", "kill")
    assert result.status == 1 and "SIGKILL" in result.out + result.err, result.out


def test_what_it_said_before_its_supervisor_lived(user):
    user.cli.environment["METAFLOW_BATCH_FLOW_IN_IMAGE"] = "/bin/ls"
    result = user.run("failing")
    assert result.status == 1 and "ls: unrecognized option" in result.out + result.err, result


@pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")
@pytest.mark.parametrize("listing", ["bigsum", "bigsum_parallel"])
def test_the_listings_in_python(user, listing):
    """In an image that has an interpreter and numpy, and no library of the engine."""
    user.cli.environment["METAFLOW_BATCH_CONTAINER_IMAGE"] = docker_batch.PYTHON_IMAGE
    words = ["--with", "batch", *user.role]
    result = PythonCli(user.cli).unchanged(smaller(listing, user.cli), "run", "--run-id-file", user.cli.directory / "id", *words)
    assert result.status == 0 and re.search(r"The sum is [78]\d{6}\.", result.out), result
    seen = user.read("BigSum")
    assert seen["ok"] and abs(seen["tasks"]["start"][0]["data"]["sum"] - 8e6) < 1e4


@pytest.mark.parametrize("how", ["Ctrl-C", "batch kill"])
def test_nothing_is_left(user, how):
    active = lambda: {job["jobId"] for job in user.jobs("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING")}  # noqa: E731
    before = active()  # moto has lost an end now and then
    running = user.start("misbehave", "--how", "sleep")
    # moto ignores requests for a job that is RUNNING but has no container yet.
    assert any("sleeping" in line for line in running.stdout)
    if how == "Ctrl-C":
        running.send_signal(signal.SIGINT)
    else:
        killed = user.cli("misbehave", "batch", "kill", "--run-id", user.run_id)
        assert killed.status == 0 and f"Killed {user.run_id}/" in killed.out, killed
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 1, out
    wait_until(lambda: active() <= before)
