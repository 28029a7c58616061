"""The Kubernetes client of the library against the tests' own API server, which misbehaves as told: over TLS, with tokens, certificates
and plugins."""

import importlib.util
import json
import os
import pathlib
import queue
import re
import subprocess
import sys
import threading

import pytest

from conftest import BUILD

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from peers.kubernetes.launch import Peer  # noqa: E402

MISSING = [name for name in ("aiohttp", "yaml", "kubernetes_validate") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"KUBERNETES IS NOT TESTED: it needs {' '.join(MISSING)} from PyPI (dev/common.sh)")

ROLE = pathlib.Path(__file__).resolve().parents[2] / "docs" / "kubernetes" / "rbac.yaml"
SECONDS = 60


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    scenario = {"images": [{"image": "quick*", "root": "simulated"}], "simulation": {"seconds": 0.05}}
    with Peer(tmp_path_factory.mktemp("kubernetes"), scenario, manifests=[ROLE]) as peer:
        yield peer
        assert peer.errors() == ""


class Client:
    """The program kubernetes_client: commands go in, lines come out."""

    def __init__(self, kubeconfig, environment=None, **options):
        self.process = subprocess.Popen(
            [BUILD / "programs" / "kubernetes_client", json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "HOME": "/nowhere", "KUBECONFIG": str(kubeconfig), **(environment or {})},
            text=True,
        )
        self.lines = []
        self._new = queue.Queue()
        self._ids = 0
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self._new.put(json.loads(line))
        self._new.put(None)

    def begin(self, do, **more):
        self._ids += 1
        self.process.stdin.write(json.dumps({"id": self._ids, "do": do, **more}) + "\n")
        self.process.stdin.flush()
        return self._ids

    def until(self, condition, seen=0):
        """The first line that fulfils a condition, and that is behind so many others."""
        while True:
            for line in self.lines[seen:]:
                if condition(line):
                    return line
            seen = len(self.lines)
            line = self._new.get(timeout=SECONDS)
            assert line is not None, (self.process.stderr.read(), self.lines)
            self.lines.append(line)

    def call(self, do, **more):
        """The answer of a command."""
        identity = self.begin(do, **more)
        return self.until(lambda line: line.get("id") == identity and ("object" in line or "names" in line or "calls" in line))

    def changes(self, watch):
        return [(line["change"], line["object"]["metadata"]["name"]) for line in self.lines if line.get("id") == watch and "change" in line]

    def comings(self, watch):
        return [change for change in self.changes(watch) if change[0] != "MODIFIED"]

    def retries(self):
        return [line["retry"] for line in self.lines if "retry" in line]

    def stop(self):
        self.process.stdin.close()
        status = self.process.wait(SECONDS)
        errors = self.process.stderr.read()
        assert (status, errors) == (0, "")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.process.kill()


@pytest.fixture
def rule(peer):
    yield lambda **text: peer.tell("POST", "/rules", text)["ids"][0]
    peer.tell("DELETE", "/rules")


@pytest.fixture
def client(peer):
    peer.tell("DELETE", "/counts")
    with Client(peer.kubeconfig) as client:
        yield client


def job(name, owner="me", image="quick", **spec):
    labels = {"set": name.partition("-")[0]}
    container = {"name": "main", "image": image, "command": ["true"]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "labels": {"test/owner": owner, **labels}},
        "spec": {
            "backoffLimit": 0,
            "suspend": True,
            "template": {"metadata": {"labels": labels}, "spec": {"restartPolicy": "Never", "containers": [container]}},
            **spec,
        },
    }


def status(line):
    return line.get("object", {}).get("status", {})


