"""How the Kubernetes client is let in: tokens, certificates, plugins, and inside of a pod."""

import base64
import json
import pathlib
import subprocess
import sys

import pytest

from conftest import BUILD

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from test_kubernetes_client import MISSING, ROLE, SECONDS, Client, peer  # noqa: F401

pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"KUBERNETES IS NOT TESTED: it needs {' '.join(MISSING)} from PyPI (dev/common.sh)")


@pytest.mark.parametrize("context", ["admin", "admin-certificate"])
def test_token_and_certificate(peer, context):
    with Client(peer.kubeconfig, context=context) as client:
        assert "failure" not in client.call("list", resource="pods")


def write_kubeconfig(path, peer, user, cluster=None):
    """In JSON, which is YAML."""
    authority = {"certificate-authority": str(peer.directory / "pki" / "ca.crt")}
    path.write_text(
        json.dumps(
            {
                "current-context": "c",
                "clusters": [{"name": "c", "cluster": {"server": peer.url, **(authority if cluster is None else cluster)}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
                "users": [{"name": "u", "user": user}],
            }
        )
    )
    return path


def plugin(tmp_path, peer, answer):
    """A plugin that gives what `answer` holds, and notes each time that it is asked."""
    script = tmp_path / "plugin"
    credential = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": answer}
    (tmp_path / "answer").write_text(json.dumps(credential))
    script.write_text(f"#!/bin/sh\necho asked >>{tmp_path}/asked\nexec cat {tmp_path}/answer\n")
    script.chmod(0o700)
    user = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "./plugin", "interactiveMode": "Never"}}
    return write_kubeconfig(tmp_path / "config", peer, user)


def asked(tmp_path):
    return len((tmp_path / "asked").read_text().splitlines())


def new_token(peer):
    return peer.tell("POST", "/tokens", {"user": "planner", "groups": ["system:masters"]})["token"]


def test_plugin_with_a_token(peer, tmp_path):
    """It is asked once for many calls, and again when its token is not good any more."""
    config = plugin(tmp_path, peer, {"token": new_token(peer)})
    with Client(config) as client:
        for identity in [client.begin("list", resource="pods") for _ in range(20)]:
            line = client.until(lambda line, identity=identity: line.get("id") == identity)
            assert "failure" not in line
        assert asked(tmp_path) == 1
        peer.tell("DELETE", "/tokens?user=planner")
        token = new_token(peer)
        plugin(tmp_path, peer, {"token": token})
        assert "failure" not in client.call("list", resource="pods")
        assert asked(tmp_path) == 2
        peer.tell("DELETE", "/tokens?user=planner")
        failure = client.call("list", resource="pods")["failure"]
        assert failure["status"] == 401 and asked(tmp_path) == 3
        assert token not in json.dumps(client.lines)


def test_plugin_with_a_certificate(peer, tmp_path):
    name = next(path.stem for path in sorted((peer.directory / "pki").glob("admin.crt")))
    read = lambda suffix: (peer.directory / "pki" / f"{name}.{suffix}").read_text()
    config = plugin(tmp_path, peer, {"clientCertificateData": read("crt"), "clientKeyData": read("key")})
    with Client(config) as client:
        assert "failure" not in client.call("list", resource="pods")


def test_token_file_that_changes(peer, tmp_path):
    (tmp_path / "token").write_text(new_token(peer))
    with Client(write_kubeconfig(tmp_path / "config", peer, {"tokenFile": "token"})) as client:
        assert "failure" not in client.call("list", resource="pods")
        peer.tell("DELETE", "/tokens?user=planner")
        (tmp_path / "token").write_text(new_token(peer))
        assert "failure" not in client.call("list", resource="pods")


def test_who_may_not_be_trusted(peer, tmp_path):
    other = tmp_path / "other.crt"
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", tmp_path / "other.key"]
    subprocess.run(["openssl", "req", "-x509", *key, "-out", other, "-subj", "/CN=x"], check=True, capture_output=True)
    user = {"token": new_token(peer)}
    authority = base64.b64encode((peer.directory / "pki" / "ca.crt").read_bytes()).decode()

    def failure(cluster):
        with Client(write_kubeconfig(tmp_path / "config", peer, user, cluster)) as client:
            return client.call("list", resource="pods").get("failure")

    refused = failure({"certificate-authority": str(other)})
    assert refused["status"] == 0 and not refused["transient"] and "certificate-authority-data" in refused["hint"]
    assert failure({"insecure-skip-tls-verify": True}) is None
    assert failure({"certificate-authority-data": authority, "tls-server-name": "kubernetes.default.svc"}) is None
    assert failure({"certificate-authority-data": authority, "tls-server-name": "elsewhere"})["status"] == 0


def test_in_a_pod(peer, tmp_path):
    """Without KUBECONFIG, but not in a pod really: what is missing is said."""
    process = subprocess.run(
        [BUILD / "programs" / "kubernetes_client"],
        env={"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 1 and "/var/run/secrets/kubernetes.io/serviceaccount/token" in json.loads(process.stdout)["error"]
