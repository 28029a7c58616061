"""Jobs that fail, repeat, are stopped: the Kubernetes peer does what a real Kubernetes 1.32 did."""

from .kubernetes_client import conditions, terminated
from .test_kubernetes_cases import LIMIT, TICKS, failed_with, peer  # noqa: F401


def test_deadline(cluster):
    """The pod is deleted, and its log with it."""
    cluster.submit(
        "deadline",
        ["sh", "-c", "trap 'echo got TERM; exit 143' TERM; sleep 300 & wait"],
        activeDeadlineSeconds=1,
        pod={"terminationGracePeriodSeconds": 2},
    )
    job = cluster.finished("deadline")
    failed_with(job, "DeadlineExceeded", "Job was active longer than specified deadline")
    assert job["status"]["failed"] == 1
    assert cluster.pods("deadline") == []
    events = cluster.events("deadline")
    assert ("Killing", "Stopping container main") in events and ("DeadlineExceeded", "Job was active longer than specified deadline") in events
    assert any(reason == "SuccessfulDelete" and message.startswith("Deleted pod: deadline-") for reason, message in events)


def test_restart_on_failure(cluster):
    """Containers are restarted in their pod; at the limit the pod is deleted."""
    cluster.submit("onfailure", ["sh", "-c", "echo about to fail; exit 3"], backoffLimit=2, pod={"restartPolicy": "OnFailure"})
    failed_with(cluster.finished("onfailure"), "BackoffLimitExceeded", LIMIT)
    assert cluster.pods("onfailure") == []
    events = cluster.events("onfailure")
    assert any(
        reason == "BackOff" and message.startswith("Back-off restarting failed container main in pod onfailure-") for reason, message in events
    )
    assert any(reason == "SuccessfulDelete" for reason, _ in events)


def test_retries(cluster):
    cluster.submit("retries", ["sh", "-c", "echo attempt on $(hostname); exit 7"], backoffLimit=1)
    job = cluster.finished("retries")
    failed_with(job, "BackoffLimitExceeded", LIMIT)
    assert job["status"]["failed"] == 2
    assert [terminated(pod)["exitCode"] for pod in cluster.pods("retries")] == [7, 7]


def test_indexed(cluster):
    spec = {"completionMode": "Indexed", "completions": 3, "parallelism": 3, "backoffLimitPerIndex": 0, "backoffLimit": 2147483647}
    cluster.submit("indexed", ["sh", "-c", "echo index=$JOB_COMPLETION_INDEX; [ $JOB_COMPLETION_INDEX != 1 ]"], **spec)
    job = cluster.finished("indexed")
    failed_with(job, "FailedIndexes", "Job has failed indexes")
    assert (job["status"]["completedIndexes"], job["status"]["failedIndexes"], job["status"]["failed"], job["status"]["succeeded"]) == (
        "0,2",
        "1",
        1,
        2,
    )
    pods = sorted(cluster.pods("indexed"), key=lambda pod: pod["metadata"]["name"])
    assert [terminated(pod)["exitCode"] for pod in pods] == [0, 1, 0]
    for index, pod in enumerate(pods):
        assert pod["metadata"]["name"].startswith(f"indexed-{index}-") and pod["spec"]["hostname"] == f"indexed-{index}"
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"] == str(index)
        assert pod["metadata"]["annotations"] == {
            "batch.kubernetes.io/job-completion-index": str(index),
            "batch.kubernetes.io/job-index-failure-count": "0",
        }
        assert cluster.core.read_namespaced_pod_log(pod["metadata"]["name"], "default") == f"index={index}\n"


def test_indexed_in_turns(cluster, tmp_path):
    """Never more pods than its parallelism; a failed index is tried again as often as it may."""
    script = "[ $JOB_COMPLETION_INDEX != 3 ] || [ -e /shared/once ] || { touch /shared/once; exit 5; }"
    cluster.submit("turns", ["sh", "-c", script], completionMode="Indexed", completions=6, parallelism=2, backoffLimitPerIndex=1, backoffLimit=2147483647,
                   pod={"volumes": [{"name": "shared", "hostPath": {"path": str(tmp_path)}}]}, container={"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]})  # fmt: skip
    most = 0

    def over(_, job):
        nonlocal most
        most = max(most, job["status"].get("active", 0))
        return any(c["type"] == "Complete" for c in job["status"].get("conditions", ()))

    job = cluster.job_until("turns", over)
    assert (job["status"]["completedIndexes"], job["status"]["succeeded"], job["status"]["failed"]) == ("0-5", 6, 1)
    assert 0 < most <= 2
    counts = [
        pod["metadata"]["annotations"]["batch.kubernetes.io/job-index-failure-count"]
        for pod in cluster.pods("turns")
        if "-3-" in pod["metadata"]["name"]
    ]
    assert sorted(counts) == ["0", "1"]


def test_pod_failure_policy(cluster):
    rules = [
        {"action": "FailJob", "onExitCodes": {"containerName": "main", "operator": "In", "values": [42]}},
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
    ]
    cluster.submit("podfailurepolicy", ["sh", "-c", "exit 42"], backoffLimit=6, podFailurePolicy={"rules": rules})
    job = cluster.finished("podfailurepolicy")
    (pod,) = cluster.pods("podfailurepolicy")
    failed_with(
        job, "PodFailurePolicy", f"Container main for pod default/{pod['metadata']['name']} failed with exit code 42 matching FailJob rule at index 0"
    )
    assert job["spec"]["podReplacementPolicy"] == "Failed"


def test_suspended(cluster):
    cluster.submit("suspended", ["true"], suspend=True)
    job = cluster.job_until("suspended", lambda _, job: "conditions" in job["status"])
    assert conditions(job) == [("Suspended", "True", "JobSuspended")] and job["status"]["conditions"][0]["message"] == "Job suspended"
    assert {k: v for k, v in job["status"].items() if k != "conditions"} == {"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
    cluster.batch.patch_namespaced_job("suspended", "default", {"spec": {"suspend": False}})
    assert ("Complete", "True", "CompletionsReached") in conditions(cluster.finished("suspended"))


def test_parallelism_of_zero_stops_a_job(cluster):
    cluster.submit("stopped", TICKS, pod={"terminationGracePeriodSeconds": 0})
    cluster.running("stopped")
    cluster.batch.patch_namespaced_job("stopped", "default", {"spec": {"parallelism": 0}})
    job = cluster.job_until("stopped", lambda _, job: "active" not in job["status"])
    assert "conditions" not in job["status"] and "failed" not in job["status"] and cluster.pods("stopped") == []


def test_time_to_live(cluster):
    cluster.submit("brief", ["true"], ttlSecondsAfterFinished=0)
    cluster.job_until("brief", lambda kind, _: kind == "DELETED")
    assert cluster.pods("brief") == []
