"""Flows in a real cluster, with the rights of the documented role alone. Run by dev/real-kubernetes, which makes the cluster's programs."""

import collections
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

import kubernetes_cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("METAFLOW_BUILD", "/nowhere"))
ROOM = os.environ.get("METAFLOW_REAL_KUBERNETES")
pytestmark = pytest.mark.skipif(not ROOM, reason="a real Kubernetes is for dev/real-kubernetes")

USER = "system:serviceaccount:metaflow:metaflow-scheduler"
S3 = f"http://{kubernetes_cluster.ADDRESS}:19100"
KEYS = {"AWS_ACCESS_KEY_ID": "peerkey", "AWS_SECRET_ACCESS_KEY": "peersecret/+="}
SMALL = "kubernetes:cpu=0.05,memory=50,disk=50"
RETRY = ("--with", "retry:times=1,minutes_between_retries=0")
BUCKET = "import sys, boto3; boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1').create_bucket(Bucket='runs')"


@pytest.fixture(scope="session")
def cluster():
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


def grant(cluster, namespace):
    """What docs/kubernetes.md says about a namespace; the scheduler is always that of `metaflow`."""
    rules = (ROOT / "docs" / "kubernetes" / "rbac.yaml").read_text()
    rules = re.sub(r"(namespace: )metaflow$|^(  name: )metaflow$", lambda m: f"{m[1] or m[2]}{namespace}", rules, flags=re.M)
    cluster.kubectl("apply", "-f", "-", input=rules)
    keys = [f"--from-literal={name}={value}" for name, value in KEYS.items()]
    with contextlib.suppress(AssertionError):  # there from last time
        cluster.kubectl("-n", namespace, "create", "secret", "generic", "s3-access", *keys)
    if namespace != "metaflow":
        with contextlib.suppress(AssertionError):
            cluster.kubectl("-n", namespace, "create", "rolebinding", "m", "--role", "metaflow-scheduler", "--serviceaccount", "metaflow:metaflow-scheduler")


class Flow:
    """Runs of one user in one directory."""

    def __init__(self, cluster, directory):
        self.cluster, self.directory = cluster, directory
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "USER": "tester", **KEYS, "AWS_DEFAULT_REGION": "us-east-1",
            "METAFLOW_S3_ENDPOINT_URL": S3, "METAFLOW_ALLOW_PLAIN_HTTP": "1", "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{directory.name}-{time.time_ns()}",
            "METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_KUBERNETES_NAMESPACE": "metaflow", "METAFLOW_KUBERNETES_SECRETS": "s3-access",
            "METAFLOW_KUBERNETES_PATIENCE": "5", "KUBECONFIG": str(cluster.config / "metaflow-scheduler.kubeconfig"),
        }  # fmt: skip

    def start(self, program, *arguments, env=None):
        path = next(p for p in (BUILD / "examples" / program, BUILD / "flows" / f"{program}_flow") if p.exists())
        return subprocess.Popen(
            [path, *map(str, arguments)], cwd=self.directory, env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *arguments, status=0, env=None, timeout=300):
        process = self.start("placed", *arguments, env=env)
        out, _ = process.communicate(timeout=timeout)
        assert process.returncode == status, out
        return out

    def objects(self, kind, namespace="metaflow"):
        return json.loads(self.cluster.kubectl("-n", namespace, "get", kind, "-o", "json"))["items"]

    def names(self, kind, words):
        return [o["metadata"]["name"] for o in self.objects(kind) if words in o["metadata"]["name"]]

    def nothing_is_left(self):
        def active():
            return [p for p in self.objects("pods") if p["status"].get("phase") in ("Pending", "Running")]

        kubernetes_cluster.wait_for("no pod runs", lambda: not active())
        assert [name for name in self.names("secrets", "mf-")] == []


@pytest.fixture
def flow(cluster, tmp_path):
    (tmp_path / ".metaflow").mkdir()
    return Flow(cluster, tmp_path)


def until(process, words, lines=None):
    """Reads the output up to a line with these words; gives back what was read."""
    lines = lines if lines is not None else []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


