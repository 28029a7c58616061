"""Pods that do not start: waiting for them, messages about them, abandoning them."""

import re
import signal

import pytest

import cluster as k8s
from kubernetes_runs import MISSING, Cluster, make  # noqa: F401

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"KUBERNETES IS NOT TESTED: it needs {MISSING}")


# --- waiting


def test_what_may_be_cured_waits(make):
    cluster = make({"pods": {}, "action": "unschedulable", "message": "0/1 nodes are available: 1 Insufficient cpu."})
    process = cluster.start("placed", "--n", "1")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Pod is pending: Unschedulable: 0/1 nodes are available: 1 Insufficient cpu." in line:
            break
    assert process.poll() is None, lines
    process.send_signal(signal.SIGINT)
    out = "".join(lines) + process.communicate(timeout=60)[0]
    assert process.returncode == 1 and "Workflow interrupted" in out, out
    cluster.nothing_is_left()



def test_what_only_people_can_cure_is_given_up(make):
    cluster = make({"pods": {}, "action": "create-container-error"})
    env = {"METAFLOW_KUBERNETES_PATIENCE": "2"}
    result = cluster.run("placed", "--n", "1", "--with", "retry:times=3,minutes_between_retries=0", env=env)
    assert result.status == 1 and "The pod could not start within 2" in result.out and "CreateContainer" in result.out, result
    assert cluster.peer.counts()["create jobs"] == 1
    cluster.nothing_is_left()


def test_a_service_account_that_is_not_there(make):
    cluster = make()
    env = {"METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "nobody", "METAFLOW_KUBERNETES_PATIENCE": "2"}
    result = cluster.run("placed", "--n", "1", env=env)
    assert result.status == 1 and 'serviceaccount "nobody" not found' in result.out and "could not start within 2" in result.out, result
    cluster.nothing_is_left()


def test_an_image_that_cannot_be_pulled_is_told_once(make):
    """The cluster tries, and waits, and tries: the reason alternates."""
    cluster = make()
    result = cluster.run("placed", "--n", "1", env={"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "no-such/image:1", "METAFLOW_KUBERNETES_PATIENCE": "6"})
    assert result.status == 1 and len(re.findall(r"Pod is pending: .*ImagePull.*\n", result.out)) == 1, result



def test_a_volume_that_is_not_there(make):
    """The status of such a pod is that of any that is made ready: events tell, again and again."""
    cluster = make({"pods": {}, "action": "failed-mount"})
    result = cluster.run("placed", "--n", "3", env={"METAFLOW_KUBERNETES_PATIENCE": "2"})
    assert result.status == 1 and result.out.count('Pod is pending: PodInitializing: FailedMount: secret "keys" not found\n') == 3, result
    assert 'The pod could not start within 2' in result.out and ': PodInitializing: FailedMount: secret "keys" not found' in result.out, result
    cluster.nothing_is_left()
    cluster.no_complaints()



def test_a_quota_is_told_and_waited_for(make):
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "0"}}}
    cluster = make()
    path = f"/api/v1/namespaces/{k8s.NAMESPACE}/resourcequotas"
    headers = {**cluster.admin(), "Content-Type": "application/json"}
    assert cluster.peer.request("POST", path, quota, headers)[0] == 201
    process = cluster.start("placed", "--n", "1")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "exceeded quota: few" in line:
            break
    assert process.poll() is None and "The cluster has not created the pod yet: FailedCreate" in lines[-1], lines
    assert cluster.peer.request("DELETE", path + "/few", headers=headers)[0] == 200
    out = "".join(lines) + process.communicate(timeout=90)[0]
    assert process.returncode == 0, out


def test_pods_without_access_to_the_store(make):
    cluster = make()
    result = cluster.run("placed", "--n", "1", "--with", "retry:times=3,minutes_between_retries=0", env={"METAFLOW_KUBERNETES_SECRETS": ""})
    assert result.status == 1 and "The task could not use the datastore" in result.out, result
    assert "METAFLOW_KUBERNETES_SECRETS or METAFLOW_KUBERNETES_SERVICE_ACCOUNT" in result.out, result
    assert cluster.peer.counts()["create jobs"] == 3, "perhaps the store was away; a retry helps no more"


def test_a_node_that_does_not_answer(make, gate):
    """Its task has finished, which the store says."""
    cluster = make()
    process = cluster.start("placed", "--n", "1", "--port", str(gate.port))
    gate.wait_for(1)
    cluster.peer.tell("POST", "/node", {"name": "node-1", "action": "lose"})
    gate.release()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "Node node-1 does not answer" in out, out
