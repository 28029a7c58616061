"""The Kubernetes peer speaks like a real Kubernetes 1.32: refusals word for word, lists in pages, watches, tokens and roles."""

import json
import time

import pytest
from kubernetes.client.exceptions import ApiException
from kubernetes.watch import Watch

from .kubernetes_client import ROLE, Client, Peer, job_body

JOBS = "/apis/batch/v1/namespaces/default/jobs"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    with Peer(
        tmp_path_factory.mktemp("kubernetes"), {"images": [{"image": "quick*", "root": "simulated"}], "simulation": {"seconds": 0}}, [ROLE]
    ) as peer:
        yield peer
        assert peer.errors() == ""


@pytest.fixture
def call(peer):
    """Raw requests of the administrator."""
    token = peer.tell("POST", "/tokens", {"user": "root", "groups": ["system:masters"]})["token"]

    def do(method, path, body=None, content_type="application/json", **headers):
        status, head, data = peer.request(method, path, body, {"Authorization": f"Bearer {token}", "Content-Type": content_type, **headers})
        return status, head, json.loads(data) if head["Content-Type"].startswith("application/json") else data

    return do


def job(name, spec=None, pod=None, container=None):
    return job_body(name, ["true"], pod=pod, container=container, **(spec or {}))


def refusal(code, reason, message, details=None):
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}
    return {**status, "details": details} if details is not None else status


# What is refused, and how.


def test_strange_bodies(call):
    message = "the object provided is unrecognized (must be of type Job): couldn't get version/kind; json parse error: invalid character 'n' looking for beginning of object key string ({not json)"
    assert call("POST", JOBS, b"{not json")[2] == refusal(400, "BadRequest", message)
    accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
    assert call("POST", JOBS, b"x", "text/plain")[2] == refusal(
        415, "UnsupportedMediaType", f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    )
    assert call("PUT", JOBS, {})[2] == refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})
    assert call("GET", "/apis/batch/v1/nothing")[0] == 404


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spec": {"bogus": 1}}, 'strict decoding error: unknown field "spec.bogus"'),
        ({"container": {"comand": ["true"]}}, 'strict decoding error: unknown field "spec.template.spec.containers[0].comand"'),
        ({"spec": {"parallelism": "2"}}, "json: cannot unmarshal string into Go struct field JobSpec.spec.parallelism of type int32"),
        ({"spec": {"parallelism": 1.5}}, "json: cannot unmarshal number 1.5 into Go struct field JobSpec.spec.parallelism of type int32"),
        (
            {"container": {"env": [{"name": "N", "value": 1}]}},
            "json: cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of type string",
        ),
        (
            {"container": {"command": "true"}},
            "json: cannot unmarshal string into Go struct field Container.spec.template.spec.containers.command of type []string",
        ),
        (
            {"container": {"resources": {"requests": {"cpu": "one"}}}},
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ],
)
def test_wrong_form(call, change, message):
    status, _, answer = call("POST", JOBS, job("wrong", **change))
    assert (status, answer) == (400, refusal(400, "BadRequest", f'Job in version "v1" cannot be handled as a Job: {message}'))


NAME = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"  # fmt: skip


@pytest.mark.parametrize(
    ("name", "change", "field", "reason", "message"),
    [
        ("Bad_Name", {}, "metadata.name", "FieldValueInvalid", f'Invalid value: "Bad_Name": {NAME}'),
        ("w1", {"pod": {"restartPolicy": None}}, "spec.template.spec.restartPolicy", "FieldValueRequired", 'Required value: valid values: "OnFailure", "Never"'),
        ("w2", {"pod": {"restartPolicy": "Always"}}, "spec.template.spec.restartPolicy", "FieldValueNotSupported", 'Unsupported value: "Always": supported values: "Never", "OnFailure"'),
        ("w3", {"container": {"name": None}}, "spec.template.spec.containers[0].name", "FieldValueRequired", "Required value"),
        ("w4", {"container": {"image": None}}, "spec.template.spec.containers[0].image", "FieldValueRequired", "Required value"),
        ("w5", {"pod": {"containers": None}}, "spec.template.spec.containers", "FieldValueRequired", "Required value"),
        ("w6", {"container": {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}}, "spec.template.spec.containers[0].volumeMounts[0].name", "FieldValueNotFound", 'Not found: "v"'),
        ("w7", {"container": {"resources": {"requests": {"memory": "2Mi"}, "limits": {"memory": "1Mi"}}}}, "spec.template.spec.containers[0].resources.requests", "FieldValueInvalid",
         'Invalid value: "2Mi": must be less than or equal to memory limit of 1Mi'),
        ("w8", {"spec": {"completionMode": "Indexed", "completions": None, "parallelism": 2}}, "spec.completions", "FieldValueRequired", "Required value: when completion mode is Indexed"),
        ("w9", {"spec": {"backoffLimit": -1}}, "spec.backoffLimit", "FieldValueInvalid", "Invalid value: -1: must be greater than or equal to 0"),
    ],
)  # fmt: skip
def test_impossible_objects(call, name, change, field, reason, message):
    status, _, answer = call("POST", JOBS, job(name, **change))
    details = {"name": name, "group": "batch", "kind": "Job", "causes": [{"reason": reason, "message": message, "field": field}]}
    assert (status, answer) == (422, refusal(422, "Invalid", f'Job.batch "{name}" is invalid: {field}: {message}', details))