def test_life_of_a_job(client):
    """From the creation to the log's end, by the watches alone."""
    jobs = client.begin("watch", resource="jobs", labels="set=life")
    pods = client.begin("watch", resource="pods", labels="set=life")
    created = client.call("create", object=job("life-1", image="busybox", suspend=False))["object"]
    assert created["metadata"]["name"] == "life-1" and created["metadata"]["uid"]
    client.until(lambda line: line.get("id") == pods and status(line).get("phase") == "Succeeded")
    client.until(lambda line: line.get("id") == jobs and "Complete" in [c["type"] for c in status(line).get("conditions", [])])
    assert client.changes(jobs)[0] == ("ADDED", "life-1") and set(client.changes(jobs)[1:]) == {("MODIFIED", "life-1")}
    assert client.call("get", name="life-1")["object"]["status"]["succeeded"] == 1
    assert client.call("list", resource="events", fields="involvedObject.uid=" + created["metadata"]["uid"])["names"]
    assert "failure" not in client.call("delete", name="life-1")
    client.until(lambda line: line.get("id") == jobs and line.get("change") == "DELETED")
    client.until(lambda line: line.get("id") == pods and line.get("change") == "DELETED")
    assert "failure" not in client.call("delete", name="life-1"), "what is gone is deleted"
    gone = client.call("get", name="life-1")["failure"]
    assert (gone["status"], gone["reason"]) == (404, "NotFound")


def test_deletion_in_the_foreground(client):
    """The job is there until its pod is gone, which takes its time."""
    body = job("foreground-1", image="busybox", suspend=False)
    body["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", "trap 'sleep 0.3; exit 0' TERM; while true; do sleep 0.05; done"]
    jobs = client.begin("watch", resource="jobs", labels="set=foreground")
    pods = client.begin("watch", resource="pods", labels="set=foreground")
    client.call("create", object=body)
    running = client.until(lambda line: line.get("id") == pods and status(line).get("phase") == "Running")
    pod = running["object"]["metadata"]["name"]
    assert client.call("list", resource="events", fields="involvedObject.uid=" + running["object"]["metadata"]["uid"])["names"]
    assert "failure" not in client.call("delete", name="foreground-1", foreground=True)
    client.until(lambda line: line.get("id") == jobs and "deletionTimestamp" in line.get("object", {}).get("metadata", {}))
    client.until(lambda line: line.get("id") == jobs and line.get("change") == "DELETED")
    assert client.call("get", resource="pods", name=pod)["failure"]["status"] == 404
    assert client.changes(pods)[-1] in [("MODIFIED", pod), ("DELETED", pod)]


def test_log_as_it_is_written(client):
    body = job("log-1", image="busybox", suspend=False)
    body["spec"]["template"]["spec"]["containers"][0]["command"] = ["sh", "-c", "for i in 1 2 3; do echo line $i; sleep 0.2; done"]
    pods = client.begin("watch", resource="pods", labels="set=log")
    client.call("create", object=body)
    running = client.until(lambda line: line.get("id") == pods and status(line).get("phase") in ("Running", "Succeeded"))
    pod = running["object"]["metadata"]["name"]
    log = client.begin("log", name=pod, follow=True)
    client.until(lambda line: line.get("id") == log and "uncertain" in line)
    pieces = [line["piece"] for line in client.lines if line.get("id") == log and "piece" in line]
    assert "".join(pieces) == "line 1\nline 2\nline 3\n"

    def lines_since(time):
        identity = client.begin("log", name=pod, timestamps=True, sinceTime=time)
        client.until(lambda line: line.get("id") == identity and "uncertain" in line)
        text = "".join(line["piece"] for line in client.lines if line.get("id") == identity and "piece" in line)
        return [tuple(line.split(" ", 1)) for line in text.splitlines()]

    lines = lines_since("")
    assert [text for _, text in lines] == ["line 1", "line 2", "line 3"]
    assert lines_since(lines[1][0]) == lines[1:], "a log goes on from its last timestamp"
    assert client.call("log", name="absent")["failure"]["text"].startswith("Cannot get the log of pod absent in namespace default: ")


def test_refused_and_broken_calls_are_repeated(client, rule):
    rule(verb="get", resource="jobs", action="status", code=429, retryAfter=0, nth=1)
    rule(verb="get", resource="jobs", action="status", code=500, nth=1)
    rule(verb="get", resource="jobs", action="drop", nth=1)
    rule(verb="get", resource="jobs", action="reset", nth=1)
    client.call("create", object=job("again-1"))
    assert client.call("get", name="again-1")["object"]["metadata"]["name"] == "again-1"
    counters = client.call("counters")
    assert counters["refused"] == 1 and counters["retries"] >= 3
    assert "Cannot get job again-1 in namespace default: Too many requests, please try again later. (429)" in client.retries()


