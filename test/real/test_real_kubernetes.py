"""Flows in a real cluster, with the rights of the documented role alone. Run by dev/real-kubernetes, which makes the cluster's programs."""

import json
import re
import signal

import kubernetes_cluster
import pytest
from flows_in_cluster import PATIENCE, RETRY, ROOT, SMALL, calls, until


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
    assert out.count("] Task exited with code 7 before its step was finished.") == 1, out
    flow.nothing_is_left()


def misbehave(flow, how):
    process = flow.start("misbehave", "run", "--how", how, "--with", SMALL)
    out, _ = process.communicate(timeout=PATIENCE)
    return process.returncode, out


def test_a_process_of_a_task_is_killed_for_memory(flow):
    status, out = misbehave(flow, "oom_of_a_child")
    assert status == 1 and "the helper has died" in out, out
    assert "kernel killed a process" in out, out
    flow.nothing_is_left()


def test_a_long_line_is_whole_beside_the_other_stream(flow):
    status, out = misbehave(flow, "long_line")
    assert status == 0, out
    (line,) = [line for line in out.splitlines() if "xxxx" in line]
    assert line.endswith("] about to do: long_line" + "x" * 200_000 + " end") or line.endswith("] " + "x" * 200_000 + " end"), line[:100] + line[-100:]
    assert out.count("] beside it ") == 20, out.replace("x" * 1000, "")


def test_retry(flow):
    out = flow.run("run", "--n", "2", "--fail", "crash", "--until", "1", *RETRY)
    assert out.count("Task is starting (retry).") == 2 and "2 squares" in out, out


WAITING = {
    "no image": ({"METAFLOW_KUBERNETES_CONTAINER_IMAGE": f"{kubernetes_cluster.ADDRESS}:{kubernetes_cluster.REGISTRY_PORT}/none:1"},
                 r"Pod is pending: ErrImagePull: failed to pull and unpack image .*: not found"),
    "bad name": ({"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "Debian"}, r"Pod is pending: InvalidImageName: "),
    "no secret": ({"METAFLOW_KUBERNETES_SECRETS": "s3-access,none"}, r'Pod is pending: CreateContainerConfigError: secret "none" not found'),
    "no account": ({"METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "absent"}, r'FailedCreate: error looking up service account \S+/absent: serviceaccount "absent" not found'),
}  # fmt: skip


@pytest.mark.parametrize("case", WAITING)
def test_what_does_not_come_by_itself_is_given_up(flow, case):
    env, words = WAITING[case]
    out = flow.run("run", "--n", "1", env=env, status=1)
    assert re.search(words, out) and "The pod could not start within 5.0 s" in out, out
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
    lines = until(process, "The cluster has not created the pod yet: FailedCreate: exceeded quota: few, requested: pods=1, used: pods=0, limited: pods=0")
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
    evicted = "The cluster terminated the pod on node node-1: EvictionByEvictionAPI: Eviction API: evicting"
    words = evicted if how == "evict" else "The pod was deleted externally on node node-1"
    assert process.returncode == 0 and (words in out or "The pod vanished" in out), out
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
    lines = until(process, "Retrying the cluster: ")
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
    lines = until(process, f"2 tasks of run {origin} are still running in the cluster")
    gate.release()
    out = "".join(lines) + process.communicate(timeout=PATIENCE)[0]
    assert process.returncode == 0 and "work (2 tasks). To execute next: work." in out, out
    assert sorted(item for item, _ in gate.waiting) == [0, 1, 2], "each was executed once"
    flow.nothing_is_left()


@pytest.mark.parametrize("listing", ["bigsum", "bigsum_parallel"])
def test_the_listings_in_python(flow, listing):
    """In an image that has Python and numpy of Debian."""
    text = (ROOT / "test/e2e/flows_in_python" / f"{listing}.py").read_text()
    for number, other in (("80000", "4000"), ("10000", "500"), ("memory=60000", "memory=600"), ("cpu=8", "cpu=1"), ("cpu=1)", "cpu=0.5)")):
        text = text.replace(number, other)
    path = flow.directory / f"{listing}.py"
    path.write_text(text)
    out = flow.python(path, "run", "--with", "kubernetes:cpu=0.1,memory=100,disk=100")
    assert re.search(r"The sum is [78]\d{6}\.", out), out
    flow.nothing_is_left()
