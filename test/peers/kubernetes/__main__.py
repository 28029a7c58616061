"""Starts the server: python -m peers.kubernetes --state DIRECTORY, with test/ in PYTHONPATH."""

import argparse
import asyncio
import json
import pathlib

from aiohttp import web

from .. import serving
from . import access, kubeconfig
from .admin import Admin
from .cluster import Cluster
from .server import ApiServer


def parse_arguments():
    parser = argparse.ArgumentParser(prog="python -m peers.kubernetes", description="A Kubernetes API server for tests.")
    parser.add_argument("--port", type=int, default=0, help="the port on 127.0.0.1; 0, the default, takes a free one")
    parser.add_argument("--state", type=pathlib.Path, required=True, help="a directory for kubeconfigs, certificates, logs and what containers need")
    parser.add_argument("--plain", action="store_true", help="HTTP without TLS")
    parser.add_argument(
        "--pace", type=float, default=0.05, help="how long a second of the cluster's own doings takes: 1 is as slow as a real one; default: 0.05"
    )
    parser.add_argument("--scenario", type=pathlib.Path, help="a JSON file: nodes, images, namespaces, rules, simulation")
    parser.add_argument(
        "--manifests",
        type=pathlib.Path,
        action="append",
        default=[],
        help="a file of manifests to create; each service account in it gets a kubeconfig",
    )
    parser.add_argument("--history", type=int, default=20000, help="how many changes of each resource are remembered")
    return parser.parse_args()


def write_kubeconfigs(cluster, url, state, certificates, manifests):
    """kubeconfig for the administrator, with a token or with a certificate; one for each service account of the manifests."""
    authority = certificates.ca if certificates else None
    users = [("admin", cluster.access.issue(access.User("kubernetes-admin", (access.MASTERS, "system:authenticated"))))]
    if certificates:
        users.append(("admin-certificate", certificates.make("admin", f"/O={access.MASTERS}/CN=kubernetes-admin")))
    kubeconfig.write(state / "kubeconfig", url, authority, users)
    for document in manifests:
        if document["kind"] == "ServiceAccount":
            name, namespace = document["metadata"]["name"], document["metadata"].get("namespace", "default")
            user = access.service_account(namespace, name)
            users = [(name, cluster.access.issue(user))]
            if certificates:
                groups = "".join(f"/O={group}" for group in user.groups)
                users.append((f"{name}-certificate", certificates.make(f"{namespace}-{name}", f"{groups}/CN={user.name}")))
            kubeconfig.write(state / f"kubeconfig-{name}", url, authority, users, namespace)


async def serve(arguments):
    listener, port = serving.listen(arguments.port)
    scenario = json.loads(arguments.scenario.read_text()) if arguments.scenario else {}
    cluster = Cluster(arguments.state, scenario, arguments.pace, port, arguments.history)
    manifests = [document for path in arguments.manifests for document in cluster.apply(path)]
    certificates = None if arguments.plain else access.Certificates(arguments.state / "pki")
    cluster.kubelet.authority = certificates.ca.read_bytes() if certificates else b""
    url = f"{'http' if arguments.plain else 'https'}://127.0.0.1:{port}"
    write_kubeconfigs(cluster, url, arguments.state, certificates, manifests)
    admin = Admin(cluster)
    admin.server = ApiServer(cluster, admin)
    runner = web.AppRunner(admin.server.application(), access_log=None, shutdown_timeout=0.5)
    await runner.setup()
    await web.SockSite(runner, listener, ssl_context=certificates.server_context() if certificates else None, backlog=1024).start()
    print(url, flush=True)
    await serving.until_told()
    await cluster.close()
    await runner.cleanup()


def main():
    asyncio.run(serve(parse_arguments()))


if __name__ == "__main__":
    main()
