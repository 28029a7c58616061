"""AWS Batch and an S3 server for whole flows: the server of test/peers, and moto."""

import contextlib
import json
import pathlib
import sys

import s3

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "test"))

from peers.batch.launch import Peer  # noqa: E402

ROLE = "arn:aws:iam::123456789012:role/tasks"
POLICY = json.loads((ROOT / "docs" / "batch" / "policy.json").read_text())
# What who runs a flow may do besides S3, as it is documented.
ACTIONS = [
    action
    for statement in POLICY["Statement"]
    for action in ([statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"])
    if action.startswith(("batch:", "logs:"))
]


def missing():
    """What of this machine is missing for these tests; None: nothing."""
    if not s3.has_moto():
        return "moto[server,s3] and boto3 from PyPI"
    try:
        import aiohttp, botocore  # noqa: F401, E401
    except ImportError as error:
        return f"{error.name} from PyPI"
    return None


@contextlib.contextmanager
def account(directory, scenario=None, **more):
    with Peer(directory, scenario=scenario or {}, **more) as peer:
        yield peer


def environment(peer, server, prefix, queue="ec2"):
    """Of who runs a flow: with what is documented, and nothing more."""
    keys = peer.tell("POST", "/keys", {"name": "ada", "actions": ACTIONS})
    return {
        **server.environment,
        **peer.environment(keys["access"], keys["secret"]),  # moto does not look at them
        "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{prefix}",
        "METAFLOW_DEFAULT_DATASTORE": "s3",
        "METAFLOW_BATCH_JOB_QUEUE": queue,
        "METAFLOW_BATCH_CONTAINER_IMAGE": "debian-with-curl",
        "METAFLOW_ECS_S3_ACCESS_IAM_ROLE": ROLE,
        "METAFLOW_ECS_FARGATE_EXECUTION_ROLE": "arn:aws:iam::123456789012:role/ecs",
    }


def unfinished(peer):
    return [job for job in peer.tell("GET", "/jobs")["jobs"] if job["status"] not in ("SUCCEEDED", "FAILED")]
