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
PATIENCE = 900  # seconds. What has not happened then does not happen: no test relies on how fast this machine is.
pytestmark = pytest.mark.skipif(not ROOM, reason="a real Kubernetes is for dev/real-kubernetes")

USER = "system:serviceaccount:metaflow:metaflow-scheduler"
S3 = f"http://{kubernetes_cluster.ADDRESS}:19100"
KEYS = {"AWS_ACCESS_KEY_ID": "peerkey", "AWS_SECRET_ACCESS_KEY": "peersecret/+="}
SMALL = "kubernetes:cpu=0.05,memory=50,disk=50"
RETRY = ("--with", "retry:times=1,minutes_between_retries=0")
BUCKET = "import sys, boto3; boto3.client('s3', endpoint_url=sys.argv[1], region_name='us-east-1').create_bucket(Bucket='runs')"


sys.path.insert(0, str(ROOT / "test" / "e2e"))

# As in test/e2e: flows inherit what is ignored, which an interrupt is where the tests are a background job of a script.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


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
        cluster.kubectl("-n", namespace, "create", "rolebinding", "m", "--role", "metaflow-scheduler", "--serviceaccount", "metaflow:metaflow-scheduler")


class Flow:
    """Runs of one user in one directory, and in one namespace."""

    def __init__(self, cluster, directory, namespace):
        self.cluster, self.directory, self.namespace = cluster, directory, namespace
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "USER": "tester", **KEYS, "AWS_DEFAULT_REGION": "us-east-1",
            "METAFLOW_S3_ENDPOINT_URL": S3, "METAFLOW_ALLOW_PLAIN_HTTP": "1", "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{directory.name}-{time.time_ns()}",
            "METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_KUBERNETES_NAMESPACE": namespace, "METAFLOW_KUBERNETES_SECRETS": "s3-access",
            "METAFLOW_KUBERNETES_PATIENCE": "5", "KUBECONFIG": str(cluster.config / "metaflow-scheduler.kubeconfig"),
        }  # fmt: skip

    def start(self, program, *arguments, env=None):
        path = next(p for p in (BUILD / "examples" / program, BUILD / "flows" / f"{program}_flow") if p.exists())
        return subprocess.Popen(
            [path, *map(str, arguments)], cwd=self.directory, env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *arguments, status=0, env=None):
        process = self.start("placed", *arguments, env=env)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == status, out
        return out

    def objects(self, kind):
        return json.loads(self.cluster.kubectl("-n", self.namespace, "get", kind, "-o", "json"))["items"]

    def names(self, kind, words):
        return [o["metadata"]["name"] for o in self.objects(kind) if words in o["metadata"]["name"]]

    def nothing_is_left(self):
        def active():
            return [p for p in self.objects("pods") if p["status"].get("phase") in ("Pending", "Running")]

        kubernetes_cluster.wait_for("no pod runs", lambda: not active(), PATIENCE)
        assert [name for name in self.names("secrets", "mf-")] == []


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


def until(process, words, lines=None):
    """Reads the output up to a line with these words; gives back what was read."""
    lines = lines if lines is not None else []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


def calls(flow):
    """Requests of the scheduler, by the audit log."""
    counted = collections.Counter()
    for line in (flow.cluster.logs / "audit.json").read_text().splitlines():
        event = json.loads(line)
        what = event.get("objectRef", {})
        if event["user"]["username"] == USER and event["stage"] == "ResponseComplete" and what.get("namespace") == flow.namespace:
            counted[f"{event['verb']} {what['resource']}{'/' + what['subresource'] if 'subresource' in what else ''}"] += 1
    return counted