def test_not_found_and_conflicts(call):
    absent = {"name": "absent", "group": "batch", "kind": "jobs"}
    assert call("GET", f"{JOBS}/absent")[2] == refusal(404, "NotFound", 'jobs.batch "absent" not found', absent)
    assert call("DELETE", f"{JOBS}/absent")[2] == refusal(404, "NotFound", 'jobs.batch "absent" not found', absent)
    nowhere = call("POST", "/apis/batch/v1/namespaces/nope/jobs", job("h2"))[2]
    assert nowhere == refusal(404, "NotFound", 'namespaces "nope" not found', {"name": "nope", "kind": "namespaces"})
    assert call("GET", "/api/v1/namespaces/default/pods/absent/log")[2] == refusal(
        404, "NotFound", 'pods "absent" not found', {"name": "absent", "kind": "pods"}
    )

    status, _, created = call("POST", JOBS, job("h1", {"suspend": True}))
    assert status == 201 and created["status"] == {} and created["metadata"]["generation"] == 1
    assert call("POST", JOBS, job("h1"))[2] == refusal(409, "AlreadyExists", 'jobs.batch "h1" already exists', {**absent, "name": "h1"})
    merge = "application/merge-patch+json"
    stale = {"metadata": {"resourceVersion": "1"}, "spec": {"backoffLimit": 1}}
    message = 'Operation cannot be fulfilled on jobs.batch "h1": the object has been modified; please apply your changes to the latest version and try again'
    assert call("PATCH", f"{JOBS}/h1", stale, merge)[2] == refusal(409, "Conflict", message, {**absent, "name": "h1"})
    status, _, changed = call("PATCH", f"{JOBS}/h1", {"spec": {"activeDeadlineSeconds": 100}}, merge)
    assert status == 200 and changed["metadata"]["generation"] == 2 and changed["spec"]["activeDeadlineSeconds"] == 100
    status, _, answer = call(
        "PATCH",
        f"{JOBS}/h1",
        {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "other"}]}}}},
        "application/strategic-merge-patch+json",
    )
    assert (
        status == 422
        and answer["message"].startswith('Job.batch "h1" is invalid: spec.template: Invalid value: core.PodTemplateSpec{')
        and answer["message"].endswith(": field is immutable")
    )
    status, _, answer = call(
        "DELETE", f"{JOBS}/h1", {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background", "preconditions": {"uid": "another"}}
    )
    assert status == 409 and "Precondition failed: UID in precondition: another, UID in object meta: " in answer["message"]
    uid = created["metadata"]["uid"]
    deleted = call("DELETE", f"{JOBS}/h1", {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"})
    assert deleted[0] == 200
    assert deleted[2] == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": {"name": "h1", "group": "batch", "kind": "jobs", "uid": uid},
    }


def test_dry_run(call):
    status, _, answer = call("POST", f"{JOBS}?dryRun=All", job("h2", pod={"serviceAccountName": "no-such-sa"}))
    assert status == 201 and "resourceVersion" not in answer["metadata"] and answer["metadata"]["uid"]
    assert call("GET", f"{JOBS}/h2")[0] == 404
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "psa"},
        "spec": {"serviceAccountName": "no-such-sa", "containers": [{"name": "a", "image": "debian"}]},
    }
    message = 'pods "psa" is forbidden: error looking up service account default/no-such-sa: serviceaccount "no-such-sa" not found'
    assert call("POST", "/api/v1/namespaces/default/pods", pod)[2] == refusal(403, "Forbidden", message, {"name": "psa", "kind": "pods"})


