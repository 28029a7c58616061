"""The Kubernetes peer does what a real Kubernetes 1.32 did in the same cases: statuses, reasons and messages are recorded ones."""

import time

import pytest
from kubernetes.client.exceptions import ApiException

from .kubernetes_client import Client, Peer, conditions, terminated

READY_TO_START, INITIALIZED, READY, CONTAINERS_READY, SCHEDULED = (
    "PodReadyToStartContainers",
    "Initialized",
    "Ready",
    "ContainersReady",
    "PodScheduled",
)
LIMIT = "Job has reached the specified backoff limit"


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    scenario = {
        "nodes": [{"name": "127.0.0.1", "capacity": {"cpu": "8", "memory": "8Gi", "ephemeral-storage": "100Gi", "pods": "110"}}],
        "namespaces": ["quota"],
    }
    with Peer(tmp_path_factory.mktemp("kubernetes"), scenario) as peer:
        yield peer
        assert peer.errors() == ""


def ended_conditions(why):
    initialized = (INITIALIZED, "True", "PodCompleted" if why == "PodCompleted" else None)
    return [(READY_TO_START, "False", None), initialized, (READY, "False", why), (CONTAINERS_READY, "False", why), (SCHEDULED, "True", None)]


def failed_with(job, reason, message):
    """A job that failed in two steps: the target, then the fact."""
    assert conditions(job) == [("FailureTarget", "True", reason), ("Failed", "True", reason)]
    assert {c["message"] for c in job["status"]["conditions"]} == {message}
    assert "completionTime" not in job["status"]


