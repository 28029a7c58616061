"""What the tests of the real cluster share: flows of a user with the documented rights, and what can be seen of them."""

import collections
import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import time

import kubernetes_cluster

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("METAFLOW_BUILD", "/nowhere"))
ROOM = os.environ.get("METAFLOW_REAL_KUBERNETES")
PATIENCE = 900  # seconds. What has not happened then does not happen: no test relies on how fast this machine is.

USER = "system:serviceaccount:metaflow:metaflow-scheduler"
S3 = f"http://{kubernetes_cluster.ADDRESS}:19100"
KEYS = {"AWS_ACCESS_KEY_ID": "peerkey", "AWS_SECRET_ACCESS_KEY": "peersecret/+="}
SMALL = "kubernetes:cpu=0.05,memory=50,disk=50"
RETRY = ("--with", "retry:times=1,minutes_between_retries=0")


def grant(cluster, namespace):
    """What docs/kubernetes.md says about a namespace; the scheduler is always that of `metaflow`."""
    rules = (ROOT / "docs" / "kubernetes" / "rbac.yaml").read_text()
    rules = re.sub(r"(namespace: )metaflow$|^(  name: )metaflow$", lambda m: f"{m[1] or m[2]}{namespace}", rules, flags=re.M)
    cluster.kubectl("apply", "-f", "-", input=rules)
    keys = [f"--from-literal={name}={value}" for name, value in KEYS.items()]
    with contextlib.suppress(AssertionError):  # there from last time
        cluster.kubectl("-n", namespace, "create", "secret", "generic", "s3-access", *keys)
    if namespace != "metaflow":
        cluster.kubectl("-n", namespace, "create", "rolebinding", "m", "--role", "metaflow-scheduler", "--serviceaccount", "metaflow:metaflow-scheduler")


class Flow:
    """Runs of one user in one directory, and in one namespace."""

    def __init__(self, cluster, directory, namespace):
        self.cluster, self.directory, self.namespace = cluster, directory, namespace
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(directory), "USER": "tester", **KEYS, "AWS_DEFAULT_REGION": "us-east-1",
            "METAFLOW_S3_ENDPOINT_URL": S3, "METAFLOW_ALLOW_PLAIN_HTTP": "1", "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{directory.name}-{time.time_ns()}",
            "METAFLOW_DEFAULT_DATASTORE": "s3", "METAFLOW_KUBERNETES_NAMESPACE": namespace, "METAFLOW_KUBERNETES_SECRETS": "s3-access",
            "METAFLOW_KUBERNETES_PATIENCE": "5", "KUBECONFIG": str(cluster.config / "metaflow-scheduler.kubeconfig"),
        }  # fmt: skip

    def start(self, program, *arguments, env=None):
        path = next(p for p in (BUILD / "examples" / program, BUILD / "flows" / f"{program}_flow") if p.exists())
        return subprocess.Popen(
            [path, *map(str, arguments)], cwd=self.directory, env={**self.environment, **(env or {})},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *arguments, status=0, env=None):
        process = self.start("placed", *arguments, env=env)
        out, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == status, out
        return out

    def python(self, path, *arguments):
        """The same of a flow in Python, unchanged; what it printed."""
        more = {"PYTHONPATH": str(ROOT / "python"), "METAFLOW_ENGINE_DIRECTORY": str(BUILD / "python/metaflow_cpp/native")}
        command = [sys.executable, "-B", "-m", "metaflow_cpp", path, *arguments]
        process = subprocess.run(
            [*map(str, command)], cwd=self.directory, env={**self.environment, **more}, stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        assert process.returncode == 0, process.stdout + process.stderr
        return process.stdout

    def objects(self, kind):
        return json.loads(self.cluster.kubectl("-n", self.namespace, "get", kind, "-o", "json"))["items"]

    def names(self, kind, words):
        return [o["metadata"]["name"] for o in self.objects(kind) if words in o["metadata"]["name"]]

    def nothing_is_left(self):
        def active():
            return [p for p in self.objects("pods") if p["status"].get("phase") in ("Pending", "Running")]

        kubernetes_cluster.wait_for("no pod runs", lambda: not active(), PATIENCE)
        assert [name for name in self.names("secrets", "mf-")] == []


def until(process, words, lines=None):
    """Reads the output up to a line with these words; gives back what was read."""
    lines = lines if lines is not None else []
    for line in process.stdout:
        lines.append(line)
        if words in line:
            return lines
    raise AssertionError("".join(lines))


def calls(flow):
    """Requests of the scheduler, by the audit log."""
    counted = collections.Counter()
    for line in (flow.cluster.logs / "audit.json").read_text().splitlines():
        event = json.loads(line)
        what = event.get("objectRef", {})
        if event["user"]["username"] == USER and event["stage"] == "ResponseComplete" and what.get("namespace") == flow.namespace:
            counted[f"{event['verb']} {what['resource']}{'/' + what['subresource'] if 'subresource' in what else ''}"] += 1
    return counted
