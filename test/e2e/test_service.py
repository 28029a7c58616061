"""Runs that the metadata service knows: written while they go on, through a network that fails, and read by Metaflow's own client."""

import collections
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import threading
import time

import pytest

import s3
from conftest import SANITIZED
from shapes import plan
from test_client_library import run_lines, told

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "peers"))
from metadata_service import MetadataService  # noqa: E402
from metadata_service.faults import KINDS, Faults  # noqa: E402

WIDTH = 50 if SANITIZED else 200
READ = """
import json, sys
from metaflow import Run, namespace, get_metadata
namespace(None)
assert get_metadata().startswith("service@"), get_metadata()
run = Run(sys.argv[1])
print(json.dumps({
    "finished": run.finished, "successful": run.successful, "tags": sorted(run.tags), "user_tags": sorted(run.user_tags),
    "origin": run.origin_pathspec, "steps": [step.id for step in run],
    "tasks": {task.pathspec.split("/", 2)[2]: {"out": task.stdout, "err": task.stderr, "ok": task.successful, "attempt": task.current_attempt,
              "index": task.index, "parents": sorted(parent.pathspec for parent in task.parent_tasks),
              "exception": str(task.exception) if task.exception else None, "metadata": task.metadata_dict} for step in run for task in step},
    "data": {artifact.id: repr(artifact.data) for artifact in run.end_task} if run.end_task else None,
}))
"""


@pytest.fixture
def service():
    with MetadataService() as running:
        yield running


@pytest.fixture
def with_service(cli, service):
    cli.environment.update(service.environment)
    return cli


def read(cli, path):
    """What the official client finds, with the service alone to ask."""
    done = cli.read(READ, path)
    assert done.status == 0, done
    return json.loads(done.out)


def registered(service, run):
    """The tasks that the service has of a run, by step."""
    found = collections.defaultdict(list)
    for task in service.tables.tasks.values():
        if str(task["run_number"]) == run:
            found[task["step_name"]].append(str(task["task_id"]))
    return found


def stored(cli, flow, run, root=".metaflow"):
    """The tasks that the store has of a run, by step."""
    place = cli.directory / root / flow / run
    return {step.name: sorted(task.name for task in step.iterdir()) for step in place.iterdir() if step.name != "_meta"}


def check_all_is_there(cli, service, flow, run):
    """Every task once, with each artifact and the fields of each attempt."""
    assert {step: sorted(tasks) for step, tasks in registered(service, run).items()} == stored(cli, flow, run)
    fields = collections.defaultdict(set)
    for row in service.tables.metadata:
        fields[row["task_id"]].add((row["field_name"], row["value"]))
    for step, tasks in registered(service, run).items():
        for task in tasks:
            data = json.loads((cli.directory / f".metaflow/{flow}/{run}/{step}/{task}/0.data.json").read_text())
            rows = {name: row["sha"] for (number, _, name), row in service.tables.artifacts.items() if number == int(task)}
            assert rows and rows.items() <= data["objects"].items()
            assert rows.keys() >= {name for name in data["objects"] if not name.startswith("_")}
            assert ("attempt-done", "0") in fields[int(task)]
            if step != "_parameters":
                assert {("attempt", "0"), ("attempt_ok", "True"), ("ds-type", "local")} <= fields[int(task)]


def wait_until(what, seconds=60):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def started(cli, flow, env):
    """A run that goes on while the test looks at it."""
    return subprocess.Popen(
        [cli.path(flow), "run"], cwd=cli.directory, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={**cli.environment, **env},
    )  # fmt: skip


def test_a_run(with_service, service):
    run = with_service.run("sweep", "--n", "5", "--tag", "mine")
    assert run == "1"
    found = read(with_service, f"Sweep/{run}")
    assert found["finished"] and found["successful"] and found["user_tags"] == ["mine"]
    assert {"user:tester", "language:c++", "runtime:dev"} <= set(found["tags"])
    assert float(found["data"]["best"]) == pytest.approx(-0.673, abs=0.01)
    assert found["steps"] == ["end", "join", "work", "start"]  # newest first
    assert len(found["tasks"]) == 8 and all(task["ok"] for task in found["tasks"].values())
    assert any("The minimum of 5 points" in task["out"] for task in found["tasks"].values())
    work = {path: task for path, task in found["tasks"].items() if path.startswith("work/")}
    assert sorted(task["index"] for task in work.values()) == [0, 1, 2, 3, 4]
    assert all(task["parents"] == [f"Sweep/{run}/start/2"] for task in work.values())
    check_all_is_there(with_service, service, "Sweep", run)
    kept = [path.name for path in (with_service.directory / ".metaflow").rglob("_meta/*")]
    assert sorted(kept) == ["journal.jsonl", "lease_execute.0.json"], "the metadata is not here"


