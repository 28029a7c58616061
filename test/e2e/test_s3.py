"""Runs in S3: the store on real servers, through a network that fails, and read by Metaflow's own client."""

import collections
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

import s3
from conftest import BUILD
from remote import User, kill_scheduler, wait_until
from shapes import plan

READ = """
import json, sys
from metaflow import Flow, Run, Task, namespace, metadata
namespace(None)
run = Run(sys.argv[1])
print(json.dumps({
    "finished": run.finished, "successful": run.successful,
    "tasks": {task.pathspec.split("/", 2)[2]: {"out": task.stdout, "err": task.stderr, "ok": task.successful} for step in run for task in step},
    "data": {artifact.id: repr(artifact.data) for artifact in run.end_task},
    "keys": {artifact.id: artifact.sha for artifact in run.end_task},
}))
"""


@pytest.fixture(scope="module", params=["moto", "radosgw"])
def server(request, tmp_path_factory):
    available = s3.has_moto() if request.param == "moto" else s3.has_radosgw()
    if not available:
        what = "moto[server,s3] and boto3 from PyPI" if request.param == "moto" else "radosgw ceph-mon ceph-osd ceph-common of Debian"
        pytest.skip(f"S3 IS NOT TESTED WITH {request.param}: it needs {what}")
    with getattr(s3, request.param)(tmp_path_factory.mktemp(request.param)) as running:
        with s3.Proxy(running, faults=()) as plain:  # only looks at signatures
            s3.make_bucket(running)
            plain.kind = request.param
            yield plain
            assert not plain.wrong_signatures


def environment_of(server, tmp_path):
    return {**server.environment, "METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{tmp_path.name}", "METAFLOW_DEFAULT_DATASTORE": "s3"}


@pytest.fixture
def in_s3(server, cli):
    cli.environment.update(environment_of(server, cli.directory))
    return cli


def read(cli, path):
    """What the official client finds."""
    done = cli.read(READ, path)
    assert done.status == 0, done
    return json.loads(done.out)


