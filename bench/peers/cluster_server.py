"""Servers for the benchmarks: cluster_server.py kubernetes|radosgw DIRECTORY. Prints the environment for clients as one line of JSON. Then it
answers each line of its standard input with the requests counted so far, and ends with its input."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "test" / "e2e"))

import cluster  # noqa: E402
import s3  # noqa: E402

HUGE = {"name": "n", "capacity": {"cpu": "100000", "memory": "100000Gi", "ephemeral-storage": "1000000Gi", "pods": "100000"}}


def serve(environment, counts):
    print(json.dumps(environment), flush=True)
    for _ in sys.stdin:
        print(json.dumps(counts()), flush=True)


def main():
    what, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    directory.mkdir(parents=True, exist_ok=True)
    if what == "radosgw":
        with s3.radosgw(directory) as server:
            s3.make_bucket(server)
            serve(server.environment, dict)
        return
    with s3.moto(directory) as server:
        s3.make_bucket(server)
        scenario = {"nodes": [HUGE], "simulation": {"seconds": 3600, "exitCode": 0}}
        with cluster.cluster(directory / "cluster", server, scenario) as peer:
            serve(cluster.environment(peer, server, "bench"), peer.counts)


main()