def test_commands_after_a_run(with_service):
    run = with_service.run("sweep", "--n", "3")
    assert f"Sweep/{run}: done" in with_service("sweep", "status").out
    assert "best" in with_service("sweep", "dump", f"{run}/end").out
    assert "The minimum of 3 points" in with_service("sweep", "logs", "latest/end").out
    result = with_service("sweep", "status", "77")
    assert result.status == 1 and "No run Sweep/77 found" in result.err
    assert with_service("sweep", "tag", "add", "--run-id", run, "good", "old").status == 0
    assert with_service("sweep", "tag", "remove", "--run-id", run, "old").status == 0
    assert "good" in with_service("sweep", "tag", "list", "--run-id", run).out
    assert read(with_service, f"Sweep/{run}")["user_tags"] == ["good"]
    refused = with_service("sweep", "tag", "remove", "--run-id", run, "user:tester")
    assert refused.status == 1 and "existing system tag" in refused.err
    missing = with_service("sweep", "tag", "add", "--run-id", "77", "x")
    assert missing.status == 1 and "No run Sweep/77 found" in missing.err
    long = with_service("sweep", "tag", "add", "--run-id", "1795385838395170", "x")  # one of the local provider
    assert long.status == 1 and "No run Sweep/1795385838395170 found" in long.err


@pytest.mark.skipif(not s3.has_moto(), reason="needs moto[server,s3] and boto3 from PyPI")
def test_a_run_in_s3(with_service, service, moto):
    with_service.environment.update(moto.environment)
    with_service.environment.update({"METAFLOW_DATASTORE_SYSROOT_S3": "s3://runs/x", "METAFLOW_DEFAULT_DATASTORE": "s3"})
    run = with_service.run("sweep", "--n", "5")
    found = read(with_service, f"Sweep/{run}")
    assert found["successful"] and float(found["data"]["best"]) == pytest.approx(-0.673, abs=0.01)
    assert any("The minimum of 5 points" in task["out"] for task in found["tasks"].values())
    assert all(task["metadata"]["ds-root"] == "s3://runs/x" for task in found["tasks"].values())
    failed, _ = with_service.fail("linear", env=plan("end throw x"))
    resumed, result = with_service.resume("linear")
    assert read(with_service, f"Linear/{resumed}")["successful"], result


def test_a_wide_foreach(with_service, service):
    run = with_service.run("wide", "--width", str(WIDTH), "--max-num-splits", str(WIDTH))
    check_all_is_there(with_service, service, "Wide", run)
    tasks = WIDTH + 4
    assert len(service.tables.tasks) == tasks
    writes = [path for method, path in service.requests if method == "POST" and not path.endswith("/heartbeat")]
    assert len(writes) <= 4 * tasks + 10, "a task costs four requests at most"
    # At most sixteen at a time; one whose request took too long is closed, and another one takes its place.
    assert len(service.service.connections) <= len(service.requests) / 20, "connections are kept"
    assert read(with_service, f"Wide/{run}")["successful"]


@pytest.mark.parametrize("seed", range(1 if SANITIZED else 3))
def test_a_run_on_a_network_that_fails(with_service, service, seed):
    service.faults = Faults(KINDS, one_in=3, seed=seed, pause=0.02)
    run = with_service.run("wide", "--width", "40")
    assert min(service.faults.counts.values()) > 0, service.faults.counts
    service.faults = Faults()
    check_all_is_there(with_service, service, "Wide", run)
    found = read(with_service, f"Wide/{run}")
    assert found["successful"] and len(found["tasks"]) == 43


@pytest.mark.parametrize("kind", KINDS)
def test_one_fault_of_each_request(with_service, service, kind):
    """Whatever the request, it is made good: also of those that run first and last."""
    for only in ("GET /ping", "GET /flows", "/step", "/task", "/metadata", "/artifact"):
        service.faults = Faults([kind], one_in=1, only=only, pause=0.02)
        service.faults.left = 2
        run = with_service.run("linear")
        assert kind == "busy_database" or service.faults.counts[kind] > 0, only
        service.faults = Faults()
        check_all_is_there(with_service, service, "Linear", run)


