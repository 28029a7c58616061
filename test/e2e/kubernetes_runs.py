"""A cluster for flows: a peer of Kubernetes (test/peers/kubernetes) and an S3 server. For the modules test_kubernetes*.py."""

import json

import pytest

import cluster as k8s
from remote import User, wait_until

MISSING = k8s.missing()
MANY = {"nodes": [{"name": "node-1", "capacity": {"cpu": "64", "memory": "64Gi", "ephemeral-storage": "500Gi", "pods": "500"}}]}


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
        errors, denied = self.peer.errors(), self.peer.tell("GET", "/denied")["denied"]
        assert (errors, denied) == ("", []), errors


@pytest.fixture
def make(cli, moto, tmp_path):
    """Makes the cluster of a test: its scenario, its rules."""
    made = []

    def start(*rules, **scenario):
        context = k8s.cluster(tmp_path / "cluster", moto, {**MANY, "rules": list(rules), **scenario})
        cluster = Cluster(cli, moto, context.__enter__())
        made.append((context, cluster))
        return cluster

    yield start
    for context, _ in made:
        context.__exit__(None, None, None)