def conformance(server, filter="*StorageTest*/s3"):
    if server.kind == "moto":  # whose paths end at a line end
        filter += (":" if "-" in filter else "-") + "*LineBreaks*"
    process = subprocess.run(
        [BUILD / "test" / "unit_tests", f"--gtest_filter={filter}"],
        env={**os.environ, **server.environment, "METAFLOW_TEST_S3": "s3://runs/suite"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert process.returncode == 0, process.stdout[-5000:] + process.stderr[-2000:]
    assert "SKIPPED" not in process.stdout
    assert "PASSED" in process.stdout and "PASSED  ] 0 tests" not in process.stdout, "the filter selects tests"


def test_the_store_does_what_every_store_does(server):
    conformance(server)


def test_objects_besides_the_artifacts(server):
    conformance(server, "S3UserTest.*:S3ServerTest.*")


def test_the_store_on_a_network_that_fails(server):
    with s3.Proxy(server, one_in=4) as faulty:
        faulty.kind = server.kind
        conformance(faulty, "*StorageTest*/s3-*ListWithManyPages*")
        assert min(faulty.counts.values()) > 0, faulty.counts
        assert not faulty.wrong_signatures


def test_a_run(in_s3):
    run = in_s3.run("sweep", "--n", "5")
    found = read(in_s3, f"Sweep/{run}")
    assert found["finished"] and found["successful"]
    assert float(found["data"]["best"]) == pytest.approx(-0.673, abs=0.01)
    assert len(found["tasks"]) == 8
    assert all(task["ok"] for task in found["tasks"].values())
    assert any("The minimum of 5 points" in task["out"] for task in found["tasks"].values())
    local = [path for path in (in_s3.directory / ".metaflow").rglob("*") if path.name.endswith(".data.json")]
    assert not local, "nothing but metadata is kept here"
    assert "peersecret" not in in_s3("sweep", "dump", f"{run}/end").out
    assert "best" in in_s3("sweep", "dump", f"{run}/end").out
    assert "The minimum of 5" in in_s3("sweep", "logs", f"{run}/end").out


def test_what_is_in_the_bucket(in_s3, server):
    run = in_s3.run("sweep", "--n", "2")
    listed = in_s3.execute(
        [sys.executable, "-c", "import sys, json, boto3\ns = boto3.client('s3', endpoint_url=sys.argv[1])\n"
         "keys = [o['Key'] for p in s.get_paginator('list_objects_v2').paginate(Bucket='runs', Prefix=sys.argv[2] + '/') for o in p.get('Contents', [])]\n"
         "print(json.dumps({k: s.head_object(Bucket='runs', Key=k)['Metadata'] for k in keys}))", server.url, in_s3.directory.name]
    )  # fmt: skip
    assert listed.status == 0, listed
    objects = {key.removeprefix(f"{in_s3.directory.name}/Sweep/"): metadata for key, metadata in json.loads(listed.out).items()}
    blobs = {key: metadata for key, metadata in objects.items() if key.startswith("data/")}
    assert blobs
    for metadata in blobs.values():
        assert json.loads(metadata["metaflow-user-attributes"]) == {"cas_raw": True, "cas_version": 1}
    rest = {key: metadata for key, metadata in objects.items() if key not in blobs}
    assert not any(rest.values())
    for name in ("attempt.json", "data.json", "DONE.lock", "runtime_stdout.log"):
        assert f"{run}/end/5/0.{name}" in rest, sorted(rest)


def test_resume(in_s3):
    failed, _ = in_s3.fail("linear", env=plan("end throw x"))
    resumed, result = in_s3.resume("linear")
    assert resumed != failed
    assert read(in_s3, f"Linear/{resumed}")["successful"], result
    assert any("cloned" in line for line in result.lines), result


def test_a_run_on_a_network_that_fails(in_s3, server):
    plain = in_s3.run("types")
    with s3.Proxy(server, one_in=5, seed=7) as faulty:
        broken = in_s3.run("types", env={"METAFLOW_S3_ENDPOINT_URL": faulty.url})
        assert sum(faulty.counts.values()) > 10
    one, other = (read(in_s3, f"Types/{run}") for run in (plain, broken))
    assert other["successful"]
    ours = {name for name in one["keys"] if not name.startswith("_")}
    assert ours and {name: one["keys"][name] for name in ours} == {name: other["keys"][name] for name in ours}


def test_what_is_not_set(cli):
    result = cli("sweep", "--datastore", "s3", "run")
    assert result.status == 1
    assert "METAFLOW_DATASTORE_SYSROOT_S3" in result.err
    result = cli("sweep", "--datastore", "s3", "--datastore-root", "/tmp/x", "run")
    assert "s3://bucket/prefix" in result.err
    env = {"METAFLOW_DATASTORE_SYSROOT_S3": "s3://runs/x", "AWS_EC2_METADATA_DISABLED": "true"}
    result = cli("sweep", "--datastore", "s3", "run", env=env)
    assert result.status == 1
    assert "There are no AWS credentials" in result.err


def test_a_bucket_that_is_not_there(in_s3):
    result = in_s3("sweep", "run", env={"METAFLOW_DATASTORE_SYSROOT_S3": "s3://no-such-bucket/x"})
    assert result.status == 1
    assert "NoSuchBucket" in result.err and "METAFLOW_DATASTORE_SYSROOT_S3" in result.err
    assert s3.SECRET not in result.err + result.out


def test_certificates(in_s3, server):
    file = in_s3.directory / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=s3",
         "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", file, "-out", in_s3.directory / "cert"],
        check=True, capture_output=True,
    )  # fmt: skip
    file.write_text(file.read_text() + (in_s3.directory / "cert").read_text())
    with s3.Proxy(server, faults=(), certificate=file) as secure:
        env = {"METAFLOW_S3_ENDPOINT_URL": secure.url}
        refused = in_s3("sweep", "run", env=env)
        assert refused.status == 1
        assert "certificate" in refused.err and "AWS_CA_BUNDLE" in refused.err
        trusted = in_s3.run("sweep", env={**env, "AWS_CA_BUNDLE": str(file)})
        assert in_s3("sweep", "dump", f"{trusted}/end", env={**env, "METAFLOW_S3_VERIFY_CERTIFICATE": "false"}).status == 0
        assert not secure.wrong_signatures
    assert read(in_s3, f"Sweep/{trusted}")["successful"]


def test_the_client_library(in_s3):
    run = in_s3.run("sweep", "--n", "3")
    told = in_s3("read_runs", "task", f"Sweep/{run}/end/6", env={"METAFLOW_DEFAULT_DATASTORE": "local"})
    assert told.status == 0, told
    assert "The minimum of 3 points" in told.out and "artifact best <class 'float'>" in told.out


def test_a_flow_loads_no_http_library_before_it_needs_one(cli):
    needed = subprocess.run(["ldd", cli.path("sweep")], capture_output=True, text=True, check=True).stdout
    for library in ("libcurl", "libcrypto", "libssl"):
        assert library not in needed


@pytest.fixture
def held(in_s3, server):
    """A run of five tasks side by side, of which one could not be marked as done yet; the others were, and nothing is left to do."""
    with s3.Watched(server, lambda method, path: path.endswith("/work/2/0.DONE.lock")) as watched:
        user = User(in_s3, {"METAFLOW_S3_ENDPOINT_URL": watched.url})
        process = user.start("wide", "--width", "5", "--max-workers", "2")
        done = [f"/work/{task}/0.DONE.lock" for task in range(3, 7)]
        try:
            wait_until(lambda: all(any(path.endswith(name) for _, path in watched.answered) for name in done))
            assert not any("/join/" in path for _, path in watched.asked), "it begins when what comes before it is stored"
            yield user, process, watched
        finally:
            watched.drop()
            process.kill()
            process.communicate()