@pytest.mark.parametrize("action", ["lose", "drop", "reset"])
def test_creation_without_an_answer(client, peer, rule, action):
    rule(verb="create", resource="jobs", action=action, nth=1)
    answer = client.call("create", object=job(f"lost-{action}"))
    assert "failure" not in answer and answer["object"]["metadata"]["name"] == f"lost-{action}"
    assert client.call("list", resource="jobs", labels="set=lost")["names"].count(f"lost-{action}") == 1


def test_name_of_somebody_else(client):
    client.call("create", object=job("taken-1", owner="another"))
    assert client.call("create", object=job("taken-1"))["failure"]["reason"] == "AlreadyExists"
    assert "failure" not in client.call("create", object=job("taken-1", owner="another")), "another process of ours was quicker"


def test_secret_without_an_answer(peer, rule):
    """With the documented role, which may not read secrets."""
    metadata = {"name": "s-1", "labels": {"test/owner": "me"}}
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"KEY": "dmFsdWU="}}
    with Client(peer.directory / "kubeconfig-metaflow-scheduler", namespace="metaflow") as client:
        rule(verb="create", resource="secrets", action="lose", nth=1)
        assert "failure" not in client.call("create", resource="secrets", object=secret)
        secret["metadata"]["labels"]["test/owner"] = "another"
        assert client.call("create", resource="secrets", object=secret)["failure"]["reason"] == "AlreadyExists"
        assert "failure" not in client.call("delete", resource="secrets", name="s-1")
        refused = client.call("get", resource="secrets", name="s-1")["failure"]
        assert refused["status"] == 403 and "kubectl auth can-i get secrets" in refused["hint"]
    assert "dmFsdWU=" not in json.dumps(client.lines)


def test_conflict_of_a_quota(client, rule):
    rule(verb="create", resource="jobs", action="status", code=409, nth=1)
    assert "failure" not in client.call("create", object=job("quota-1"))


def test_what_the_schema_refuses(client):
    body = job("schema-1")
    body["spec"]["unknown"] = 1
    failure = client.call("create", object=body)["failure"]
    assert failure["status"] in (400, 422) and "unknown" in failure["text"] and not failure["transient"]


def test_lists_in_pages(peer, rule):
    with Client(peer.kubeconfig, page=3) as client:
        names = [f"page-{i}" for i in range(10)]
        answers = [client.begin("create", object=job(name)) for name in names]
        for identity in answers:
            client.until(lambda line, identity=identity: line.get("id") == identity)
        peer.tell("DELETE", "/counts")
        assert sorted(client.call("list", resource="jobs", labels="set=page")["names"]) == sorted(names)
        pages = peer.counts()["list jobs"]
        assert pages >= 4
        # The third page is not to be had any more.
        rule(verb="list", resource="jobs", action="status", code=410, nth=3)
        seen = len(client.lines)
        assert sorted(client.call("list", resource="jobs", labels="set=page")["names"]) == sorted(names)
        client.until(lambda line: line.get("restart"), seen)


@pytest.mark.parametrize("accident", [{"action": "status", "code": 410, "nth": 2}, {"action": "lose", "every": 2}, {"action": "status", "code": 500, "every": 2}])
def test_many_are_deleted_in_pages(peer, rule, accident):
    with Client(peer.kubeconfig, page=3) as client:
        name = f"many{accident.get('code', accident['action'])}"
        for i in range(10):
            client.call("create", object=job(f"{name}-{i}"))
        rule(verb="deletecollection", resource="jobs", **accident)
        selection = {"labels": f"set={name}", "fields": f"status.successful=0,metadata.name!={name}-4"}
        assert "failure" not in client.call("deleteAll", resource="jobs", **selection)
        assert client.call("list", resource="jobs", labels=f"set={name}")["names"] == [f"{name}-4"]


ACCIDENTS = [
    {"action": "expire", "events": 2},
    {"action": "cut", "events": 1},
    {"action": "garbage", "events": 1},
    {"action": "cut", "events": 3},
    {"action": "status", "code": 500},
    {"action": "status", "code": 410},
    {"action": "drop"},
]