def test_ok(cluster):
    resources = {"limits": {"memory": "64Mi"}, "requests": {"cpu": "100m", "memory": "64Mi"}}
    created = cluster.raw(
        cluster.submit("ok", ["sh", "-c", "echo hello from $(hostname); echo to-stderr >&2; id; exit 0"], container={"resources": resources})
    )
    assert "status" not in created or created["status"] == {}
    assert {k: v for k, v in created["spec"].items() if k not in ("template", "selector")} == {
        "backoffLimit": 0, "completionMode": "NonIndexed", "completions": 1, "manualSelector": False, "parallelism": 1, "podReplacementPolicy": "TerminatingOrFailed", "suspend": False,
    }  # fmt: skip
    uid = created["metadata"]["uid"]
    labels = {"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": "ok", "case": "ok", "controller-uid": uid, "job-name": "ok"}
    assert created["spec"]["template"]["metadata"]["labels"] == labels
    assert created["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}

    job = cluster.finished("ok")
    assert conditions(job) == [("SuccessCriteriaMet", "True", "CompletionsReached"), ("Complete", "True", "CompletionsReached")]
    assert job["status"]["conditions"][0]["message"] == "Reached expected number of succeeded pods"
    assert {k: v for k, v in job["status"].items() if k not in ("conditions", "completionTime", "startTime")} == {
        "ready": 0,
        "succeeded": 1,
        "terminating": 0,
        "uncountedTerminatedPods": {},
    }

    (pod,) = cluster.pods("ok")
    assert pod["metadata"]["name"].startswith("ok-") and pod["metadata"]["generateName"] == "ok-" and pod["metadata"]["labels"] == labels
    assert pod["metadata"]["ownerReferences"] == [
        {"apiVersion": "batch/v1", "blockOwnerDeletion": True, "controller": True, "kind": "Job", "name": "ok", "uid": uid}
    ]
    assert pod["status"]["phase"] == "Succeeded" and pod["status"]["qosClass"] == "Burstable"
    assert conditions(pod) == ended_conditions("PodCompleted")
    end = terminated(pod)
    assert (end["exitCode"], end["reason"], end.get("message")) == (0, "Completed", None) and end["containerID"].startswith("containerd://")
    log = cluster.log("ok").splitlines()
    assert f"hello from {pod['metadata']['name']}" in log and "to-stderr" in log
    messages = dict(cluster.events("ok"))
    assert set(messages) == {"SuccessfulCreate", "Scheduled", "Pulled", "Created", "Started", "Completed"}
    assert messages["Scheduled"] == f"Successfully assigned default/{pod['metadata']['name']} to 127.0.0.1"
    assert messages["Pulled"] == 'Container image "debian:bookworm-slim" already present on machine'
    assert (messages["Created"], messages["Started"], messages["Completed"]) == ("Created container: main", "Started container main", "Job completed")
    assert messages["SuccessfulCreate"] == f"Created pod: {pod['metadata']['name']}"


def test_life_of_a_pod_in_a_watch(cluster):
    """The steps that a watch sees, in the recorded order; a pod that ended is Running with a terminated container for a moment."""
    seen = []

    def over(kind, pod):
        status = pod["status"]
        state = next(iter(status["containerStatuses"][0]["state"])) if "containerStatuses" in status else None
        seen.append(
            (status["phase"], state, bool(pod["spec"].get("nodeName")), "batch.kubernetes.io/job-tracking" in pod["metadata"].get("finalizers", ()))
        )
        return status["phase"] == "Succeeded" and not pod["metadata"].get("finalizers")

    cluster.submit("life", ["sh", "-c", "echo hi; sleep 0.2"])
    cluster.pod_until("life", over)
    expected = [
        ("Pending", None, False, True), ("Pending", None, True, True), ("Pending", "waiting", True, True), ("Running", "running", True, True), ("Running", "terminated", True, True),
        ("Succeeded", "terminated", True, True), ("Succeeded", "terminated", True, False),
    ]  # fmt: skip
    # The first ones may be past when the list is made.
    assert seen == expected[-len(seen) :] and len(seen) >= 4


def test_exit3(cluster):
    cluster.submit("exit3", ["sh", "-c", "echo about to fail; exit 3"], container={"terminationMessagePolicy": "FallbackToLogsOnError"})
    job = cluster.finished("exit3")
    failed_with(job, "BackoffLimitExceeded", LIMIT)
    assert job["status"]["failed"] == 1 and "active" not in job["status"]
    (pod,) = cluster.pods("exit3")
    assert pod["status"]["phase"] == "Failed" and conditions(pod) == ended_conditions("PodFailed")
    end = terminated(pod)
    assert (end["exitCode"], end["reason"], end["message"]) == (3, "Error", "about to fail\n")
    assert ("BackoffLimitExceeded", LIMIT) in cluster.events("exit3")


def needs_memory_limits(peer):
    if not peer.tell("GET", "/capabilities")["memory"]:
        pytest.skip("no control groups for memory can be made here")


def test_oom(peer, cluster):
    needs_memory_limits(peer)
    resources = {"limits": {"memory": "32Mi"}, "requests": {"memory": "32Mi"}}
    cluster.submit("oom", ["sh", "-c", "echo eating; x=aaaaaaaa; while :; do x=$x$x; done"], container={"resources": resources})
    failed_with(cluster.finished("oom"), "BackoffLimitExceeded", LIMIT)
    (pod,) = cluster.pods("oom")
    assert (terminated(pod)["exitCode"], terminated(pod)["reason"]) == (137, "OOMKilled")
    assert cluster.log("oom") == "eating\n"


def test_oom_of_a_child(peer, cluster):
    """The reason tells, not the exit code."""
    needs_memory_limits(peer)
    resources = {"limits": {"memory": "32Mi"}, "requests": {"memory": "32Mi"}}
    cluster.submit(
        "oomchild", ["sh", "-c", "sh -c 'x=aaaaaaaa; while :; do x=$x$x; done'; echo child rc=$?; exit 1"], container={"resources": resources}
    )
    failed_with(cluster.finished("oomchild"), "BackoffLimitExceeded", LIMIT)
    (pod,) = cluster.pods("oomchild")
    assert (terminated(pod)["exitCode"], terminated(pod)["reason"]) == (1, "OOMKilled")
    assert cluster.log("oomchild") == "Killed\nchild rc=137\n"


def test_unschedulable(cluster):
    resources = {"limits": {"nvidia.com/gpu": "1"}, "requests": {"cpu": "100", "memory": "1Ti"}}
    cluster.submit("unschedulable", ["true"], container={"resources": resources})
    pod = cluster.pod_until("unschedulable", lambda _, pod: conditions(pod) == [(SCHEDULED, "False", "Unschedulable")])
    message = "0/1 nodes are available: 1 Insufficient cpu, 1 Insufficient memory, 1 Insufficient nvidia.com/gpu. preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
    assert pod["status"]["conditions"][0]["message"] == message
    assert pod["status"]["phase"] == "Pending" and "containerStatuses" not in pod["status"] and "nodeName" not in pod["spec"]
    assert cluster.event_until(pod["metadata"]["name"], "FailedScheduling")["message"] == message
    job = cluster.job_until("unschedulable", lambda _, job: job["status"].get("active") == 1)
    assert "conditions" not in job["status"]
    assert cluster.log("unschedulable") == ""
    cluster.batch.delete_namespaced_job("unschedulable", "default", propagation_policy="Background")


WAITING_CONDITIONS = [(READY_TO_START, "True", None), (INITIALIZED, "True", None), (READY, "False", "ContainersNotReady"), (CONTAINERS_READY, "False", "ContainersNotReady"), (SCHEDULED, "True", None)]  # fmt: skip


def refused_log(cluster, pod):
    with pytest.raises(ApiException) as refused:
        cluster.core.read_namespaced_pod_log(pod["metadata"]["name"], "default")
    assert refused.value.status == 400
    return refused.value.body


def test_image_pull(cluster):
    image = "127.0.0.1:9/no-such:tag"
    cluster.submit("imagepull", ["true"], image=image)
    text = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": failed to do request: Head "http://127.0.0.1:9/v2/no-such/manifests/tag": dial tcp 127.0.0.1:9: connect: connection refused'
    pod = cluster.waiting("imagepull", "ImagePullBackOff")
    state = pod["status"]["containerStatuses"][0]
    assert state["state"]["waiting"]["message"] == f'Back-off pulling image "{image}": ErrImagePull: {text}'
    assert (state["image"], state["imageID"], state["ready"], state["started"]) == (image, "", False, False)
    assert conditions(pod) == WAITING_CONDITIONS and pod["status"]["phase"] == "Pending"
    assert {c.get("message") for c in pod["status"]["conditions"]} == {None, "containers with unready status: [main]"}
    assert cluster.waiting("imagepull", "ErrImagePull")["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == text
    events = cluster.events("imagepull")
    for event in [
        ("Pulling", f'Pulling image "{image}"'),
        ("Failed", f'Failed to pull image "{image}": {text}'),
        ("Failed", "Error: ErrImagePull"),
        ("BackOff", f'Back-off pulling image "{image}"'),
    ]:
        assert event in events
    assert f'container \\"main\\" in pod \\"{pod["metadata"]["name"]}\\" is waiting to start: trying and failing to pull image' in refused_log(
        cluster, pod
    )


def test_image_never_pulled(cluster):
    cluster.submit("imageneverpull", ["true"], image="no-such:tag", container={"imagePullPolicy": "Never"})
    pod = cluster.waiting("imageneverpull", "ErrImageNeverPull")
    text = 'Container image "no-such:tag" is not present with pull policy of Never'
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == text
    assert conditions(pod) == WAITING_CONDITIONS
    assert ("ErrImageNeverPull", text) in cluster.events("imageneverpull")
    assert "is waiting to start: ErrImageNeverPull" in refused_log(cluster, pod)


def test_missing_secret(cluster):
    """It waits, and starts when the secret comes."""
    cluster.submit("badsecret", ["sh", "-c", "echo $WORD"], container={"envFrom": [{"secretRef": {"name": "no-such-secret"}}]})
    pod = cluster.waiting("badsecret", "CreateContainerConfigError")
    assert pod["status"]["containerStatuses"][0]["state"]["waiting"]["message"] == 'secret "no-such-secret" not found'
    assert conditions(pod) == WAITING_CONDITIONS
    assert ("Failed", 'Error: secret "no-such-secret" not found') in cluster.events("badsecret")
    assert "is waiting to start: CreateContainerConfigError" in refused_log(cluster, pod)
    cluster.core.create_namespaced_secret("default", {"metadata": {"name": "no-such-secret"}, "stringData": {"WORD": "there"}})
    cluster.finished("badsecret")
    assert cluster.log("badsecret") == "there\n"


def test_bad_command(cluster):
    cluster.submit("badcommand", ["/no/such/binary"])
    failed_with(cluster.finished("badcommand"), "BackoffLimitExceeded", LIMIT)
    (pod,) = cluster.pods("badcommand")
    text = 'failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/no/such/binary": stat /no/such/binary: no such file or directory: unknown'
    end = terminated(pod)
    assert (end["exitCode"], end["reason"], end["message"], end["startedAt"][:4]) == (128, "StartError", text, "1970")
    assert ("Failed", f"Error: {text}") in cluster.events("badcommand")
    assert cluster.log("badcommand") == ""








def test_disruption_is_ignored_by_policy(peer, cluster, tmp_path):
    """What the cluster did to a pod is no failure of the job's."""
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]
    script = "[ -e /shared/once ] || { touch /shared/once; sleep 60; }"
    cluster.submit("ignored", ["sh", "-c", script], podFailurePolicy={"rules": rules}, pod={"terminationGracePeriodSeconds": 0, "volumes": [{"name": "shared", "hostPath": {"path": str(tmp_path)}}]},
                   container={"volumeMounts": [{"name": "shared", "mountPath": "/shared"}]})  # fmt: skip
    end = time.monotonic() + 30
    while not (tmp_path / "once").exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    peer.tell("POST", "/pod", {"name": cluster.pods("ignored")[0]["metadata"]["name"], "action": "evict"})
    job = cluster.finished("ignored")
    assert conditions(job)[-1][0] == "Complete" and "failed" not in job["status"]


def test_missing_service_account(cluster):
    cluster.submit("nosa", ["true"], pod={"serviceAccountName": "no-such-sa"})
    event = cluster.event_until("nosa", "FailedCreate")
    assert (
        event["message"]
        == 'Error creating: pods "nosa-" is forbidden: error looking up service account default/no-such-sa: serviceaccount "no-such-sa" not found'
    )
    job = cluster.job_until("nosa", lambda _, job: "startTime" in job["status"])
    assert {k: v for k, v in job["status"].items() if k != "startTime"} == {"ready": 0, "terminating": 0, "uncountedTerminatedPods": {}}
    assert cluster.pods("nosa") == []


def test_quota(peer):
    quota = Client(peer.kubeconfig, namespace="quota")
    quota.core.create_namespaced_resource_quota("quota", {"metadata": {"name": "q"}, "spec": {"hard": {"pods": "0"}}})
    quota.submit("quota", ["true"])
    event = quota.event_until("quota", "FailedCreate")
    assert event["message"].startswith('Error creating: pods "quota-')
    assert event["message"].endswith('" is forbidden: exceeded quota: q, requested: pods=1, used: pods=0, limited: pods=0')
    assert quota.pods("quota") == []


TICKS = ["sh", "-c", "i=0; while :; do echo tick $i; i=$((i+1)); sleep 0.05; done"]


def test_running(cluster):
    cluster.submit("running", TICKS, pod={"terminationGracePeriodSeconds": 0})
    pod = cluster.running("running")
    assert conditions(pod) == [
        (READY_TO_START, "True", None),
        (INITIALIZED, "True", None),
        (READY, "True", None),
        (CONTAINERS_READY, "True", None),
        (SCHEDULED, "True", None),
    ]
    assert list(pod["status"]["containerStatuses"][0]["state"]) == ["running"]
    job = cluster.job_until("running", lambda _, job: job["status"].get("ready") == 1)
    assert {k: v for k, v in job["status"].items() if k != "startTime"} == {"active": 1, "ready": 1, "terminating": 0, "uncountedTerminatedPods": {}}
    cluster.batch.delete_namespaced_job("running", "default", propagation_policy="Background")


def test_pod_deleted(cluster):
    cluster.submit("poddeleted", TICKS, pod={"terminationGracePeriodSeconds": 1})
    name = cluster.running("poddeleted")["metadata"]["name"]
    cluster.core.delete_namespaced_pod(name, "default")
    job = cluster.finished("poddeleted")
    failed_with(job, "BackoffLimitExceeded", LIMIT)
    assert job["status"]["failed"] == 1 and cluster.pods("poddeleted") == []
    assert ("Killing", "Stopping container main") in cluster.events("poddeleted")


def test_evicted(peer, cluster):
    """That it was evicted is to be seen in a watch only: then the pod is gone."""
    cluster.submit("evicted", TICKS, pod={"terminationGracePeriodSeconds": 1})
    before = cluster.running("evicted")
    peer.tell("POST", "/pod", {"name": before["metadata"]["name"], "action": "evict"})
    pod = cluster.gone("evicted", before)
    assert ("DisruptionTarget", "True", "EvictionByEvictionAPI") in conditions(pod)
    assert [c["message"] for c in pod["status"]["conditions"] if c["type"] == "DisruptionTarget"] == ["Eviction API: evicting"]
    assert terminated(pod)["exitCode"] == 137 and terminated(pod)["reason"] == "Error" and pod["status"]["phase"] == "Failed"
    failed_with(cluster.finished("evicted"), "BackoffLimitExceeded", LIMIT)





def test_pod_deadline(cluster):
    cluster.submit("poddeadline", ["sh", "-c", "exec sleep 300"], pod={"activeDeadlineSeconds": 1})
    cluster.finished("poddeadline")
    (pod,) = cluster.pods("poddeadline")
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")
    assert pod["status"]["message"] == "Pod was active on the node longer than the specified deadline"


def test_in_cluster(cluster):
    """A container is its service account, and finds the server."""
    script = (
        "import json, os, ssl, urllib.request\n"
        "b = '/var/run/secrets/kubernetes.io/serviceaccount/'\n"
        "print(sorted(os.listdir(b)), open(b + 'namespace').read())\n"
        "r = urllib.request.Request('https://%s:%s/version' % (os.environ['KUBERNETES_SERVICE_HOST'], os.environ['KUBERNETES_SERVICE_PORT']), headers={'Authorization': 'Bearer ' + open(b + 'token').read()})\n"
        "print(json.load(urllib.request.urlopen(r, context=ssl.create_default_context(cafile=b + 'ca.crt')))['major'])\n"
    )
    cluster.submit("incluster", ["python3", "-c", script], image="python:3.11-slim")
    cluster.finished("incluster")
    assert cluster.log("incluster") == "['ca.crt', 'namespace', 'token'] default\n1\n"