def test_pods_are_kept_unless_told(call, cluster):
    """The default of batch/v1 orphans pods, and says so."""
    cluster.submit("orphaning", ["true"], image="quick")
    cluster.finished("orphaning")
    status, headers, _ = call("DELETE", f"{JOBS}/orphaning")
    assert status == 200 and "child pods are preserved by default" in headers["Warning"]
    pod = cluster.pod_until("orphaning", lambda _, pod: "ownerReferences" not in pod["metadata"])
    assert pod["status"]["phase"] == "Succeeded" and "deletionTimestamp" not in pod["metadata"]


def test_selectors(call):
    assert call("GET", f"{JOBS}?labelSelector=a%3D%3D%3Db%21")[2] == refusal(
        400, "BadRequest", "unable to parse requirement: found '=', expected: identifier"
    )
    for name, labels in (("s1", {"a": "1"}), ("s2", {"a": "2", "b": "x"}), ("s3", {"b": "y"})):
        call("POST", JOBS, {**job(name, {"suspend": True}), "metadata": {"name": name, "labels": {**labels, "select": "yes"}}})
    for selector, names in [
        ("select", "s1 s2 s3"),
        ("a=1", "s1"),
        ("a!=1,select", "s2 s3"),
        ("a%20in%20(1,2)", "s1 s2"),
        ("b%20notin%20(x),select", "s1 s3"),
        ("!a,select", "s3"),
        ("a,b", "s2"),
    ]:
        listed = call("GET", f"{JOBS}?labelSelector={selector}")[2]
        assert [item["metadata"]["name"] for item in listed["items"]] == names.split(), selector
    assert [i["metadata"]["name"] for i in call("GET", f"{JOBS}?fieldSelector=metadata.name%3Ds2")[2]["items"]] == ["s2"]
    assert call("GET", f"{JOBS}?fieldSelector=spec.nothing%3D1")[0] == 400
    listed = call("DELETE", f"{JOBS}?labelSelector=select", {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Background"})[2]
    assert listed["kind"] == "JobList" and len(listed["items"]) == 3
    assert call("GET", f"{JOBS}?labelSelector=select")[2]["items"] == []


def test_deletion_of_a_collection(call):
    """In pages, as a list of which each page is deleted; of jobs that a field tells from others."""
    for number in range(5):
        call("POST", JOBS, {**job(f"c{number}", {"suspend": True}), "metadata": {"name": f"c{number}", "labels": {"collection": "yes"}}})
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}
    query = f"{JOBS}?labelSelector=collection&fieldSelector=status.successful%3D0%2Cmetadata.name!%3Dc1&limit=3"
    first = call("DELETE", query, options)[2]
    assert (first["kind"], first["apiVersion"]) == ("JobList", "batch/v1")
    assert [item["metadata"]["name"] for item in first["items"]] == ["c0", "c2", "c3"] and "kind" not in first["items"][0]
    second = call("DELETE", f"{query}&continue={first['metadata']['continue']}", options)[2]
    assert [item["metadata"]["name"] for item in second["items"]] == ["c4"] and "continue" not in second["metadata"]
    left = [item["metadata"]["name"] for item in call("GET", f"{JOBS}?labelSelector=collection")[2]["items"] if "deletionTimestamp" not in item["metadata"]]
    assert left == ["c1"]
    assert call("DELETE", f"{JOBS}?labelSelector=collection", {**options, "unknown": 1})[0] == 400
    assert call("DELETE", f"{JOBS}?labelSelector=collection", {**options, "propagationPolicy": "Sideways"})[0] == 422
    assert len(call("DELETE", f"{JOBS}?labelSelector=collection&dryRun=All", options)[2]["items"]) >= 1
    assert call("DELETE", f"{JOBS}?labelSelector=nobody", options)[2]["items"] == []


# Lists and watches.


def make_secrets(call, prefix, count):
    for number in range(count):
        assert call("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": f"{prefix}-{number}"}})[0] == 201


