"""The Kubernetes peer misbehaves when told to, runs containers apart from each other and from the host, and carries a large load."""

import http.client
import json
import os
import pathlib
import time
import urllib.error

import pytest
from kubernetes.client.exceptions import ApiException

from .kubernetes.environment import expand
from .kubernetes_client import Client, Peer, conditions, job_body, terminated

JOBS = "/apis/batch/v1/namespaces/default/jobs"
PODS = "/api/v1/namespaces/default/pods"


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    nodes = [{"name": name, "capacity": {"cpu": "2", "memory": "4Gi", "pods": "100"}, "labels": {"zone": name}} for name in ("node-1", "node-2")]
    tools = tmp_path_factory.mktemp("tools")
    (tools / "hello").write_text("#!/bin/sh\necho hello from the image\n")
    (tools / "hello").chmod(0o755)
    images = [{"image": "with-tools*", "root": {"root": "debian", "mounts": {"/opt/tools": str(tools)}}}, {"image": "quick*", "root": "simulated"}]
    scenario = {"nodes": nodes, "images": images, "simulation": {"seconds": 0.05}}
    with Peer(tmp_path_factory.mktemp("kubernetes"), scenario) as peer:
        yield peer
        assert peer.errors() == ""


@pytest.fixture
def call(peer):
    token = peer.tell("POST", "/tokens", {"user": "root", "groups": ["system:masters"]})["token"]
    return lambda method, path, body=None: peer.request(method, path, body, {"Authorization": f"Bearer {token}", "Content-Type": "application/json"})


BROKEN = (urllib.error.URLError, ConnectionError, http.client.HTTPException)


def test_too_many_requests(call, rule):
    """In plain text, as the real server says it. Only the second and the third call."""
    rule(verb="list", resource="pods", action="status", code=429, retryAfter=7, every=2, times=1)
    assert [call("GET", PODS)[0] for _ in range(4)] == [200, 429, 200, 200]
    rule(verb="list", resource="jobs", action="status", code=429)
    status, headers, body = call("GET", JOBS)
    assert (status, headers["Retry-After"], body) == (429, "1", b"Too many requests, please try again later.\n")


@pytest.mark.parametrize(
    ("code", "reason"), [(500, "InternalError"), (409, "Conflict"), (503, "ServiceUnavailable"), (403, "Forbidden"), (410, "Expired")]
)
def test_refusals(call, rule, code, reason):
    rule(verb="create", resource="jobs", action="status", code=code, nth=1)
    status, _, body = call("POST", JOBS, job_body(f"refused-{code}", ["true"], suspend=True))
    assert status == code and json.loads(body)["reason"] == reason and json.loads(body)["kind"] == "Status"
    assert call("GET", f"{JOBS}/refused-{code}")[0] == 404
    assert call("POST", JOBS, job_body(f"refused-{code}", ["true"], suspend=True))[0] == 201


def test_lost_answer(call, rule):
    """The job exists although its creation was not answered."""
    rule(verb="create", resource="jobs", action="lose", nth=1)
    with pytest.raises(BROKEN):
        call("POST", JOBS, job_body("lost", ["true"], suspend=True))
    assert call("GET", f"{JOBS}/lost")[0] == 200
    assert call("POST", JOBS, job_body("lost", ["true"], suspend=True))[0] == 409


def test_dropped_connection(call, rule):
    rule(verb="create", resource="jobs", action="drop", nth=1)
    with pytest.raises(BROKEN):
        call("POST", JOBS, job_body("dropped", ["true"], suspend=True))
    assert call("GET", f"{JOBS}/dropped")[0] == 404


def test_answer_broken_off(call, rule):
    rule(verb="list", resource="jobs", action="reset", bytes=10, nth=1)
    with pytest.raises(BROKEN):
        call("GET", JOBS)


def test_slow(call, rule, peer):
    number = rule(verb="get", resource="jobs", action="slow", seconds=0.1)
    assert call("GET", f"{JOBS}/absent")[0] == 404
    assert [(r["id"], r["done"]) for r in peer.tell("GET", "/rules")["rules"]] == [(number, 1)]