def test_a_run_whose_registration_was_not_answered(with_service, service):
    """The service gives runs their numbers, so it may have one more that never did anything: as in Metaflow."""
    service.faults = Faults(["lost_answer"], one_in=1, only="POST /flows/Linear/run")
    service.faults.left = 1
    assert with_service.run("linear") == "2"
    assert not registered(service, "1")


def test_resume(with_service, service):
    failed, _ = with_service.fail("small_foreach", "--tag", "mine", env=plan("foreach_join throw not yet"))
    before = read(with_service, f"SmallForeach/{failed}")
    assert not before["successful"]
    assert any(task["exception"] and "not yet" in task["exception"] for task in before["tasks"].values())
    resumed, result = with_service.resume("small_foreach")
    assert int(resumed) == int(failed) + 1
    found = read(with_service, f"SmallForeach/{resumed}")
    assert found["successful"] and found["user_tags"] == ["mine"] and found["origin"] == f"SmallForeach/{failed}", result
    clones = {path: task for path, task in found["tasks"].items() if "origin-task-id" in task["metadata"]}
    assert clones and all(task["ok"] for task in clones.values())
    assert {step: sorted(tasks) for step, tasks in registered(service, resumed).items()} == stored(with_service, "SmallForeach", resumed)


def test_resume_of_a_wide_run(with_service, service):
    """Ids for clones are fetched side by side."""
    run = with_service.run("wide", "--width", str(WIDTH), "--max-num-splits", str(WIDTH))
    resumed, _ = with_service.resume("wide", "end", "--max-num-splits", str(WIDTH))
    assert {step: len(tasks) for step, tasks in registered(service, resumed).items()} == {
        step: len(tasks) for step, tasks in registered(service, run).items()
    }
    assert read(with_service, f"Wide/{resumed}")["successful"]


def test_resume_with_another_provider(with_service):
    """The origin is read from the store, whichever provider has its metadata."""
    failed, _ = with_service.fail("linear", env=plan("end throw x"))
    local, _ = with_service.resume("linear", env={"METAFLOW_DEFAULT_METADATA": "local"})
    assert len(local) == 16
    again, result = with_service.resume("linear", "--origin-run-id", local)
    found = read(with_service, f"Linear/{again}")
    assert found["successful"], result
    assert not any("origin-task-id" in task["metadata"] for task in found["tasks"].values()), "the service does not have it"


def test_the_client_library(with_service, service, client):
    """client.h tells what Metaflow's client tells, of runs of C++ and of Python."""
    client.metadata(f"service@{service.url}")
    ours = client.Run(f"Nested/{with_service.run('nested')}")
    assert told(with_service, "run", ours.pathspec) == run_lines(ours)
    pythons = client.Run(f"Maze/{with_service.run_python('maze')}")
    assert told(with_service, "run", pythons.pathspec) == run_lines(pythons)
    assert told(with_service, "flows") == ["Maze", "Nested"]
    missing = with_service("read_runs", "run", "Nested/77")
    assert missing.status == 1 and "Nested/77 in the metadata service" in missing.out


def test_resume_of_a_run_of_python_and_the_other_way_round(with_service, service):
    assert with_service.python("linear", "run", "--run-id-file", "id", env=plan("end throw x")).status == 1
    origin = (with_service.directory / "id").read_text()
    ours, result = with_service.resume("linear", "--origin-run-id", origin)
    found = read(with_service, f"Linear/{ours}")
    assert found["successful"] and any("origin-task-id" in task["metadata"] for task in found["tasks"].values()), result
    failed, _ = with_service.fail("linear", env=plan("end throw x"))
    done = with_service.python("linear", "resume", "--origin-run-id", failed, "--run-id-file", "id")
    assert done.status == 0, done
    assert read(with_service, f"Linear/{(with_service.directory / 'id').read_text()}")["successful"]


def test_failure_and_retry(with_service, service):
    rules = plan("end::0 throw first", "end::1 kill")
    run = with_service.run("linear", "--with", "retry:times=2,minutes_between_retries=0", env=rules)
    found = read(with_service, f"Linear/{run}")
    end = next(task for path, task in found["tasks"].items() if path.startswith("end/"))
    assert found["successful"] and end["attempt"] == 2
    number = int(registered(service, run)["end"][0])
    told = [(row["value"], row["tags"]) for row in service.tables.metadata if row["task_id"] == number and row["field_name"] == "attempt_ok"]
    assert told == [("False", ["attempt_id:0"]), ("False", ["attempt_id:1"]), ("True", ["attempt_id:2"])]
    begun = [row["value"] for row in service.tables.metadata if row["task_id"] == number and row["field_name"] == "attempt"]
    assert begun == ["0", "1", "2"]