def test_pages(peer, call):
    """Every page shows the version of the first one; when that is forgotten, 410."""
    secrets = "/api/v1/namespaces/default/secrets"
    make_secrets(call, "page", 5)
    first = call("GET", f"{secrets}?limit=2")[2]
    assert first["metadata"]["remainingItemCount"] == 3 and "kind" not in first["items"][0]
    call("DELETE", f"{secrets}/page-3")
    call("POST", secrets, {"metadata": {"name": "page-33"}})
    second = call("GET", f"{secrets}?limit=2&continue={first['metadata']['continue']}")[2]
    third = call("GET", f"{secrets}?limit=2&continue={second['metadata']['continue']}")[2]
    names = [item["metadata"]["name"] for page in (first, second, third) for item in page["items"]]
    assert names == [f"page-{n}" for n in range(5)] and "continue" not in third["metadata"]
    assert {page["metadata"]["resourceVersion"] for page in (first, second, third)} == {first["metadata"]["resourceVersion"]}
    peer.tell("POST", "/compact")
    status, _, answer = call("GET", f"{secrets}?limit=2&continue={first['metadata']['continue']}")
    assert (status, answer["reason"], answer["code"]) == (410, "Expired", 410) and answer["message"].startswith(
        "The provided continue parameter is too old"
    )
    rest = call("GET", f"{secrets}?continue={answer['metadata']['continue']}")[2]
    assert [item["metadata"]["name"] for item in rest["items"]] == ["page-2", "page-33", "page-4"]


@pytest.fixture
def watch(peer):
    token = peer.tell("POST", "/tokens", {"user": "root", "groups": ["system:masters"]})["token"]

    def do(path):
        status, _, data = peer.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        return status, [json.loads(line) for line in data.splitlines()]

    return do


def test_watch_from_the_past(peer, call, watch):
    """An expired watch is 200, with the error as an event."""
    peer.tell("POST", "/compact")
    status, (event,) = watch(f"{JOBS}?watch=1&resourceVersion=1&timeoutSeconds=5")
    assert status == 200 and event["type"] == "ERROR"
    now = call("GET", JOBS)[2]["metadata"]["resourceVersion"]
    assert event["object"] == refusal(410, "Expired", f"too old resource version: 1 ({now})")


def test_watch_events(call, watch):
    """What enters and leaves a selection; a bookmark at the end."""
    configmaps = "/api/v1/namespaces/default/configmaps"
    version = call("GET", configmaps)[2]["metadata"]["resourceVersion"]
    merge = "application/merge-patch+json"
    call("POST", configmaps, {"metadata": {"name": "w"}})
    for label in ("in", "in2", "out"):
        call("PATCH", f"{configmaps}/w", {"metadata": {"labels": {"x": label[:2] if label != "out" else None, "n": label}}}, merge)
    last = call("DELETE", f"{configmaps}/w")
    assert last[0] == 200
    _, events = watch(f"{configmaps}?watch=1&resourceVersion={version}&labelSelector=x%3Din&timeoutSeconds=1&allowWatchBookmarks=true")
    assert [(e["type"], e["object"]["metadata"].get("labels", {}).get("n")) for e in events] == [
        ("ADDED", "in"),
        ("MODIFIED", "in2"),
        ("DELETED", "out"),
        ("BOOKMARK", None),
    ]
    assert events[0]["object"]["kind"] == "ConfigMap"
    _, events = watch("/api/v1/namespaces?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true&timeoutSeconds=1")
    kinds = [e["type"] for e in events]
    assert kinds[0] == "ADDED" and kinds[-2:] == ["BOOKMARK", "BOOKMARK"]
    assert events[-2]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


# Logs.


def test_logs(cluster, call):
    script = "for i in 1 2 3; do echo line $i; done; printf rest"
    cluster.submit("logs", ["sh", "-c", script])
    cluster.finished("logs")
    assert cluster.log("logs") == "line 1\nline 2\nline 3\nrest"
    assert cluster.log("logs", tail_lines=2) == "line 3\nrest"
    assert cluster.log("logs", limit_bytes=6) == "line 1"
    times = [line.split(" ", 1) for line in cluster.log("logs", timestamps=True).splitlines()]
    assert [text for _, text in times] == ["line 1", "line 2", "line 3", "rest"] and all(time.endswith("Z") and len(time) == 30 for time, _ in times)
    (pod,) = cluster.pods("logs")
    path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}/log"
    assert call("GET", f"{path}?sinceTime={times[0][0]}")[2].startswith(b"line 1\n")
    assert call("GET", f"{path}?sinceTime=2100-01-01T00:00:00Z")[2] == b""
    assert call("GET", f"{path}?container=nope")[2] == refusal(400, "BadRequest", f"container nope is not valid for pod {pod['metadata']['name']}")


def test_log_is_followed(cluster):
    """It ends when the container does."""
    cluster.submit("follow", ["sh", "-c", "echo one; sleep 0.3; echo two"])
    name = cluster.running("follow")["metadata"]["name"]
    response = cluster.core.read_namespaced_pod_log(name, "default", follow=True, _preload_content=False)
    assert b"".join(response.stream()) == b"one\ntwo\n"