def test_all_steps(flow):
    out = flow.run("run", "--n", "12", "--max-workers", "6", "--with", SMALL)
    assert "12 squares" in out and out.endswith("Done!\n"), out
    flow.nothing_is_left()
    counted = calls(flow)
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
    "no account": ({"METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "nobody"}, r'FailedCreate: error looking up service account \S+/nobody: serviceaccount "nobody" not found'),
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
    assert "1 running task was stopped." in process.communicate(timeout=PATIENCE)[0]
    flow.nothing_is_left()


def test_quota(flow, cluster):
    cluster.kubectl("-n", flow.namespace, "create", "quota", "few", "--hard=pods=0")
    process = flow.start("placed", "run", "--n", "1")
    lines = until(process, "The cluster makes no pod yet: FailedCreate: exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0")
    cluster.kubectl("-n", flow.namespace, "delete", "quota", "few")
    out = "".join(lines) + process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, out


def test_restricted(flow, cluster):
    cluster.kubectl("label", "namespace", flow.namespace, "pod-security.kubernetes.io/enforce=restricted")
    out = flow.run("run", "--n", "1", status=1)
    assert 'FailedCreate: violates PodSecurity "restricted:latest"' in out and "was given up" in out, out
    safe = json.dumps({"run_as_non_root": True, "run_as_user": 1000, "allow_privilege_escalation": False})
    process = flow.start("sweep", "run", "--n", "1", "--with", f"{SMALL},security_context={safe}")
    out = process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0, out


@pytest.mark.parametrize("how", ["delete", "force", "evict"])
def test_a_pod_that_goes(flow, cluster, gate, how):
    process = flow.start("placed", "run", "--n", "1", *gate.options, *RETRY)
    lines = until(process, "working on 0")
    gate.wait_for(1, PATIENCE)
    job = re.search(r"job (mf-placed-work-[0-9a-f]+)", lines[-1])[1]
    (pod,) = flow.names("pods", job)
    if how == "evict":
        eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": flow.namespace}}
        cluster.kubectl("create", "--raw", f"/api/v1/namespaces/{flow.namespace}/pods/{pod}/eviction", "-f", "-", input=json.dumps(eviction))
    else:
        cluster.kubectl("-n", flow.namespace, "delete", "pod", pod, "--wait=false", *(["--force", "--grace-period=0"] if how == "force" else []))
    gate.wait_for(2, PATIENCE)
    gate.release()
    out = "".join(lines) + process.communicate(timeout=PATIENCE)[0]
    words = "EvictionByEvictionAPI: Eviction API: evicting" if how == "evict" else "somebody deleted it"
    assert process.returncode == 0 and (f"The pod was ended by the cluster, on node node-1: {words}" in out or "The pod is gone" in out), out
    flow.nothing_is_left()


@pytest.mark.parametrize("twice", [False, True])
def test_interrupt(flow, gate, twice):
    from remote import interrupt

    process = flow.start("placed", "run", "--n", "3", *gate.options)
    gate.wait_for(3, PATIENCE)
    out = interrupt(process, twice, PATIENCE)
    assert process.returncode == 1 and "3 running tasks were stopped." in out, out
    flow.nothing_is_left()


def test_many_are_stopped_together(flow):
    process = flow.start(
        "placed", "run", "--n", "300", "--max-num-splits", "300", "--max-workers", "300", env={"METAFLOW_KUBERNETES_NODE_SELECTOR": "no=such"}
    )
    kubernetes_cluster.wait_for("300 jobs", lambda: len(flow.names("jobs", "placed-work")) == 300, PATIENCE)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and "300 running tasks were stopped." in out, out
    kubernetes_cluster.wait_for("no job is left", lambda: not flow.names("jobs", "placed-work"), PATIENCE)
    flow.nothing_is_left()
    counted = calls(flow)
    assert counted["deletecollection jobs"] == 2 and counted["delete jobs"] == 0, counted


def test_the_api_server_is_killed(flow, cluster, gate):
    process = flow.start("placed", "run", "--n", "3", "--seconds", "2", "--run-id-file", "id", *gate.options)
    gate.wait_for(3, PATIENCE)
    cluster.stop("kube-apiserver", signal.SIGKILL)
    lines = until(process, "The cluster is tried again: ")
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        cluster.start(name)
    gate.release()
    out = "".join(lines) + process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0 and "3 squares" in out, out
    # Whether it was shown while it was written depends on when the server was back: it says so if not.
    assert "The live log broke off." in out or all(f"item {item} second 2\n" in out for item in range(3)), out
    logs = flow.start("placed", "logs", f"{(flow.directory / 'id').read_text()}/work").communicate(timeout=PATIENCE)[0]
    assert all(logs.count(f"item {item} second 2\n") == 1 for item in range(3)), logs


def test_resume_of_a_killed_scheduler(flow, gate):
    from remote import kill_scheduler

    process = flow.start("placed", "run", "--n", "3", "--max-workers", "2", "--run-id-file", "id", *gate.options)
    gate.wait_for(2, PATIENCE)
    kill_scheduler(process)
    origin = (flow.directory / "id").read_text()
    # The node tells a moment later than the tasks themselves.
    listed = lambda: flow.start("placed", "kubernetes", "list", "--run-id", origin).communicate(timeout=PATIENCE)[0]  # noqa: E731
    kubernetes_cluster.wait_for("both run", lambda: listed().count("Status: Running") == 2, PATIENCE)
    process = flow.start("placed", "resume", "--origin-run-id", origin)
    lines = until(process, f"2 tasks of run {origin} are still executed in the cluster")
    gate.release()
    out = "".join(lines) + process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0 and "work (2 tasks). To execute next: work." in out, out
    assert sorted(item for item, _ in gate.waiting) == [0, 1, 2], "each was executed once"
    flow.nothing_is_left()