def test_a_task_that_is_stored_slowly_holds_up_no_other(held):
    user, process, watched = held
    watched.release()
    out = process.communicate(timeout=60)[0]
    assert process.returncode == 0, out
    assert "5 values" in out
    assert not watched.wrong_signatures


def test_killed_before_a_task_was_stored(held, server):
    user, process, watched = held
    kill_scheduler(process)
    watched.drop()
    origin = user.run_id
    user.cli.environment["METAFLOW_S3_ENDPOINT_URL"] = server.url
    resumed, result = user.cli.resume("wide")
    cloned = re.findall(rf"Cloning previously run task {origin}/(\S+)", result.out)
    assert sorted(cloned) == ["start/1", "work/3", "work/4", "work/5", "work/6"], result
    assert len(re.findall(r"/work/\d+ \(pid \d+\)\] Task is starting", result.out)) == 1, result
    assert read(user.cli, f"Wide/{resumed}")["successful"]


def test_interrupted_before_a_task_was_stored(held):
    _, process, _ = held
    process.send_signal(signal.SIGINT)
    for line in process.stdout:  # it hears that at once
        if "Workflow interrupted" in line:
            break
    process.send_signal(signal.SIGINT)
    out = process.communicate(timeout=60)[0]
    assert process.returncode != 0
    assert "1 finished task could not be committed. `resume` will rerun it." in out


def test_interrupted_twice_while_the_store_is_away(in_s3, server):
    """From a moment on it answers nothing: neither what ends, nor what is written at the end."""
    away = threading.Event()
    with s3.Watched(server, lambda method, path: away.is_set()) as watched:
        user = User(in_s3, {"METAFLOW_S3_ENDPOINT_URL": watched.url})
        process = user.start("wide", "--width", "5", "--max-workers", "2")
        try:
            wait_until(lambda: any(path.endswith("/start/1/0.DONE.lock") for _, path in watched.answered))
            away.set()
            wait_until(lambda: len(watched.asked) > len(watched.answered))
            process.send_signal(signal.SIGINT)
            for line in process.stdout:
                if "Workflow interrupted" in line:
                    break
            begin = time.monotonic()
            process.send_signal(signal.SIGINT)
            out = process.communicate(timeout=60)[0]
            assert time.monotonic() - begin < 5, out
            assert process.returncode == 1 and "resume" in out, out
        finally:
            watched.drop()
            process.kill()
            process.communicate()


def test_the_members_of_a_task_are_read_together(in_s3, server):
    """Of the task behind start: none of them comes before all are asked for."""

    def holds(method, path):
        started = any(path.endswith("/start/1/0.DONE.lock") for _, path in watched.asked)
        return started and method == "GET" and "/data/" in path

    def held():
        done = [path.endswith("/start/1/0.DONE.lock") for _, path in watched.asked].index(True)
        return {path for method, path in watched.asked[done:] if method == "GET" and "/data/" in path}

    with s3.Watched(server, holds) as watched:
        user = User(in_s3, {"METAFLOW_S3_ENDPOINT_URL": watched.url})
        process = user.start("wide", "--width", "1")
        wait_until(lambda: any("/work/" in path for _, path in watched.asked) and len(held()) >= 4)  # items, value, values, width
        watched.release()
        out = process.communicate(timeout=60)[0]
        assert process.returncode == 0, out


def test_requests_of_a_task(in_s3, server):
    """What more tasks cost: a request takes its time, and its price."""

    def requests(width):
        with s3.Watched(server) as watched:
            in_s3.run("wide", "--width", str(width), env={"METAFLOW_S3_ENDPOINT_URL": watched.url})
        kinds = ["blob" if "/data/" in path else path.rpartition("/")[2].partition(".")[2] for _, path in watched.asked]
        return collections.Counter(f"{method} {kind}" for (method, _), kind in zip(watched.asked, kinds))

    few, many = requests(2), requests(10)
    more = {name: (count - few[name]) / 8 for name, count in many.items() if count != few[name]}
    # Its scheduler's, its own of its input, and those of the join.
    assert more.pop("PUT attempt.json") == more.pop("PUT data.json") == more.pop("PUT DONE.lock") == 1
    assert more.pop("GET data.json") == 3
    assert more.pop("HEAD attempt.json") == 4 and more.pop("HEAD DONE.lock") == 2
    assert set(more) == {"GET blob", "PUT blob"} and sum(more.values()) <= 16, more
