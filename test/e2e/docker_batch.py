"""AWS Batch as moto has it with Docker: containers that really are executed, by a daemon of the test's own. Nothing is pulled, no network is made:
containers have that of the machine."""

import contextlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

import pytest

import s3

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from peers.containers import busybox, python  # noqa: E402

IMAGE, PYTHON_IMAGE = "local/busybox:1", "local/python:1"
_PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
_OFFERED = """
import sys, boto3
def client(name):
    return boto3.client(name, endpoint_url=sys.argv[1], region_name="us-east-1")
iam, ec2, batch = client("iam"), client("ec2"), client("batch")
role = iam.create_role(RoleName="tasks", AssumeRolePolicyDocument="{}")["Role"]["Arn"]
profile = iam.create_instance_profile(InstanceProfileName="p")["InstanceProfile"]["Arn"]
vpc = ec2.create_vpc(CidrBlock="172.30.0.0/24")["Vpc"]["VpcId"]
subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="172.30.0.0/25")["Subnet"]["SubnetId"]
group = ec2.create_security_group(GroupName="g", Description="d", VpcId=vpc)["GroupId"]
resources = {"type": "EC2", "minvCpus": 0, "maxvCpus": 16, "desiredvCpus": 0, "instanceTypes": ["m5.large"], "imageId": "ami-12c6146b"}
resources |= {"subnets": [subnet], "securityGroupIds": [group], "instanceRole": profile}
place = batch.create_compute_environment(
    computeEnvironmentName="ec2", type="MANAGED", state="ENABLED", serviceRole=role, computeResources=resources
)["computeEnvironmentArn"]
batch.create_job_queue(jobQueueName="ec2", state="ENABLED", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": place}])
client("s3").create_bucket(Bucket="runs")
"""


def missing():
    """What of this machine is missing for these tests; None: nothing."""
    if os.geteuid() != 0:
        return "root, for a Docker daemon"
    for program, package in (("dockerd", "docker.io"), ("docker", "docker.io"), ("busybox", "busybox-static")):
        if shutil.which(program, path=_PATH) is None:
            return f"{package} of Debian"
    if not s3.has_moto() or subprocess.run([sys.executable, "-c", "import docker, moto.batch, moto.ec2"], capture_output=True).returncode != 0:
        return "moto[server,s3,sts,batch,logs,iam,ec2] and boto3 from PyPI"
    return None


@contextlib.contextmanager
def daemon(directory):
    """A Docker daemon; the environment that reaches it."""
    directory.mkdir()
    socket = f"unix://{directory}/socket"
    environment = {**os.environ, "PATH": _PATH, "DOCKER_HOST": socket}
    command = ["dockerd", "--data-root", directory / "data", "--exec-root", directory / "exec", "--pidfile", directory / "pid", "-H", socket]
    command += ["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--oom-score-adjust", "0"]
    with open(directory / "log", "wb") as log:
        process = subprocess.Popen([*map(str, command)], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    with s3.stopped_at_the_end([process]):
        end = time.monotonic() + 60
        while subprocess.run(["docker", "version"], env=environment, capture_output=True).returncode != 0:
            if process.poll() is not None:  # in a container that may not
                pytest.skip(f"BATCH WITH DOCKER IS NOT TESTED: dockerd does not start here: {(directory / 'log').read_text()[-500:]}")
            assert time.monotonic() < end, "dockerd does not answer"
            time.sleep(0.1)
        for name, content in ((IMAGE, busybox.archive(_PATH)), (PYTHON_IMAGE, python.archive(_PATH, ["numpy"]))):
            changes = ["--change", "ENV PATH=/bin", "--change", "ENV PYTHONPATH=/packages"]
            subprocess.run(["docker", "import", *changes, "-", name], env=environment, input=content, capture_output=True, check=True)
        try:
            yield environment
        finally:
            left = subprocess.run(["docker", "ps", "-aq"], env=environment, capture_output=True, text=True).stdout.split()
            if left:
                subprocess.run(["docker", "rm", "-f", *left], env=environment, capture_output=True)
    # What is mounted keeps the directory from being removed.
    for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
        if line.split()[1].startswith(f"{directory}/"):
            subprocess.run(["umount", "-l", line.split()[1]], env=environment, capture_output=True)


@contextlib.contextmanager
def role_credentials():
    """What gives containers on AWS the credentials of their role, by HTTP; its address."""
    body = json.dumps({"AccessKeyId": s3.KEY, "SecretAccessKey": s3.SECRET, "Token": "t", "Expiration": "2099-01-01T00:00:00Z"}).encode()

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listener.server_address[1]}/"
        listener.shutdown()


@contextlib.contextmanager
def account(directory: pathlib.Path):
    """moto with a queue `ec2`, a role and a bucket `runs`."""
    with daemon(directory / "docker") as environment:
        with s3.moto(directory, {**environment, "MOTO_DOCKER_NETWORK_MODE": "host"}) as server:
            made = subprocess.run([sys.executable, "-c", _OFFERED, server.url], env={**environment, **server.environment}, capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
            yield server


def environment(server, prefix):
    """Of who runs a flow."""
    return {
        **server.environment,
        "AWS_ENDPOINT_URL": server.url,
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{prefix}",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_BATCH_JOB_QUEUE": "ec2",
        "METAFLOW_BATCH_CONTAINER_IMAGE": IMAGE,
        "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": "arn:aws:iam::123456789012:role/tasks",
    }