def test_heartbeats(with_service, service):
    """Of a task while it runs, of the run until it ends; none of a task that is over."""
    process = started(with_service, "linear", plan("a meet 2"))
    try:
        wait_until(lambda: registered(service, "1")["a"])
        task = registered(service, "1")["a"][0]
        service.tables.tasks[int(task)]["last_heartbeat_ts"] = 1
        wait_until(lambda: ("POST", f"/flows/Linear/runs/1/steps/a/tasks/{task}/heartbeat") in service.requests)
        wait_until(lambda: service.tables.tasks[int(task)]["last_heartbeat_ts"] > time.time() - 30)
        wait_until(lambda: ("POST", "/flows/Linear/runs/1/heartbeat") in service.requests)
        wait_until((with_service.directory / "1-a").exists)
        (with_service.directory / "1-a" / "let_go").touch()
        assert process.wait(60) == 0
    finally:
        process.kill()
    beats = {path for method, path in service.requests if path.endswith("/heartbeat")}
    assert beats == {"/flows/Linear/runs/1/heartbeat", f"/flows/Linear/runs/1/steps/a/tasks/{task}/heartbeat"}


def test_a_service_that_is_away_for_a_while(with_service):
    """Tasks continue; requests that the service missed are sent later."""
    with MetadataService() as first:
        port, tables = first.port, first.tables
        with_service.environment.update(first.environment)
        process = started(with_service, "small_foreach", plan("foreach_inner meet 4"))
        place = with_service.directory / "1-foreach_inner"
        wait_until(lambda: process.poll() is not None or place.exists() and len(list(place.iterdir())) == 3)
    (place / "let_go").touch()
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout))
    reader.start()
    try:
        wait_until(lambda: any(b"The run continues" in line for line in lines))
        with MetadataService(port=port) as second:
            second.service.tables.__dict__.update(tables.__dict__)
            assert process.wait(60) == 0, lines
            reader.join()
            assert any(b"is responding again" in line for line in lines)
            check_all_is_there(with_service, second, "SmallForeach", "1")
    finally:
        process.kill()


def test_a_service_that_refuses_in_the_middle(with_service, service):
    service.faults = Refusal("/steps/end/")
    result = with_service("linear", "run")
    assert result.status == 1
    assert "Metaflow service error" in result.err and "403" in result.err and "METAFLOW_SERVICE_AUTH_KEY" in result.err
    assert "resume" in result.err
    resumed, _ = with_service.resume("linear", env={"METAFLOW_DEFAULT_METADATA": "local"})
    assert resumed


class Refusal(Faults):
    def __init__(self, only):
        super().__init__()
        self.text = only

    async def around(self, request, handler):
        from aiohttp import web

        if self.text in request.path:
            return web.json_response({"message": "Forbidden"}, status=403)
        return await handler(request)


def test_interrupted_while_the_service_is_away(with_service):
    with MetadataService() as service:
        with_service.environment.update(service.environment)
        process = started(with_service, "linear", plan("a meet 2"))
        wait_until((with_service.directory / "1-a").exists)
    lines = []
    reader = threading.Thread(target=lambda: lines.extend(process.stdout))
    reader.start()
    process.send_signal(signal.SIGINT)
    wait_until(lambda: any(b"interrupted" in line for line in lines))
    wait_until(lambda: any(b"Terminating" in line for line in lines))
    while process.poll() is None:  # what the service has not taken is waited for, until the next Ctrl-C
        process.send_signal(signal.SIGINT)
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            pass
    reader.join()
    assert process.returncode == 1, lines


def test_what_programs_are_told(with_service, service):
    file = with_service.directory / "attributes"
    with_service.run("linear", "--runner-attribute-file", file)
    assert json.loads(file.read_text()) == {"run_id": "1", "flow_name": "Linear", "metadata": f"service@{service.url}"}
    assert re.fullmatch(r"http://127.0.0.1:\d+", service.url)
    assert os.environ.get("METAFLOW_SERVICE_URL") is None
