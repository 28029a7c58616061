"""Steps in a Kubernetes cluster that fail, and an API that does."""

import pytest

import cluster as k8s
from remote import wait_until
from kubernetes_runs import MISSING, Cluster, make  # noqa: F401

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"KUBERNETES IS NOT TESTED: it needs {MISSING}")


# --- failures


def test_a_step_that_throws(make):
    cluster = make()
    result = cluster.run("placed", "--n", "1", "--fail", "throw")
    assert result.status == 1 and "on purpose" in result.out and "Step work (task-id 2) failed." in result.err, result
    run = cluster.read("Placed")
    assert not run["ok"] and "on purpose" in run["tasks"]["work"][0]["exception"]
    assert "debug" in result.out
    cluster.nothing_is_left()


def test_retries(make):
    cluster = make()
    result = cluster.run("placed", "--n", "2", "--fail", "throw", "--until", "2", "--with", "retry:times=2,minutes_between_retries=0")
    assert result.status == 0, result
    run = cluster.read("Placed")
    assert [task["data"]["attempt"] for task in run["tasks"]["work"]] == [2, 2]
    assert all(task["err"] == "attempt 2\n" for task in run["tasks"]["work"])
    assert cluster.peer.counts()["create jobs"] == 6


def test_a_task_that_dies(make):
    cluster = make()
    result = cluster.run("placed", "--n", "1", "--fail", "crash")
    assert result.status == 1 and "SIGABRT" in result.out, result
    assert "SIGABRT" in cluster.read("Placed")["tasks"]["work"][0]["err"]


def test_how_a_task_died_is_told_once(make, gate):
    """Its log is shown while it is written, and ends with it."""
    cluster = make()
    process = cluster.start("placed", "--n", "1", "--fail", "exit", "--port", str(gate.port))
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "working on 0" in line:
            break
    gate.release()
    out = "".join(lines) + process.communicate(timeout=60)[0]
    assert process.returncode == 1 and out.count("] Task exited with code 7 before its step was finished.") == 1, out


def test_a_second_pod_of_a_job_is_removed(make, gate):
    """The job controller makes one at times, after the API server was away: of a task that has finished."""
    cluster = make()
    process = cluster.start("placed", "--n", "2", "--port", str(gate.port))
    gate.wait_for(2)
    first, item = gate.waiting[0][1], gate.waiting[0][0]
    first.sendall(b"!")
    wait_until(lambda: len(cluster.unfinished()) == 1)
    (done,) = [j for j in cluster.jobs() if j["metadata"]["name"] not in {u["metadata"]["name"] for u in cluster.unfinished()}]
    metadata = {"name": done["metadata"]["name"] + "-again", "labels": done["spec"]["template"]["metadata"]["labels"]}
    metadata["labels"]["batch.kubernetes.io/job-name"] = done["metadata"]["name"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": done["metadata"]["name"], "uid": done["metadata"]["uid"], "controller": True}
    metadata["ownerReferences"] = [owner]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": done["spec"]["template"]["spec"]}
    headers = {**cluster.admin(), "Content-Type": "application/json"}
    status, _, body = cluster.peer.request("POST", f"/api/v1/namespaces/{k8s.NAMESPACE}/pods", pod, headers)
    assert status == 201, body
    wait_until(lambda: done["metadata"]["name"] not in {j["metadata"]["name"] for j in cluster.jobs()})
    gate.release()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and f"working on {item}" in out, out
    cluster.nothing_is_left()


def test_what_died_is_caught_here(make):
    cluster = make({"pods": {}, "action": "exit", "exitCode": 3, "times": 2})
    options = ["kubernetes:cpu=0.5,memory=200,disk=100", "catch", "retry:times=1,minutes_between_retries=0"]
    result = cluster.run("bigsum", *[word for option in options for word in ("--with", option)])
    assert result.status == 0 and "Task fallback is starting to handle the failure." in result.out, result
    assert cluster.peer.counts()["create jobs"] == 3, "the last resort needs no pod"


def test_a_step_that_takes_too_long(make):
    cluster = make()
    # Not less than a minute is asked for; the cluster's clock is as it is.
    result = cluster.run("placed", "--n", "1", "--fail", "sleep", "--with", "timeout:seconds=61", timeout=180)
    assert result.status == 1 and "timed out after 0 hours, 1 minutes, 1 seconds" in result.out, result
    assert cluster.jobs()[0]["spec"]["template"]["spec"]["activeDeadlineSeconds"] == 61


# The others differ in what the pod's status says: src/compute/kubernetes/pod_state_test.cc, with what a real cluster said.
ACCIDENTS = {
    "oom": "ran out of memory",
    "vanish": "deleted",  # externally, if the watch reports it; else it was deleted, evicted or lost
}


@pytest.mark.parametrize("action", ACCIDENTS)
def test_accidents_of_pods(make, gate, action):
    """One attempt has the accident while it works; the next one does the work."""
    cluster = make()
    process = cluster.start("placed", "--n", "1", "--port", str(gate.port), "--with", "retry:times=1,minutes_between_retries=0")
    gate.wait_for(1)
    cluster.accident(action)
    gate.wait_for(2)
    gate.release()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, out
    assert ACCIDENTS[action] in out, out
    run = cluster.read("Placed")
    assert run["ok"] and run["tasks"]["work"][0]["data"]["attempt"] == 1
    cluster.nothing_is_left()



# --- the API


# A fault of each kind of request. That every fault is answered alike: src/net/call_queue_test.cc, and beside it the tests of the client.
FAULTS = {
    "throttled": {"verb": "create", "resource": "jobs", "action": "status", "code": 429, "retryAfter": 1, "times": 3},
    "answer lost": {"verb": "create", "resource": "jobs", "action": "lose", "every": 2},
    "watch expired": {"verb": "watch", "resource": "pods", "action": "expire", "events": 3, "times": 4},
    "secret's answer lost": {"verb": "create", "resource": "secrets", "action": "lose", "times": 2},
    "logs cut": {"verb": "get", "resource": "pods/log", "action": "reset", "bytes": 40, "times": 3},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_api_server_that_misbehaves(make, fault):
    cluster = make(FAULTS[fault])
    result = cluster.run("placed", "--n", "4")
    assert result.status == 0, result
    run = cluster.read("Placed")
    assert run["tasks"]["join"][0]["data"]["squares"] == [0, 1, 4, 9]
    assert len(cluster.jobs()) == 4, "a lost answer makes no second job"
    for item in range(4):
        assert result.out.count(f"] working on {item}\n") == 1, result
    cluster.nothing_is_left()


@pytest.mark.parametrize("verb, resource", [("create", "jobs"), ("watch", "pods")])
def test_what_is_forbidden_is_told(make, verb, resource):
    rule = {"verb": verb, "resource": resource, "action": "status", "code": 403, "reason": "Forbidden", "message": f"{resource} is forbidden: User cannot {verb}"}
    cluster = make(rule)
    result = cluster.run("placed", "--n", "2", "--with", "retry:times=3,minutes_between_retries=0")
    said = result.out + result.err
    assert result.status == 1 and "forbidden" in said.lower() and resource in said, result


@pytest.mark.parametrize("code, reason", [(401, "Unauthorized"), (403, "Forbidden")])
def test_who_is_not_let_in_is_told_before_anything_starts(make, code, reason):
    cluster = make({"verb": "list", "resource": "pods", "action": "status", "code": code, "reason": reason, "message": reason})
    result = cluster.run("placed", "--n", "2")
    assert result.status == 1 and reason in result.err and "Workflow starting" not in result.out, result
    assert cluster.jobs() == []