@pytest.mark.parametrize("accident", ACCIDENTS, ids=lambda accident: "-".join(map(str, accident.values())))
def test_watch_that_breaks(client, peer, rule, accident):
    """Whatever happens to the watch, it reports each job as created once and deleted once."""
    name = "watch" + re.sub(r"\W", "", "".join(map(str, accident.values())))
    rule(verb="watch", resource="jobs", times=3, **accident)
    watch = client.begin("watch", resource="jobs", labels=f"set={name}")
    client.until(lambda line: line.get("id") == watch and line.get("synced"))
    names = [f"{name}-{i}" for i in range(6)]
    for each in names:
        client.call("create", object=job(each))
    for each in names:  # a job that is created and deleted between two lists is not reported
        client.until(lambda line, each=each: line.get("change") == "ADDED" and line["object"]["metadata"]["name"] == each)
    for each in names[:3]:
        client.call("delete", name=each)
    for each in names[:3]:
        client.until(lambda line, each=each: line.get("change") == "DELETED" and line["object"]["metadata"]["name"] == each)
    last = f"{name}-last"
    client.call("create", object=job(last))
    client.until(lambda line: line.get("change") == "ADDED" and line["object"]["metadata"]["name"] == last)
    changes = client.changes(watch)
    for each in names[:3]:
        mine = [change for change, of in changes if of == each]
        assert mine[0] == "ADDED" and mine[-1] == "DELETED" and mine.count("ADDED") == 1, mine
    for each in [*names[3:], last]:
        assert [change for change, of in changes if of == each].count("ADDED") == 1
    assert any("trouble" in line for line in client.lines)


def test_watch_of_a_silent_connection(peer, rule):
    rule(verb="watch", resource="jobs", action="stall", events=1, times=1)
    with Client(peer.kubeconfig, idle=1000) as client:
        watch = client.begin("watch", resource="jobs", labels="set=silent")
        client.until(lambda line: line.get("synced"))
        client.call("create", object=job("silent-1"))
        client.call("create", object=job("silent-2"))
        client.until(lambda line: line.get("change") == "ADDED" and line["object"]["metadata"]["name"] == "silent-2")
        assert client.comings(watch) == [("ADDED", "silent-1"), ("ADDED", "silent-2")]


def test_watch_across_what_nobody_saw(peer):
    """The history is forgotten while the connection is away."""
    with Client(peer.kubeconfig, pause=400_000) as client, Client(peer.kubeconfig) as other:
        watch = client.begin("watch", resource="jobs", labels="set=unseen")
        client.until(lambda line: line.get("synced"))
        other.call("create", object=job("unseen-1"))
        other.call("create", object=job("unseen-2"))
        client.until(lambda line: line.get("change") == "ADDED" and line["object"]["metadata"]["name"] == "unseen-2")
        peer.tell("POST", "/watches/cut?resource=jobs")
        other.call("delete", name="unseen-1")
        other.call("create", object=job("unseen-3"))
        peer.tell("POST", "/compact")
        client.until(lambda line: line.get("change") == "DELETED")
        client.until(lambda line: line.get("change") == "ADDED" and line["object"]["metadata"]["name"] == "unseen-3")
        assert sorted(client.comings(watch)) == sorted(
            [("ADDED", "unseen-1"), ("ADDED", "unseen-2"), ("DELETED", "unseen-1"), ("ADDED", "unseen-3")]
        )


def test_watch_without_permission(peer):
    with Client(peer.directory / "kubeconfig-metaflow-scheduler") as client:  # another namespace than its own
        client.begin("watch", resource="pods")
        failure = client.until(lambda line: "failure" in line)["failure"]
        assert failure["status"] == 403 and "pods" in failure["text"] and "docs/kubernetes/rbac.yaml" in failure["hint"]


def test_many_at_once(peer):
    """A thousand jobs: no call more than needed."""
    peer.tell("DELETE", "/counts")
    with Client(peer.kubeconfig, rate=400, burst=100) as client:
        watch = client.begin("watch", resource="jobs", labels="set=many")
        names = [f"many-{i}" for i in range(1000)]
        answers = {client.begin("create", object=job(name)) for name in names}
        while answers:
            line = client.until(lambda line: line.get("id") in answers)
            assert "failure" not in line
            answers.discard(line["id"])
        seen = 0
        while len({name for _, name in client.changes(watch)}) < len(names):
            client.until(lambda line: line.get("id") == watch and "change" in line, seen=len(client.lines))
        counters = client.call("counters")
        assert counters["kinds"]["create jobs"] == 1000 and counters["kinds"]["watch jobs"] == 1