def test_client_that_is_gone_before_its_watch_begins(peer, rule):
    """That is no error of the server."""
    rule(verb="watch", resource="secrets", action="slow", seconds=0.5)
    token = peer.tell("POST", "/tokens", {"user": "root", "groups": ["system:masters"]})["token"]
    connection = http.client.HTTPSConnection(peer.url.removeprefix("https://"), context=peer.context, timeout=30)
    connection.request("GET", "/api/v1/namespaces/default/secrets?watch=1", headers={"Authorization": f"Bearer {token}"})
    connection.close()
    deadline = time.monotonic() + 30
    while "499" not in peer.tell("GET", "/counts")["statuses"]:
        assert time.monotonic() < deadline
    assert peer.errors() == ""


@pytest.mark.parametrize("action", ["expire", "cut", "garbage"])
def test_watch_accidents(call, rule, action):
    rule(verb="watch", resource="secrets", action=action, events=1)
    path = "/api/v1/namespaces/default/secrets"
    version = json.loads(call("GET", path)[2])["metadata"]["resourceVersion"]
    for number in range(2):
        call("POST", path, {"metadata": {"name": f"{action}-{number}"}})
    watch = f"{path}?watch=1&resourceVersion={version}&timeoutSeconds=10"
    if action == "cut":
        with pytest.raises(BROKEN):
            call("GET", watch)
        return
    lines = call("GET", watch)[2].splitlines()
    assert json.loads(lines[0])["type"] == "ADDED" and len(lines) == 2
    if action == "expire":
        assert json.loads(lines[1])["object"]["code"] == 410
    else:
        with pytest.raises(ValueError):
            json.loads(lines[1])


def test_counts(peer, call):
    peer.tell("DELETE", "/counts")
    for _ in range(3):
        call("GET", PODS)
    call("POST", JOBS, job_body("counted", ["true"], suspend=True))
    assert peer.counts() == {"list pods": 3, "create jobs": 1}


FOREVER = ["sh", "-c", "trap 'exit 143' TERM; while :; do sleep 0.05; done"]


@pytest.mark.parametrize(("action", "code", "reason"), [("oom", 137, "OOMKilled"), ("exit", 9, "Error"), ("node-rebooted", 255, "Unknown")])
def test_container_accidents(cluster, rule, action, code, reason):
    more = {"exitCode": code} if action == "exit" else {}
    rule(pods={"name": f"accident-{action}-.*"}, action=action, **more)
    cluster.submit(f"accident-{action}", FOREVER)
    cluster.finished(f"accident-{action}")
    (pod,) = cluster.pods(f"accident-{action}")
    assert (terminated(pod)["exitCode"], terminated(pod)["reason"], pod["status"]["phase"]) == (code, reason, "Failed")


@pytest.mark.parametrize(
    ("action", "reason"),
    [("evict", "EvictionByEvictionAPI"), ("preempt", "PreemptionByScheduler"), ("vanish", None), ("node-pressure", "TerminationByKubelet")],
)
def test_pod_accidents(cluster, rule, action, reason):
    rule(pods={"labels": f"case=pod-{action}"}, action=action)
    # Briefly: the signal may come before the trap is set, and the first process of a container ignores it then.
    cluster.submit(f"pod-{action}", FOREVER, pod={"terminationGracePeriodSeconds": 1})
    job = cluster.finished(f"pod-{action}")
    assert conditions(job)[-1] == ("Failed", "True", "BackoffLimitExceeded") and job["status"]["failed"] == 1
    if action != "node-pressure":
        assert cluster.pods(f"pod-{action}") == []
        return
    (pod,) = cluster.pods(f"pod-{action}")
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "Evicted") and "The node was low on resource: memory." in pod["status"][
        "message"
    ]
    assert ("DisruptionTarget", "True", reason) in conditions(pod)


@pytest.mark.parametrize(
    ("action", "waiting"),
    [("image-pull", "ErrImagePull"), ("invalid-image", "InvalidImageName"), ("create-container-error", "CreateContainerConfigError")],
)
def test_pods_that_cannot_start(cluster, rule, action, waiting):
    rule(pods={"labels": f"case=stuck-{action}"}, action=action)
    cluster.submit(f"stuck-{action}", ["true"])
    cluster.waiting(f"stuck-{action}", waiting)
    cluster.batch.delete_namespaced_job(f"stuck-{action}", "default", propagation_policy="Foreground")
    assert cluster.job_gone(f"stuck-{action}") and cluster.pods(f"stuck-{action}") == []


