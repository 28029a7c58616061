"""A Kubernetes cluster and an S3 server for whole flows: the API server of test/peers, and moto."""

import contextlib
import json
import pathlib
import sys

import s3

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test"))

from peers.kubernetes.launch import Peer  # noqa: E402

NAMESPACE = "metaflow"
SECRET = "s3-access"  # the secret with the S3 keys of pods, as in the setup of a cluster


def missing():
    """What of this machine is missing for these tests; None: nothing."""
    if not s3.has_moto():
        return "moto[server,s3] and boto3 from PyPI"
    try:
        import aiohttp, kubernetes_validate, yaml  # noqa: F401, E401
    except ImportError as error:
        return f"{error.name} from PyPI"
    return None


@contextlib.contextmanager
def cluster(directory, server, scenario=None, **more):
    """A cluster as docs/kubernetes-setup.md sets it up: role, service account, namespace, and a secret for S3."""
    directory.mkdir(parents=True, exist_ok=True)
    keys = directory / "keys.yaml"
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": SECRET, "namespace": NAMESPACE}}
    secret["stringData"] = {name: value for name, value in server.environment.items() if name.startswith("AWS_")}
    keys.write_text(json.dumps(secret))
    manifests = [ROOT / "docs" / "kubernetes" / "rbac.yaml", keys]
    with Peer(directory, scenario=scenario or {}, manifests=manifests, **more) as peer:
        yield peer


def environment(peer, server, prefix):
    """Of who runs a flow: with the scheduler's role, and nothing more."""
    return {
        **server.environment,
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{prefix}",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_KUBERNETES_SECRETS": SECRET,
        "KUBECONFIG": str(peer.directory / "kubeconfig-metaflow-scheduler"),
    }
