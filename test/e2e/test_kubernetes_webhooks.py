"""What others do to jobs and pods: webhooks of service meshes, queues that suspend jobs."""

import pytest

from kubernetes_runs import MISSING, Cluster, make  # noqa: F401
from remote import wait_until

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"KUBERNETES IS NOT TESTED: it needs {MISSING}")

JOBS = "/apis/batch/v1/namespaces/metaflow/jobs"


def suspend(cluster, job, suspended):
    headers = {**cluster.admin(), "Content-Type": "application/merge-patch+json"}
    assert cluster.peer.request("PATCH", f"{JOBS}/{job}", {"spec": {"suspend": suspended}}, headers)[0] == 200


def test_the_containers_of_a_mesh_keep_nothing_alive(make):
    proxy = {"name": "mesh", "image": "busybox", "command": ["sh", "-c", "trap 'exit 0' TERM; sleep 1000 & wait"]}
    rules = {"name": "mesh-init", "image": "busybox", "command": ["true"]}
    cluster = make({"admission": "pods", "action": "inject", "containers": [proxy], "initContainers": [rules]})
    result = cluster.run("placed", "--n", "2")
    assert result.status == 0 and result.out.count("working on") == 2, result
    wait_until(lambda: cluster.objects("pods") == [])
    cluster.nothing_is_left()
    cluster.no_complaints()


def test_a_queue_that_takes_jobs_back(make, gate):
    """One before its task begins, which waits; one while its task runs, which is tried again."""
    cluster = make({"pods": {"name": ".*"}, "action": "unschedulable", "message": "0/1 nodes are available", "times": 1})
    process = cluster.start("placed", "--n", "1", "--port", str(gate.port), "--with", "retry:times=1,minutes_between_retries=0")
    lines = []

    def wait_for(words):
        for line in process.stdout:
            lines.append(line)
            if words in line:
                return
        raise AssertionError(f"{words!r} is not there: {lines}")

    wait_for("Unschedulable")
    job = cluster.jobs()[0]["metadata"]["name"]
    suspend(cluster, job, True)
    wait_for("The job is suspended: a queue of the cluster")
    suspend(cluster, job, False)
    gate.wait_for(1)
    suspend(cluster, job, True)
    wait_for("its job was suspended by a queue")
    wait_for("Task is starting (retry)")
    gate.release()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0, "".join(lines) + out
    assert [j["metadata"]["name"] != job for j in cluster.jobs()] == [True], "the first would go on some day"
    cluster.nothing_is_left()
    cluster.no_complaints()