def calls(cluster, begin):
    """Requests of the scheduler since a line of the audit log."""
    counted = collections.Counter()
    for line in (cluster.logs / "audit.json").read_text().splitlines()[begin:]:
        event = json.loads(line)
        if event["user"]["username"] == USER and event["stage"] == "ResponseComplete":
            what = event["objectRef"]
            counted[f"{event['verb']} {what['resource']}{'/' + what['subresource'] if 'subresource' in what else ''}"] += 1
    return counted


def test_all_steps(flow, cluster):
    begin = len((cluster.logs / "audit.json").read_text().splitlines())
    out = flow.run("run", "--n", "12", "--max-workers", "6", "--with", SMALL)
    assert "12 squares" in out and out.endswith("Done!\n"), out
    flow.nothing_is_left()
    counted = calls(cluster, begin)
    assert counted["create jobs"] == 15 and counted["get pods/log"] <= 15 and counted["create secrets"] == counted["delete secrets"] == 1, counted
    assert counted["list pods"] <= 2 and counted["watch pods"] == 1 and counted.total() <= 35, counted


def test_the_image_fetches_the_package(flow):
    flow.run("run", "--n", "1", env={"METAFLOW_KUBERNETES_FETCH_IMAGE": "none", "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "busybox:1"})


def test_how_a_task_died_is_told_once(flow):
    out = flow.run("run", "--n", "1", "--seconds", "3", "--fail", "exit", status=1)
    assert out.count("] Task ended with exit status 7 before its step was finished.") == 1, out
    flow.nothing_is_left()


def test_retry(flow):
    out = flow.run("run", "--n", "2", "--fail", "crash", "--until", "1", *RETRY)
    assert out.count("Task is starting (retry).") == 2 and "2 squares" in out, out


WAITING = {
    "no image": ({"METAFLOW_KUBERNETES_CONTAINER_IMAGE": f"{kubernetes_cluster.ADDRESS}:{kubernetes_cluster.REGISTRY_PORT}/none:1"},
                 r"Pod is pending: ErrImagePull: failed to pull and unpack image .*: not found"),
    "bad name": ({"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "Debian"}, r"Pod is pending: InvalidImageName: "),
    "no secret": ({"METAFLOW_KUBERNETES_SECRETS": "s3-access,none"}, r'Pod is pending: CreateContainerConfigError: secret "none" not found'),
    "no account": ({"METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "nobody"}, r'FailedCreate: error looking up service account metaflow/nobody: serviceaccount "nobody" not found'),
}  # fmt: skip


@pytest.mark.parametrize("case", WAITING)
def test_what_does_not_come_by_itself_is_given_up(flow, case):
    env, words = WAITING[case]
    out = flow.run("run", "--n", "1", env=env, status=1)
    assert re.search(words, out) and "The pod cannot start, and was given up after 5.0 s" in out, out
    flow.nothing_is_left()


def test_no_room(flow):
    process = flow.start("placed", "run", "--n", "1", "--with", "kubernetes:cpu=1000")
    until(process, "Pod is pending: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu")
    process.send_signal(signal.SIGINT)
    assert "1 running task was stopped." in process.communicate(timeout=60)[0]
    flow.nothing_is_left()


def test_quota(flow, cluster):
    with contextlib.suppress(AssertionError):
        cluster.kubectl("create", "namespace", "full")
    grant(cluster, "full")
    cluster.kubectl("-n", "full", "create", "quota", "few", "--hard=pods=0")
    process = flow.start("placed", "run", "--n", "1", env={"METAFLOW_KUBERNETES_NAMESPACE": "full"})
    lines = until(process, "The cluster makes no pod yet: FailedCreate: exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0")
    cluster.kubectl("-n", "full", "delete", "quota", "few")
    out = "".join(lines) + process.communicate(timeout=180)[0]
    assert process.returncode == 0, out


def test_restricted(flow, cluster):
    with contextlib.suppress(AssertionError):
        cluster.kubectl("create", "namespace", "strict")
    cluster.kubectl("label", "namespace", "strict", "--overwrite", "pod-security.kubernetes.io/enforce=restricted")
    grant(cluster, "strict")
    env = {"METAFLOW_KUBERNETES_NAMESPACE": "strict"}
    out = flow.run("run", "--n", "1", env=env, status=1)
    assert 'FailedCreate: violates PodSecurity "restricted:latest"' in out and "was given up" in out, out
    safe = json.dumps({"run_as_non_root": True, "run_as_user": 1000, "allow_privilege_escalation": False})
    process = flow.start("sweep", "run", "--n", "1", "--with", f"{SMALL},security_context={safe}", env=env)
    out = process.communicate(timeout=180)[0]
    assert process.returncode == 0, out


@pytest.mark.parametrize("how", ["delete", "force", "evict"])
def test_a_pod_that_goes(flow, cluster, how):
    process = flow.start("placed", "run", "--n", "1", "--seconds", "6", *RETRY)
    lines = until(process, "second 2")
    job = re.search(r"job (mf-placed-work-[0-9a-f]+)", lines[-1])[1]
    (pod,) = flow.names("pods", job)
    if how == "evict":
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": "metaflow"}}
        cluster.kubectl("create", "--raw", f"/api/v1/namespaces/metaflow/pods/{pod}/eviction", "-f", "-", input=json.dumps(eviction))
    else:
        cluster.kubectl("-n", "metaflow", "delete", "pod", pod, "--wait=false", *(["--force", "--grace-period=0"] if how == "force" else []))
    out = "".join(lines) + process.communicate(timeout=180)[0]
    words = "EvictionByEvictionAPI: Eviction API: evicting" if how == "evict" else "somebody deleted it"
    assert process.returncode == 0 and (f"The pod was ended by the cluster, on node node-1: {words}" in out or "The pod is gone" in out), out
    flow.nothing_is_left()


@pytest.mark.parametrize("twice", [False, True])
def test_interrupt(flow, twice):
    process = flow.start("placed", "run", "--n", "3", "--seconds", "100")
    until(process, "second 2")
    process.send_signal(signal.SIGINT)
    if twice:
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "3 running tasks were stopped." in out, out
    flow.nothing_is_left()


def test_many_are_stopped_together(flow, cluster):
    begin = len((cluster.logs / "audit.json").read_text().splitlines())
    process = flow.start(
        "placed", "run", "--n", "300", "--max-num-splits", "300", "--max-workers", "300", env={"METAFLOW_KUBERNETES_NODE_SELECTOR": "no=such"}
    )
    kubernetes_cluster.wait_for("300 jobs", lambda: len(flow.names("jobs", "placed-work")) == 300)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "300 running tasks were stopped." in out, out
    kubernetes_cluster.wait_for("no job is left", lambda: not flow.names("jobs", "placed-work"))
    flow.nothing_is_left()
    counted = calls(cluster, begin)
    assert counted["deletecollection jobs"] == 2 and counted["delete jobs"] == 0, counted


def test_the_api_server_is_killed(flow, cluster):
    process = flow.start("placed", "run", "--n", "3", "--seconds", "20")
    lines = until(process, "second 2")
    cluster.stop("kube-apiserver", signal.SIGKILL)
    until(process, "The cluster is tried again: ", lines)
    time.sleep(5)
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        cluster.start(name)
    out = "".join(lines) + process.communicate(timeout=300)[0]
    assert process.returncode == 0 and "3 squares" in out, out
    for item in range(3):
        assert out.count(f"item {item} second 20\n") == 1, out


def test_resume_of_a_killed_scheduler(flow):
    process = flow.start("placed", "run", "--n", "3", "--seconds", "15", "--max-workers", "2", "--run-id-file", "id")
    until(process, "second 2")
    child = int(pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])
    os.kill(child, signal.SIGKILL)
    process.kill()
    process.wait()
    origin = (flow.directory / "id").read_text()
    listed, _ = flow.start("placed", "kubernetes", "list", "--run-id", origin).communicate(timeout=60)
    assert listed.count("Status: Running") == 2, listed
    out = flow.run("resume", "--origin-run-id", origin)
    assert f"2 tasks of run {origin} are still executed in the cluster" in out and "work (2 tasks). To execute next: work." in out, out
    flow.nothing_is_left()
