"""What others do to pods and jobs in a real cluster: webhooks, queues, people. Run by dev/real-kubernetes."""

import contextlib
import json
import re
import signal

import kubernetes_cluster
from admission import Webhook
from flows_in_cluster import PATIENCE, RETRY, SMALL, until

BUSYBOX = "busybox:1"


@contextlib.contextmanager
def webhook(cluster, flow, resource, group, answer):
    made = Webhook(cluster, flow.directory, flow.namespace, resource, group, answer)
    try:
        yield
    finally:
        made.stop()


def sidecar(pod):
    """A mesh's proxy, which runs on when the task has ended."""
    container = {"name": "istio-proxy", "image": BUSYBOX, "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done"]}
    return [{"op": "add", "path": "/spec/containers/-", "value": container}]


def init_container(pod):
    container = {"name": "mesh-init", "image": BUSYBOX, "command": ["sh", "-c", "echo cannot set up iptables >&2; exit 126"]}
    where = "/spec/initContainers/0" if pod["spec"].get("initContainers") else "/spec/initContainers"
    return [{"op": "add", "path": where, "value": container if where.endswith("0") else [container]}]


def test_a_sidecar_that_lives_on(flow, cluster):
    """With room for one pod, each needs the room of the one before."""
    cluster.kubectl("-n", flow.namespace, "create", "quota", "few", "--hard=pods=1")
    with webhook(cluster, flow, "pods", "", sidecar):
        out = flow.run("run", "--n", "3", "--max-workers", "1")
        assert "3 squares" in out, out
        flow.nothing_is_left()


def test_an_init_container_of_others_fails(flow, cluster):
    with webhook(cluster, flow, "pods", "", init_container):
        out = flow.run("run", "--n", "1", status=1)
    assert re.search(r"its init container mesh-init, which is none of the flow's, failed with exit code 126\W+.*cannot set up iptables", out, re.S), out
    flow.nothing_is_left()


def test_a_webhook_denies_the_job(flow, cluster):
    with webhook(cluster, flow, "jobs", "batch", lambda job: "images must come\nfrom registry.example.org"):
        out = flow.run("run", "--n", "1", status=1)
    assert 'admission webhook "mesh.example.org" denied the request: images must come from registry.example.org' in out, out
    assert "rbac.yaml" not in out, out
    flow.nothing_is_left()


def test_a_queue_suspends_the_job(flow, cluster):
    """As Kueue does: what it admits later goes on then."""
    suspend = [{"op": "add", "path": "/spec/suspend", "value": True}]
    with webhook(cluster, flow, "jobs", "batch", lambda job: suspend):
        process = flow.start("placed", "run", "--n", "1")
        lines = until(process, "uspended")
    (job,) = flow.names("jobs", "placed-work")
    cluster.kubectl("-n", flow.namespace, "patch", "job", job, "--type=merge", "-p", json.dumps({"spec": {"suspend": False}}))
    out = "".join(lines) + process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0 and "1 squares" in out, out


def test_a_job_is_suspended_while_it_runs(flow, cluster, gate):
    """Preemption by a queue: the pod is taken away, and made again when there is room."""
    process = flow.start("placed", "run", "--n", "1", *gate.options, *RETRY)
    lines = until(process, "working on 0")
    gate.wait_for(1, PATIENCE)
    (job,) = flow.names("jobs", "placed-work")
    patch = lambda on: cluster.kubectl("-n", flow.namespace, "patch", "job", job, "--type=merge", "-p", json.dumps({"spec": {"suspend": on}}))  # noqa: E731
    patch(True)
    until(process, "uspended", lines)
    with contextlib.suppress(AssertionError):  # the attempt may have been ended with its job
        patch(False)
    gate.wait_for(2, PATIENCE)
    gate.release()
    out = "".join(lines) + process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0 and "1 squares" in out, out
    flow.nothing_is_left()


def test_somebody_deletes_every_pod(flow, cluster, gate):
    process = flow.start("placed", "run", "--n", "1", *gate.options, "--with", "retry:times=3,minutes_between_retries=0")
    lines = []
    for times in (1, 2, 3):
        gate.wait_for(times, PATIENCE)
        until(process, "working on 0", lines)
        living = [p["metadata"]["name"] for p in flow.objects("pods") if "deletionTimestamp" not in p["metadata"] and p["status"].get("phase") == "Running"]
        cluster.kubectl("-n", flow.namespace, "delete", "pod", *living, "--wait=false")
    gate.wait_for(4, PATIENCE)
    gate.release()
    out = "".join(lines) + process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0 and out.count("deleted externally") == 3 and "no reason given" not in out, out
    flow.nothing_is_left()


def test_texts_reach_the_task_as_they_are(flow):
    """$(NAME) and $$ are Kubernetes' own in commands and variables."""
    texts = ("--tag", "$(AWS_SECRET_ACCESS_KEY)", "--tag", "a$$b", "--namespace", "user:c$$d")
    with_environment = ("--with", "environment:vars=" + json.dumps({"COLOUR": "pa$$word$(USER)"}))
    out = flow.start("surroundings", "run", "--run-id-file", "id", "--with", SMALL, *texts, *with_environment).communicate(timeout=PATIENCE)[0]
    assert out.endswith("Done!\n"), out
    run = (flow.directory / "id").read_text()
    seen = flow.start("surroundings", "dump", f"{run}/end").communicate(timeout=PATIENCE)[0]
    for text in ("$(AWS_SECRET_ACCESS_KEY)", "'a$$b'", "= user:c$$d\n", "'pa$$word$(USER)'"):
        assert text in seen, seen


def test_an_interrupt_while_a_job_is_suspended(flow, cluster):
    suspend = [{"op": "add", "path": "/spec/suspend", "value": True}]
    with webhook(cluster, flow, "jobs", "batch", lambda job: suspend):
        process = flow.start("placed", "run", "--n", "2")
        until(process, "uspended")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1 and "2 running tasks were stopped." in out, out
    kubernetes_cluster.wait_for("no job is left", lambda: not flow.names("jobs", "placed-work"), PATIENCE)
