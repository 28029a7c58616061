"""Flows on a cluster: an API server that validates what it is sent and executes pods, S3 by moto, and the rights of the documented role alone."""

import itertools
import json
import os
import pathlib
import re
import signal
import subprocess
import threading

import pytest

import cluster as k8s
import s3
from conftest import BUILD
from remote import User, check_backend, interrupt, kill_scheduler, make_bucket, wait_until

MISSING = k8s.missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"KUBERNETES IS NOT TESTED: it needs {MISSING}")
MANY = {"nodes": [{"name": "node-1", "capacity": {"cpu": "64", "memory": "64Gi", "ephemeral-storage": "500Gi", "pods": "500"}}]}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with s3.moto(tmp_path_factory.mktemp("moto")) as running:
        make_bucket(running)
        yield running


class Cluster(User):
    """A flow's user before a cluster."""

    def __init__(self, cli, server, peer):
        super().__init__(cli, k8s.environment(peer, server, cli.directory.name))
        self.server, self.peer = server, peer

    def objects(self, kind, group="api/v1"):
        status, _, body = self.peer.request("GET", f"/{group}/namespaces/{k8s.NAMESPACE}/{kind}", headers=self.admin())
        assert status == 200, body
        return json.loads(body)["items"]

    def accident(self, action, **more):
        """Something happens to a pod now."""
        name = self.objects("pods")[0]["metadata"]["name"]
        self.peer.tell("POST", "/pod", {"namespace": k8s.NAMESPACE, "name": name, "action": action, **more})

    def admin(self):
        import yaml

        users = yaml.safe_load(self.peer.kubeconfig.read_text())["users"]
        return {"Authorization": f"Bearer {users[0]['user']['token']}"}

    def jobs(self):
        return self.objects("jobs", "apis/batch/v1")

    def unfinished(self):
        ended = {"Complete", "Failed"}
        return [j for j in self.jobs() if not any(c["type"] in ended and c["status"] == "True" for c in j.get("status", {}).get("conditions", []))]

    def nothing_is_left(self):
        wait_until(lambda: not self.unfinished())
        wait_until(lambda: not self.peer.tell("GET", "/running")["running"] if "running" in self.peer.tell("GET", "/running") else True)
        assert [secret["metadata"]["name"] for secret in self.objects("secrets") if secret["metadata"]["name"].startswith("mf-")] == []

    def no_complaints(self):
        assert self.peer.errors() == "" and self.peer.tell("GET", "/denied")["denied"] == []


@pytest.fixture
def make(cli, server, tmp_path):
    """Makes the cluster of a test: its scenario, its rules."""
    made = []

    def start(*rules, **scenario):
        context = k8s.cluster(tmp_path / "cluster", server, {**MANY, "rules": list(rules), **scenario})
        cluster = Cluster(cli, server, context.__enter__())
        made.append((context, cluster))
        return cluster

    yield start
    for context, _ in made:
        context.__exit__(None, None, None)


def test_one_step_on_the_cluster_the_others_here(make):
    cluster = make()
    result = cluster.run("placed", "--n", "5", "--max-workers", "3")
    assert result.status == 0, result
    run = cluster.read("Placed")
    assert run["ok"]
    join = run["tasks"]["join"][0]["data"]
    assert join["squares"] == [0, 1, 4, 9, 16] and join["places"] == ["pod"] * 5 and join["place"] == "here"
    assert run["tasks"]["start"][0]["data"]["place"] == "here"
    for task in run["tasks"]["work"]:
        assert re.fullmatch(r"working on \d\n", task["out"]) and task["err"] == "attempt 0\n", "the log is stored, and once"
        assert task["code"] and task["data"]["cpus"] == 1
    for item in range(5):
        assert len(re.findall(rf"/work/\d+ \(job mf-placed-work-[0-9a-f]+\)\] working on {item}\n", result.out)) == 1, result
    counts = cluster.peer.counts()
    assert counts["create jobs"] == 5 and counts["create secrets"] == 1 and counts["watch pods"] == 1, counts
    assert counts.get("get pods/log", 0) <= 5
    cluster.nothing_is_left()
    cluster.no_complaints()