def test_a_volume_that_cannot_be_mounted(cluster, rule):
    """Its status is that of a pod that is on its way; a warning tells, again and again."""
    rule(pods={"labels": "job-name=mounting"}, action="failed-mount", after=0.5)
    cluster.submit("mounting", ["true"], image="quick")
    cluster.waiting("mounting", "ContainerCreating")
    (pod,) = cluster.pods("mounting")
    event = cluster.event_until(pod["metadata"]["name"], "FailedMount")
    assert event["type"] == "Warning" and event["message"] == 'MountVolume.SetUp failed for volume "keys" : secret "keys" not found'
    cluster.finished("mounting")
    assert [event for event in cluster.events("mounting") if event[0] == "FailedMount"] == [("FailedMount", event["message"])]


def test_lost_node(peer, cluster):
    """Its pods are given up after a time; they go when the node is back."""
    cluster.submit("nodelost", FOREVER, pod={"nodeSelector": {"zone": "node-2"}, "terminationGracePeriodSeconds": 1})
    name = cluster.running("nodelost")["metadata"]["name"]
    peer.tell("POST", "/node", {"name": "node-2", "action": "lose", "evictAfter": 0.1})
    pod = cluster.pod_until("nodelost", lambda _, pod: any(c["type"] == "DisruptionTarget" for c in pod["status"]["conditions"]))
    assert ("Ready", "False", None) in conditions(pod) and ("DisruptionTarget", "True", "DeletionByTaintManager") in conditions(pod)
    messages = dict(cluster.events(name))
    assert messages["NodeNotReady"] == "Node is not ready" and messages["TaintManagerEviction"] == f"Marking for deletion Pod default/{name}"
    with pytest.raises(ApiException) as refused:
        cluster.core.read_namespaced_pod_log(name, "default")
    assert refused.value.status == 500
    peer.tell("POST", "/node", {"name": "node-2", "action": "recover"})
    cluster.finished("nodelost")
    assert cluster.pods("nodelost") == []


def test_pods_wait_for_room(cluster):
    """Two nodes of two processors: the fifth waits, and runs when another one ended."""
    for number in range(5):
        cluster.submit(f"room-{number}", FOREVER, container={"resources": {"requests": {"cpu": "1"}}}, pod={"terminationGracePeriodSeconds": 0})
    running = [number for number in range(4) if cluster.running(f"room-{number}")]
    pod = cluster.pod_until("room-4", lambda _, pod: conditions(pod)[:1] == [("PodScheduled", "False", "Unschedulable")])
    assert pod["status"]["conditions"][0]["message"].startswith("0/2 nodes are available: 2 Insufficient cpu. preemption: ")
    cluster.batch.delete_namespaced_job(f"room-{running[0]}", "default", propagation_policy="Background")
    cluster.running("room-4")
    for number in range(1, 5):
        cluster.batch.delete_namespaced_job(f"room-{number}", "default", propagation_policy="Background")


# Containers.


def isolated(peer):
    if not peer.tell("GET", "/capabilities")["isolated"]:
        pytest.skip("no namespaces can be made here")


def test_roots_of_images(peer, cluster):
    """A slim Debian has no downloader; busybox is musl-like and small; an empty one has nothing to execute."""
    isolated(peer)
    script = "command -v curl wget python3 openssl; ls -d /home /work 2>/dev/null; echo x > /tmp/x && echo y > /y && cat /y; touch /usr/x 2>/dev/null || echo read-only; hostname; echo $$$$"
    cluster.submit("debian", ["sh", "-c", script])
    cluster.submit("busybox", ["sh", "-c", "ls /bin/busybox; ls /usr 2>/dev/null; wget 2>&1 | head -1"], image="busybox:1.36")
    cluster.submit("empty", ["sh"], image="gcr.io/distroless/static")
    cluster.submit("tools", ["/opt/tools/hello"], image="registry.corp/with-tools:3")
    cluster.submit("full", ["sh", "-c", "command -v python3"], image="python:3.11-slim")
    for name in ("debian", "busybox", "empty", "tools", "full"):
        cluster.finished(name)
    (pod,) = cluster.pods("debian")
    assert cluster.log("debian").splitlines() == ["y", "read-only", pod["metadata"]["name"], "1"]
    assert cluster.log("busybox").splitlines()[0] == "/bin/busybox" and "BusyBox" in cluster.log("busybox")
    assert 'exec: "sh": executable file not found in $PATH' in terminated(cluster.pods("empty")[0])["message"]
    assert cluster.log("tools") == "hello from the image\n"
    assert cluster.log("full").strip() == "/usr/bin/python3"


