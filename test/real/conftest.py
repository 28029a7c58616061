"""The cluster, which dev/real-kubernetes makes the programs of, and what tests do there."""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))

import kubernetes_cluster  # noqa: E402
from flows_in_cluster import BUILD, KEYS, ROOM, S3, Flow, grant  # noqa: E402, F401  (BUILD: test/e2e/remote.py asks its conftest)

BUCKET = "import sys, boto3; boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1').create_bucket(Bucket='runs')"


# As in test/e2e: flows inherit what is ignored, which an interrupt is where the tests are a background job of a script.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


@pytest.fixture(scope="session")
def cluster():
    if not ROOM:
        pytest.skip("a real Kubernetes is for dev/real-kubernetes")
    made = kubernetes_cluster.Cluster(ROOM)
    made.down()
    shutil.rmtree(made.directory / "etcd", ignore_errors=True)
    made.up()
    log = open(made.logs / "moto.log", "ab")
    server = subprocess.Popen(
        [sys.executable, "-c", "import sys; from moto.server import main; main(sys.argv[1:])", "-H", kubernetes_cluster.ADDRESS, "-p", "19100"],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    try:
        bucket = [sys.executable, "-c", BUCKET, S3]
        kubernetes_cluster.wait_for("S3", lambda: subprocess.run(bucket, env={**os.environ, **KEYS}, capture_output=True).returncode == 0)
        grant(made, "metaflow")
        token = made.kubectl("-n", "metaflow", "create", "token", "metaflow-scheduler", "--duration", "8h").strip()
        made.kubeconfig("metaflow-scheduler", {"token": token})
        yield made
    finally:
        server.kill()
        server.wait()
        made.down()


@pytest.fixture
def flow(cluster, tmp_path):
    """In a namespace of its own, so that what another test leaves behind, or is still ending, is nothing to this one."""
    (tmp_path / ".metaflow").mkdir()
    namespace = f"test-{time.time_ns()}"
    cluster.kubectl("create", "namespace", namespace)
    grant(cluster, namespace)
    yield Flow(cluster, tmp_path, namespace)
    cluster.kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.fixture
def gate():
    """Where tasks wait until the test lets them go on."""
    from remote import Gate

    gate = Gate(kubernetes_cluster.ADDRESS)
    gate.options = ("--host", kubernetes_cluster.ADDRESS, "--port", gate.port)
    yield gate
    gate.release()
    gate.listener.close()