@pytest.mark.parametrize("fetcher", ["curlimages/curl:8.10.1", "none"])
def test_texts_reach_the_pod_as_they_are(make, fetcher):
    """Kubernetes replaces $(NAME) and $$ in what a pod is to execute and to have as variables."""
    cluster = make()
    texts = ["pa$$word$(USER)", "$(AWS_SECRET_ACCESS_KEY)", "a$$b$", "$5 $é $(", "'\"\\ \n$$$(HOME)"]
    tags = [word for text in texts for word in ("--tag", text)]
    variables = "environment:vars=" + json.dumps({"COLOUR": texts[0], "SHAPE": texts[-1]})
    setting = {"METAFLOW_KUBERNETES_FETCH_IMAGE": fetcher, "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "python:3.12"}
    result = cluster.run("surroundings", "--with", "kubernetes:cpu=0.1,memory=64", "--with", variables, "--namespace", texts[2], *tags, env=setting)
    assert result.status == 0, result
    for tasks in cluster.read("Surroundings")["tasks"].values():
        for task in tasks:
            if "variables" not in task["data"]:
                continue  # _parameters
            assert task["data"]["tags"] == texts and task["data"]["name_space"] == texts[2]
            assert task["data"]["variables"]["SHAPE"] in (texts[-1], ""), "one step has variables of its own"
    assert cluster.read("Surroundings")["tasks"]["start"][0]["data"]["variables"]["COLOUR"] == texts[0]
    cluster.no_complaints()


def test_all_steps_by_an_option(make):
    cluster = make()
    result = cluster.run("bigsum", "--with", "kubernetes:cpu=0.5,memory=200,disk=100", "--tag", "big")
    assert result.status == 0, result
    assert "The sum is " in result.out and result.out.endswith("Done!\n")
    run = cluster.read("BigSum")
    assert run["ok"] and run["tasks"]["end"][0]["out"].startswith("The sum is ")
    requests = [job["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] for job in cluster.jobs()]
    assert sorted(request["cpu"] for request in requests) == ["0.5", "8"], "`resources` of start, and what the option says"
    cluster.no_complaints()


@pytest.mark.parametrize("image", ["debian:bookworm-slim", "alpine:3", "gcr.io/distroless/static", "python:3.12"])
def test_images(make, image):
    cluster = make()
    result = cluster.run("placed", env={"METAFLOW_KUBERNETES_CONTAINER_IMAGE": image})
    assert result.status == 0, result
    cluster.no_complaints()


@pytest.mark.parametrize("image", ["python:3.12", "debian:bookworm-slim", "alpine:3"])
def test_the_image_fetches_the_package(make, image):
    cluster = make()
    result = cluster.run("placed", "--n", "1", env={"METAFLOW_KUBERNETES_CONTAINER_IMAGE": image, "METAFLOW_KUBERNETES_FETCH_IMAGE": "none"})
    assert result.status == 0, result
    assert "initContainers" not in cluster.jobs()[0]["spec"]["template"]["spec"]


def test_the_flow_is_in_the_image(make, cli):
    directory = cli.path("placed").parent
    cluster = make(images=[{"image": "mine*", "root": {"root": "debian-full", "mounts": {"/opt/flow": str(directory)}}}])
    settings = {"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "mine:1", "METAFLOW_KUBERNETES_FLOW_IN_IMAGE": "/opt/flow/placed_flow"}
    result = cluster.run("placed", "--n", "1", env=settings)
    assert result.status == 0, result
    assert "create secrets" not in cluster.peer.counts()


def test_its_backend_does_what_every_backend_does(make):
    programs = str(BUILD / "programs")
    greedy = {"pods": {"name": "mf-scripted-greedy-.*"}, "action": "oom"}
    cluster = make(greedy, images=[{"image": "mine*", "root": {"root": "debian-full", "mounts": {"/opt/flow": programs}}}])
    settings = {"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "mine:1", "METAFLOW_KUBERNETES_FLOW_IN_IMAGE": "/opt/flow/scripted_task"}
    settings |= {"METAFLOW_KUBERNETES_CPU": "0.1", "METAFLOW_KUBERNETES_MEMORY": "256", "METAFLOW_KUBERNETES_DISK": "100"}
    check_backend("kubernetes", {**cluster.cli.environment, **settings})
    cluster.nothing_is_left()
    cluster.no_complaints()


def test_an_image_that_cannot_fetch(make):
    cluster = make()
    env = {"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "simulated-never", "METAFLOW_KUBERNETES_FETCH_IMAGE": "none"}
    env["METAFLOW_KUBERNETES_CONTAINER_IMAGE"] = "gcr.io/distroless/static"
    result = cluster.run("placed", "--n", "1", "--with", "retry:times=3,minutes_between_retries=0", env=env)
    assert result.status == 1 and "could not be started" in result.out, result
    assert cluster.peer.counts()["create jobs"] == 1, "another attempt cannot help"


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


@pytest.mark.parametrize("how, words", [("crash", "SIGABRT"), ("exit", "exit status 7")])
def test_a_task_that_dies(make, how, words):
    cluster = make()
    result = cluster.run("placed", "--n", "1", "--fail", how)
    assert result.status == 1 and words in result.out, result
    assert words in cluster.read("Placed")["tasks"]["work"][0]["err"]


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
    assert process.returncode == 1 and out.count("] Task ended with exit status 7 before its step was finished.") == 1, out


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


ACCIDENTS = {
    "oom": "ran out of memory",
    "evict": "ended by the cluster",
    "preempt": "ended by the cluster",
    "node-pressure": "ended by the cluster",
    "vanish": "deleted",  # by somebody, if the watch tells how it went; else it was deleted, evicted or lost
    "node-rebooted": "node was restarted or lost",
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


def test_a_disrupted_task_need_not_count(make, gate):
    cluster = make()
    cluster.cli.environment["METAFLOW_KUBERNETES_UNCOUNTED_RETRIES"] = "1"
    process = cluster.start("placed", "--n", "1", "--port", str(gate.port))
    gate.wait_for(1)
    cluster.accident("evict")
    gate.wait_for(2)
    gate.release()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "which is no retry (1 of 1)" in out, out
    cluster.nothing_is_left()


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


def test_a_pod_that_is_not_started_says_why(make):
    """Its status says no more than ContainerCreating; its events do."""
    cluster = make({"pods": {}, "action": "no-sandbox"})
    process = cluster.start("placed", "--n", "1")
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Pod is pending: " in line:
            break
    assert ": FailedCreatePodSandBox: Failed to create pod sandbox: failed to create containerd task" in lines[-1], lines
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    cluster.nothing_is_left()
    cluster.no_complaints()


@pytest.mark.parametrize(
    "image, rule, words",
    [("no-such/image:1", None, "ImagePull"), ("debian", {"pods": {}, "action": "invalid-image"}, "InvalidImageName"),
     ("debian", {"pods": {}, "action": "create-container-error"}, "CreateContainer")],
)  # fmt: skip
def test_what_only_people_can_cure_is_given_up(make, image, rule, words):
    cluster = make(*([rule] if rule else []))
    env = {"METAFLOW_KUBERNETES_CONTAINER_IMAGE": image, "METAFLOW_KUBERNETES_PATIENCE": "2"}
    result = cluster.run("placed", "--n", "1", "--with", "retry:times=3,minutes_between_retries=0", env=env)
    assert result.status == 1 and "The pod cannot start, and was given up after 2" in result.out and words in result.out, result
    assert cluster.peer.counts()["create jobs"] == 1
    cluster.nothing_is_left()


def test_a_service_account_that_is_not_there(make):
    cluster = make()
    env = {"METAFLOW_KUBERNETES_SERVICE_ACCOUNT": "nobody", "METAFLOW_KUBERNETES_PATIENCE": "2"}
    result = cluster.run("placed", "--n", "1", env=env)
    assert result.status == 1 and 'serviceaccount "nobody" not found' in result.out and "was given up after 2" in result.out, result
    cluster.nothing_is_left()


def test_an_image_that_cannot_be_pulled_is_told_once(make):
    """The cluster tries, and waits, and tries: the reason alternates."""
    cluster = make()
    result = cluster.run("placed", "--n", "1", env={"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "no-such/image:1", "METAFLOW_KUBERNETES_PATIENCE": "6"})
    assert result.status == 1 and len(re.findall(r"Pod is pending: .*ImagePull.*\n", result.out)) == 1, result


def test_a_missing_secret(make):
    cluster = make()
    env = {"METAFLOW_KUBERNETES_SECRETS": "s3-access,no-such-secret", "METAFLOW_KUBERNETES_PATIENCE": "2"}
    result = cluster.run("placed", "--n", "1", env=env)
    assert result.status == 1 and 'secret "no-such-secret" not found' in result.out, result


def test_a_volume_that_is_not_there(make):
    """The status of such a pod is that of any that is made ready: events tell, again and again."""
    cluster = make({"pods": {}, "action": "failed-mount"})
    result = cluster.run("placed", "--n", "3", env={"METAFLOW_KUBERNETES_PATIENCE": "2"})
    assert result.status == 1 and result.out.count('Pod is pending: PodInitializing: FailedMount: secret "keys" not found\n') == 3, result
    assert 'The pod cannot start, and was given up after 2' in result.out and ': PodInitializing: FailedMount: secret "keys" not found' in result.out, result
    cluster.nothing_is_left()
    cluster.no_complaints()


def test_a_volume_that_comes_late(make):
    message = 'Multi-Attach error for volume "pvc-1" Volume is already exclusively attached to one node'
    cluster = make({"pods": {}, "action": "failed-mount", "after": 17, "message": message})
    result = cluster.run("placed", "--n", "1", env={"METAFLOW_KUBERNETES_PATIENCE": "1"})
    assert result.status == 0 and f"Pod is pending: PodInitializing: FailedMount: {message}\n" in result.out, result


@pytest.mark.parametrize("allowed", [True, False])
def test_a_pod_that_is_not_made_ready(make, allowed):
    """Nothing is wrong, as far as the cluster tells; or the role does not let us see."""
    forbidden = {"verb": "list", "resource": "events", "action": "status", "code": 403, "reason": "Forbidden", "message": "no"}
    cluster = make({"pods": {}, "action": "never-start"}, *([] if allowed else [forbidden]))
    process = cluster.start("placed", "--n", "1")
    for line in process.stdout:
        if "Pod is pending: " in line:
            break
    assert line.endswith("Pod is pending: PodInitializing (no warnings; a large image takes its time)\n" if allowed else "Pod is pending: PodInitializing\n"), line
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    cluster.nothing_is_left()


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
    assert process.poll() is None and "The cluster makes no pod yet: FailedCreate" in lines[-1], lines
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


# --- the API


FAULTS = {
    "throttled": {"verb": "create", "resource": "jobs", "action": "status", "code": 429, "retryAfter": 1, "times": 3},
    "broken": {"verb": "create", "resource": "jobs", "action": "status", "code": 500, "times": 3},
    "dropped": {"verb": "create", "resource": "jobs", "action": "drop", "every": 2},
    "answer lost": {"verb": "create", "resource": "jobs", "action": "lose", "every": 2},
    "answer broken": {"verb": "create", "resource": "jobs", "action": "reset", "bytes": 20, "every": 2},
    "watch expired": {"verb": "watch", "resource": "pods", "action": "expire", "events": 3, "times": 4},
    "watch cut": {"verb": "watch", "resource": "pods", "action": "cut", "events": 2, "times": 4},
    "watch garbled": {"verb": "watch", "resource": "pods", "action": "garbage", "events": 2, "times": 4},
    "secret's answer lost": {"verb": "create", "resource": "secrets", "action": "lose", "times": 2},
    "logs cut": {"verb": "get", "resource": "pods/log", "action": "reset", "bytes": 40, "times": 3},
    "slow": {"verb": "create", "resource": "jobs", "action": "slow", "seconds": 1},
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


@pytest.mark.parametrize("verb, resource", [("create", "jobs"), ("create", "secrets"), ("list", "pods"), ("watch", "pods")])
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


def test_a_cluster_that_is_away_is_told(make, gate):
    """The watch breaks, and cannot be taken up for a while."""
    cluster = make()
    process = cluster.start("placed", "--n", "1", "--port", str(gate.port))
    gate.wait_for(1)
    away = {"verb": "watch", "resource": "pods", "action": "status", "code": 503, "reason": "ServiceUnavailable", "message": "away", "times": 6}
    cluster.peer.tell("POST", "/rules", away)
    cluster.peer.tell("POST", "/watches/cut?resource=pods")
    threading.Timer(15, gate.release).start()
    out, _ = process.communicate(timeout=90)
    assert process.returncode == 0 and "The cluster is tried again: " in out, out


# --- stopping


@pytest.mark.parametrize("twice", [False, True])
def test_interrupt(make, gate, twice):
    cluster = make()
    process = cluster.start("placed", "--n", "3", "--port", str(gate.port))
    gate.wait_for(3)
    out = interrupt(process, twice)
    assert process.returncode == 1 and "Workflow interrupted" in out, out
    cluster.nothing_is_left()
    cluster.no_complaints()


def test_one_failure_stops_the_others(make, gate):
    cluster = make()
    process = cluster.start("placed", "--n", "3", "--port", str(gate.port))
    gate.wait_for(3)
    cluster.accident("exit", exitCode=3)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "2 running tasks were stopped because of it." in out, out
    cluster.nothing_is_left()


LATE = {"verb": "create", "resource": "jobs", "action": "slow", "seconds": 6}
NOT_ALLOWED = {"verb": "deletecollection", "resource": "jobs", "action": "status", "code": 403, "reason": "Forbidden", "message": "no"}
# A request that a rule hits is not counted by the rules after it.
STOPS = {
    "together": [],
    "one by one": [NOT_ALLOWED],
    "answer lost": [{"verb": "deletecollection", "resource": "jobs", "action": "lose", "times": 2}],
    "a job comes later": [{**LATE, "nth": 12}],
    "a job that was not told": [{"verb": "create", "resource": "jobs", "nth": 12, "action": "lose"}, {**LATE, "nth": 12}],
}


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("case", STOPS)
def test_many_are_stopped_together(make, gate, case, twice):
    rules = STOPS[case]
    cluster = make(*rules)
    process = cluster.start("placed", "--n", "12", "--port", str(gate.port))
    if "job" in case:
        # All but that one, unless its pod tells of it.
        there = 12 if case == "a job that was not told" else 11
        started = (line for line in process.stdout if "/work/" in line and "Task is starting." in line)
        assert len(list(itertools.islice(started, there))) == there
    else:
        gate.wait_for(12)
    out = interrupt(process, twice)
    assert process.returncode == 1 and "Workflow interrupted" in out, out
    cluster.nothing_is_left()
    assert cluster.jobs() == []
    counts = cluster.peer.counts()
    assert counts["deletecollection jobs"] == (3 if case == "answer lost" else 1), counts
    assert counts.get("delete jobs", 0) == {"one by one": 12, "together": 0, "answer lost": 0}.get(case, 1), counts


def test_what_failed_stays_when_the_others_are_stopped(make, gate):
    cluster = make()
    process = cluster.start("placed", "--n", "12", "--port", str(gate.port))
    gate.wait_for(12)
    cluster.accident("exit", exitCode=3)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "11 running tasks were stopped because of it." in out, out
    cluster.nothing_is_left()
    (failed,) = cluster.jobs()
    assert failed["status"]["failed"] == 1 and cluster.peer.counts()["deletecollection jobs"] == 1


def test_resume_does_not_do_twice_what_still_runs(make, gate, cli):
    cluster = make()
    process = cluster.start("placed", "--n", "3", "--port", str(gate.port), "--max-workers", "2")
    assert sorted(gate.wait_for(2)) == [0, 1]
    origin = cluster.run_id
    kill_scheduler(process)
    listed = cli("placed", "kubernetes", "list", "--run-id", origin)
    assert listed.status == 0 and listed.out.count("Status: Running") == 2, listed
    told = json.loads(cli("placed", "kubernetes", "list", "--run-id", origin, "--json").out)
    assert told["flow"] == "Placed" and [job["task"] for job in told["jobs"]] == ["2", "3"], told
    for job in told["jobs"]:
        assert job == {**job, "run": origin, "step": "work", "attempt": 0, "user": cli.environment["USER"], "status": "Running", "reason": None}
        assert job["pod"].startswith(job["job"] + "-") and f"Pod: {job['pod']} Started At: {job['started']} " in listed.out, told
    out = cluster.resume_beside("placed", origin, gate)
    assert f"2 tasks of run {origin} are still executed in the cluster" in out, out
    assert sorted(item for item, _ in gate.waiting) == [0, 1, 2], "each was executed once"
    assert cluster.read("Placed")["tasks"]["join"][0]["data"]["squares"] == [0, 1, 4]
    cluster.nothing_is_left()


def test_kill_ends_what_a_dead_scheduler_has_left(make, gate, cli):
    cluster = make()
    process = cluster.start("placed", "--n", "2", "--port", str(gate.port))
    gate.wait_for(2)
    origin = cluster.run_id
    kill_scheduler(process)
    killed = cli("placed", "kubernetes", "kill", "--run-id", origin)
    assert killed.status == 0 and killed.out.count("Killed ") == 2, killed
    cluster.nothing_is_left()
    assert "No active Kubernetes pods found." in cli("placed", "kubernetes", "list", "--run-id", origin).err
    assert json.loads(cli("placed", "kubernetes", "list", "--run-id", origin, "--json").out) == {"flow": "Placed", "jobs": []}
    gate.release()
    run_id, _ = cli.resume("placed", "--origin-run-id", origin)
    assert cluster.read("Placed", run_id)["tasks"]["join"][0]["data"]["squares"] == [0, 1]


@pytest.mark.parametrize("allowed", [True, False])
def test_kill_ends_many(make, gate, cli, allowed):
    cluster = make(*([] if allowed else [NOT_ALLOWED]))
    process = cluster.start("placed", "--n", "12", "--port", str(gate.port))
    gate.wait_for(12)
    kill_scheduler(process)
    killed = cli("placed", "kubernetes", "kill", "--run-id", cluster.run_id)
    assert killed.status == 0 and killed.out.count("Killed ") == 12, killed
    cluster.nothing_is_left()
    counts = cluster.peer.counts()
    assert counts["deletecollection jobs"] == 1 and counts.get("delete jobs", 0) == (0 if allowed else 12), counts


def test_resume_spares_what_runs_when_it_deletes_many(make, gate, cli):
    cluster = make({"pods": {}, "action": "unschedulable", "times": 10})
    process = cluster.start("placed", "--n", "12", "--port", str(gate.port))
    running = gate.wait_for(2)
    wait_until(lambda: len(cluster.jobs()) == 12)
    origin = cluster.run_id
    kill_scheduler(process)
    out = cluster.resume_beside("placed", origin, gate)
    assert f"2 tasks of run {origin} are still executed in the cluster" in out, out
    assert cluster.peer.counts()["deletecollection jobs"] == 1
    assert sorted(item for item, _ in gate.waiting) == list(range(12)) and len(running) == 2, "each was executed once"
    cluster.nothing_is_left()


def test_kill_leaves_a_living_run_what_it_needs(make, gate, cli):
    cluster = make()
    process = cluster.start("placed", "--n", "1", "--port", str(gate.port), "--with", "retry:times=1,minutes_between_retries=0")
    gate.wait_for(1)
    killed = cli("placed", "kubernetes", "kill", "--run-id", cluster.run_id)
    assert killed.status == 0 and killed.out.count("Killed ") == 1, killed
    gate.wait_for(2)
    gate.release()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "somebody deleted it" in out, out
    cluster.nothing_is_left()


def test_a_task_that_waits_is_submitted_anew_by_resume(make, cli):
    cluster = make({"pods": {}, "action": "unschedulable", "times": 1})
    process = cluster.start("placed", "--n", "1")
    wait_until(lambda: len(cluster.jobs()) == 1)
    origin = cluster.run_id
    kill_scheduler(process)
    run_id, _ = cli.resume("placed", "--origin-run-id", origin)
    assert cluster.read("Placed", run_id)["ok"]
    cluster.nothing_is_left()


# --- before anything starts


def test_without_a_remote_store(make, cli):
    make()
    result = cli("placed", "run", env={"METAFLOW_DEFAULT_DATASTORE": "local"})
    assert result.status == 1 and "requires --datastore=s3" in result.err and "METAFLOW_DATASTORE_SYSROOT_S3" in result.err, result
    assert not list(cli.directory.glob(".metaflow/Placed/*"))


def test_without_a_cluster(make, cli):
    cluster = make()
    result = cluster.run("placed", env={"KUBECONFIG": "/no/such/config"})
    assert result.status == 1 and "/no/such/config" in result.err, result
    assert not list(cli.directory.glob(".metaflow/Placed/*"))


def test_both_here_and_there(make):
    result = make().run("placed", "--with", "local")
    assert result.status == 1 and "Step *work* is marked for execution both on" in result.err, result


def test_nothing_secret_is_told(make, cli):
    cluster = make()
    result = cluster.run("placed", "--n", "2", "--fail", "crash")
    assert result.status == 1
    texts = {"output": result.out + result.err, "jobs": json.dumps(cluster.jobs()), "pods": json.dumps(cluster.objects("pods")), "events": json.dumps(cluster.objects("events"))}
    for path in (cli.directory / ".metaflow").rglob("*"):
        if path.is_file():
            texts[str(path)] = path.read_text(errors="replace")
    for path in (cluster.peer.directory / "logs").rglob("*"):
        if path.is_file():
            texts[str(path)] = path.read_text(errors="replace")
    for where, text in texts.items():
        for secret in (s3.SECRET, "X-Amz-Signature", "X-Amz-Credential"):
            assert secret not in text, where


def test_many_inputs(make):
    """More than a command line should take: the list goes by the store."""
    cluster = make()
    here = cluster.run("wide", "--width", "120", "--max-num-splits", "120")
    assert here.status == 0, here
    options = ("--origin-run-id", cluster.run_id, "--run-id-file", "id", "--max-num-splits", "120", "--with", "kubernetes:cpu=0.1,memory=50,disk=50")
    result = cluster.cli("wide", "resume", "join", *options)
    assert result.status == 0 and "120 values" in result.out, result
    assert cluster.read("Wide")["ok"]