@pytest.mark.parametrize(
    "text, expanded",
    [
        ("$(A)$(B)", "a$(B)"), ("$$(A)", "$(A)"), ("$$$(A)", "$a"), ("$$$$", "$$"), ("$", "$"), ("x$", "x$"), ("$x $$x", "$x $x"), ("$(A", "$(A"),
        ("$($$", "$($"), ("$($(A)", "$($(A)"), ("$$é", "$é"), ("$é", "$Ã\udca9"),
    ],
)  # fmt: skip
def test_what_is_replaced_in_commands_and_variables(text, expanded):
    """As k8s.io/kubernetes does it (third_party/forked/golang/expansion)."""
    assert expand(text, {"A": "a"}) == expanded


def test_a_pod_of_everything(peer, cluster):
    """Init containers, shared volumes, variables from everywhere, secrets as files, working directory, user, read-only root."""
    isolated(peer)
    cluster.core.create_namespaced_secret("default", {"metadata": {"name": "all-secret"}, "stringData": {"key": "secret value", "OTHER": "other"}})
    cluster.core.create_namespaced_config_map("default", {"metadata": {"name": "all-map"}, "data": {"SETTING": "set"}})
    fetch = {
        "name": "fetch",
        "image": "curlimages/curl:8.10.1",
        "command": ["sh", "-ec", "echo '#!/bin/sh\necho executed \"$@\"' > /mf/flow; chmod 0555 /mf/flow; echo fetched"],
        "volumeMounts": [{"name": "mf", "mountPath": "/mf"}],
    }
    variables = [
        {"name": "PLAIN", "value": "plain"}, {"name": "REFERS", "value": "$(PLAIN)-$$(PLAIN)-$(NOTHING)-$x-$(-$$é-$"}, {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "all-secret", "key": "key"}}}, {"name": "SETTING", "valueFrom": {"configMapKeyRef": {"name": "all-map", "key": "SETTING"}}},
        {"name": "MEMORY", "valueFrom": {"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}}},
    ]  # fmt: skip
    script = 'pwd; ./flow a "b c"; echo "$PLAIN|$REFERS|$POD|$SECRET|$SETTING|$MEMORY|$P_OTHER"; cat /keys/key; echo; stat -c %a /keys/..data/key 2>/dev/null || stat -c %a /keys/key; id -u; touch /new 2>/dev/null || echo refused; touch new && echo made'
    main = {"name": "main", "workingDir": "/mf", "env": variables, "envFrom": [{"prefix": "P_", "secretRef": {"name": "all-secret"}}], "resources": {"limits": {"memory": "64Mi"}},
            "volumeMounts": [{"name": "mf", "mountPath": "/mf"}, {"name": "keys", "mountPath": "/keys", "readOnly": True}], "securityContext": {"runAsUser": 1234, "readOnlyRootFilesystem": True}}  # fmt: skip
    pod = {
        "initContainers": [fetch],
        "volumes": [{"name": "mf", "emptyDir": {}}, {"name": "keys", "secret": {"secretName": "all-secret", "defaultMode": 0o444}}],
    }
    cluster.submit("everything", ["sh", "-c", script], container=main, pod=pod)
    cluster.finished("everything")
    (found,) = cluster.pods("everything")
    name = found["metadata"]["name"]
    expected = [
        "/mf",
        "executed a b c",
        f"plain|plain-$(PLAIN)-$(NOTHING)-$x-$(-$é-$|{name}|secret value|set|64|other",
        "secret value",
        "444",
        "1234" if os.getuid() == 0 else "0",
        "refused",
        "made",
    ]
    assert cluster.log("everything", container="main").splitlines() == expected
    assert cluster.log("everything", container="fetch") == "fetched\n"
    init = found["status"]["initContainerStatuses"][0]
    assert init["ready"] is True and init["state"]["terminated"]["reason"] == "Completed"


def test_failed_init_container(cluster):
    init = {"name": "fetch", "image": "debian", "command": ["sh", "-c", "echo no route; exit 6"], "terminationMessagePolicy": "FallbackToLogsOnError"}
    cluster.submit("badinit", ["true"], pod={"initContainers": [init]})
    cluster.finished("badinit")
    (pod,) = cluster.pods("badinit")
    assert pod["status"]["phase"] == "Failed" and ("Initialized", "False", "ContainersNotInitialized") in conditions(pod)
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 6
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["message"] == "no route\n"
    assert pod["status"]["containerStatuses"][0]["state"] == {"waiting": {"reason": "PodInitializing"}}


def test_termination_message_and_grace(cluster):
    """A container may say why it ended; the signal to end comes before the kill."""
    script = "trap 'echo asked > /dev/termination-log; exit 5' TERM; echo ready; while :; do sleep 0.02; done"
    cluster.submit("grace", ["sh", "-c", script], pod={"terminationGracePeriodSeconds": 20})
    pod = cluster.running("grace")
    name = pod["metadata"]["name"]
    response = cluster.core.read_namespaced_pod_log(name, "default", follow=True, _preload_content=False)
    log = response.stream()
    assert next(log) == b"ready\n"
    cluster.core.delete_namespaced_pod(name, "default")
    end = terminated(cluster.gone("grace", pod))
    assert (end["exitCode"], end["message"]) == (5, "asked\n")


def test_nothing_outlives_a_pod(peer, cluster):
    """Also not what left its session."""
    isolated(peer)
    cluster.submit("leaver", ["sh", "-c", "setsid sleep 4321 & setsid sleep 4321 & echo left; wait"], pod={"terminationGracePeriodSeconds": 0})
    name = cluster.running("leaver")["metadata"]["name"]
    response = cluster.core.read_namespaced_pod_log(name, "default", follow=True, _preload_content=False)
    log = response.stream()
    assert next(log) == b"left\n"
    cluster.batch.delete_namespaced_job("leaver", "default", propagation_policy="Background")
    assert b"".join(log) == b""  # it ends with the container
    commands = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            commands.append(path.read_bytes())
        except OSError:
            pass
    assert b"sleep\x004321\x00" not in commands


def test_without_namespaces(tmp_path):
    """Plain processes, with the places of volumes replaced."""
    with Peer(tmp_path / "peer", {"isolated": False}) as peer:
        cluster = Client(peer.kubeconfig)
        mount = {"volumeMounts": [{"name": "mf", "mountPath": "/mf"}]}
        fetch = {"name": "fetch", "image": "debian", "command": ["cp", "/bin/echo", "/mf/flow"], **mount}
        pod = {"initContainers": [fetch], "volumes": [{"name": "mf", "emptyDir": {}}], "terminationGracePeriodSeconds": 0}
        cluster.submit("plain", ["/mf/flow", "a", "b"], container={**mount, "workingDir": "/mf"}, pod=pod)
        cluster.finished("plain")
        assert cluster.log("plain", container="main") == "a b\n"
        cluster.submit("killed", FOREVER, pod={"terminationGracePeriodSeconds": 0})
        cluster.running("killed")
        cluster.batch.delete_namespaced_job("killed", "default", propagation_policy="Foreground")
        assert cluster.job_gone("killed") and cluster.pods("killed") == []
        assert peer.errors() == ""


# Load.


def test_five_thousand_pods(tmp_path):
    """At once, in one indexed job, without executing anything."""
    scenario = {
        "images": [{"image": "quick*", "root": "simulated"}],
        "simulation": {"seconds": 12},
        "nodes": [{"name": "large", "capacity": {"cpu": "100k", "memory": "1000Ti", "pods": "100k"}}],
    }
    with Peer(tmp_path / "peer", scenario, pace=0.2, arguments=["--history", "100000"]) as peer:
        cluster = Client(peer.kubeconfig)
        cluster.submit("wide", ["true"], image="quick", completionMode="Indexed", completions=5000, parallelism=5000)
        job = cluster.finished("wide", 300)
        assert job["status"]["completedIndexes"] == "0-4999" and job["status"]["succeeded"] == 5000
        fields = pathlib.Path(f"/proc/{peer.process.pid}/stat").read_text().rpartition(")")[2].split()
        seconds = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        memory = int(pathlib.Path(f"/proc/{peer.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20
        print(f"\n5,000 simulated pods: {seconds:.1f} s CPU, {memory} MiB")
        assert peer.errors() == ""