# Who may.


def test_tokens(peer):
    unauthorized = refusal(401, "Unauthorized", "Unauthorized")
    status, _, data = peer.request("GET", JOBS, headers={"Authorization": "Bearer wrong"})
    assert (status, json.loads(data)) == (401, unauthorized)
    message = 'jobs.batch is forbidden: User "system:anonymous" cannot list resource "jobs" in API group "batch" in the namespace "default"'
    status, _, data = peer.request("GET", JOBS)
    assert (status, json.loads(data)) == (403, refusal(403, "Forbidden", message, {"group": "batch", "kind": "jobs"}))
    token = peer.tell("POST", "/tokens", {"user": "brief", "groups": ["system:masters"], "seconds": 0})["token"]
    assert peer.request("GET", JOBS, headers={"Authorization": f"Bearer {token}"})[0] == 401
    assert json.loads(peer.request("GET", "/version")[2])["minor"] == "32"


@pytest.mark.parametrize("context", ["metaflow-scheduler", "metaflow-scheduler-certificate"])
def test_role(peer, context):
    """The documented role is enough for what a scheduler does, and for nothing else; by token and by certificate."""
    scheduler = Client(peer.directory / "kubeconfig-metaflow-scheduler", context, "metaflow")
    peer.tell("DELETE", "/counts")
    before = len(peer.tell("GET", "/denied")["denied"])
    name = f"role-{len(context)}"
    scheduler.core.create_namespaced_secret("metaflow", {"metadata": {"name": name}, "stringData": {"K": "v"}})
    scheduler.core.patch_namespaced_secret(name, "metaflow", {"stringData": {"K": "w"}})
    scheduler.submit(name, ["sh", "-c", "echo $K"], container={"envFrom": [{"secretRef": {"name": name}}]})
    scheduler.batch.read_namespaced_job(name, "metaflow")
    scheduler.pod_until(name, lambda _, pod: not pod["metadata"].get("finalizers"))
    (pod,) = scheduler.pods(name)
    scheduler.core.read_namespaced_pod(pod["metadata"]["name"], "metaflow")
    assert scheduler.log(name) == "w\n"
    end = time.monotonic() + 30
    while "Completed" not in [event.reason for event in scheduler.core.list_namespaced_event("metaflow").items]:
        assert time.monotonic() < end
    assert scheduler.batch.list_namespaced_job("metaflow").items
    scheduler.batch.delete_namespaced_job(name, "metaflow", propagation_policy="Background")
    scheduler.batch.delete_collection_namespaced_job("metaflow", label_selector=f"case={name}", propagation_policy="Background")
    scheduler.core.delete_namespaced_secret(name, "metaflow")
    list(Watch().stream(scheduler.core.list_namespaced_pod, "metaflow", timeout_seconds=1))
    assert len(peer.tell("GET", "/denied")["denied"]) == before
    user = "system:serviceaccount:metaflow:metaflow-scheduler"
    assert peer.tell("GET", f"/used?user={user}&role=metaflow-scheduler&namespace=metaflow")["unused"] == []

    with pytest.raises(ApiException) as refused:
        scheduler.core.read_namespaced_secret(name, "metaflow")
    message = f'secrets "{name}" is forbidden: User "{user}" cannot get resource "secrets" in API group "" in the namespace "metaflow"'
    assert json.loads(refused.value.body) == refusal(403, "Forbidden", message, {"name": name, "kind": "secrets"})
    with pytest.raises(ApiException) as refused:
        scheduler.batch.list_namespaced_job("default")
    assert (
        f'jobs.batch is forbidden: User "{user}" cannot list resource "jobs" in API group "batch" in the namespace "default"'
        in json.loads(refused.value.body)["message"]
    )
    assert [entry["message"] for entry in peer.tell("GET", f"/denied?user={user}")["denied"]][-2] == message


def test_access_review(peer, call):
    def may(client, **attributes):
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        return client.api.call_api("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "POST", body=body, auth_settings=["BearerToken"], response_type="object", header_params=JSON)[0]["status"]["allowed"]  # fmt: skip

    scheduler = Client(peer.directory / "kubeconfig-metaflow-scheduler")
    assert may(scheduler, verb="create", group="batch", resource="jobs", namespace="metaflow")
    assert not may(scheduler, verb="create", group="batch", resource="jobs", namespace="default")
    assert not may(scheduler, verb="patch", group="batch", resource="jobs", namespace="metaflow")
