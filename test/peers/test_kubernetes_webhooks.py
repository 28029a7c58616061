"""The Kubernetes peer's webhooks refuse, suspend and add; and a job is suspended and goes on as a real one."""

import pytest

from .kubernetes_client import Peer, job_body, terminated

JOBS = "/apis/batch/v1/namespaces/default/jobs"
QUICK = {"terminationGracePeriodSeconds": 1}


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    with Peer(tmp_path_factory.mktemp("kubernetes")) as peer:
        yield peer
        assert peer.errors() == ""


def test_a_job_that_is_denied(peer, cluster, rule):
    rule(admission="jobs", action="deny", webhook="policy.test", message="no team", times=1)
    token = peer.tell("POST", "/tokens", {"user": "root", "groups": ["system:masters"]})["token"]
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    status, _, body = peer.request("POST", JOBS, job_body("denied", ["true"]), headers)
    assert status == 403 and b'admission webhook \\"policy.test\\" denied the request: no team' in body
    assert peer.request("POST", JOBS, job_body("denied", ["true"]), headers)[0] == 201


def test_a_pod_that_is_denied(cluster, rule):
    rule(admission="pods", action="deny", name="unsigned-.*", message="not signed")
    cluster.submit("unsigned", ["true"])
    event = cluster.event_until("unsigned", "FailedCreate")
    assert event["message"] == 'Error creating: admission webhook "policy.test" denied the request: not signed'


def test_containers_that_are_added(cluster, rule):
    added = {"image": "busybox", "command": ["sh", "-c", "exit 4"]}
    rule(admission="pods", action="inject", initContainers=[{"name": "first", "image": "busybox", "command": ["true"]}], containers=[{"name": "mesh", **added}])
    cluster.submit("meshed", ["true"])
    cluster.finished("meshed")
    (pod,) = cluster.pods("meshed")
    assert [c["name"] for c in pod["spec"]["initContainers"]] == ["first"]
    assert {c["name"]: c["state"]["terminated"]["exitCode"] for c in pod["status"]["containerStatuses"]} == {"main": 0, "mesh": 4}
    assert terminated(pod)["exitCode"] == 0


def test_a_job_that_is_suspended_and_goes_on(cluster, rule):
    rule(admission="jobs", action="suspend")
    cluster.submit("queued", ["sleep", "1000"], pod=QUICK)
    cluster.event_until("queued", "Suspended")
    cluster.batch.patch_namespaced_job("queued", "default", {"spec": {"suspend": False}})
    first = cluster.running("queued")
    cluster.batch.patch_namespaced_job("queued", "default", {"spec": {"suspend": True}})
    cluster.gone("queued", first)
    job = cluster.job_until("queued", lambda _, job: any(c["type"] == "Suspended" and c["status"] == "True" for c in job["status"]["conditions"]))
    assert "failed" not in job["status"], "that is no failure"
    cluster.batch.patch_namespaced_job("queued", "default", {"spec": {"suspend": False}})
    assert cluster.running("queued")["metadata"]["name"] != first["metadata"]["name"]
    cluster.batch.delete_namespaced_job("queued", "default", propagation_policy="Background")
