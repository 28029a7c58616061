"""init: another scheduler begins a run."""

import json
import pathlib
import sys
import urllib.request

import pytest


sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "peers"))
from metadata_service.faults import KINDS, Faults  # noqa: E402
from test_service import service, with_service, read, registered, stored  # noqa: F401


# --- init: another scheduler begins a run

READ_PARAMETERS = """
import json, sys
from metaflow import Task, namespace
namespace(None)
task = Task(sys.argv[1])
print(json.dumps({artifact.id: artifact.data for artifact in task if not artifact.id.startswith("_")}))
"""


def init(cli, run, task, **env):
    return cli("sweep", "init", "--run-id", run, "--task-id", task, "--n", "3", "--tag", "mine", env=env)


def check_parameters(cli, service, run, task):
    """What the service has of them, and what the official client makes of it."""
    (row,) = service.tables.tasks.values()
    assert row["step_name"] == "_parameters" and task in (row["task_name"], str(row["task_id"]))
    data = json.loads((cli.directory / f".metaflow/Sweep/{run}/_parameters/{task}/0.data.json").read_text())
    artifacts = {name: artifact["sha"] for (_, _, name), artifact in service.tables.artifacts.items()}
    assert artifacts["n"] == data["objects"]["n"]
    fields = {(field["field_name"], field["value"]) for field in service.tables.metadata}
    assert {("start_step", "start"), ("end_step", "end"), ("attempt-done", "0")} <= fields
    read = cli.read(READ_PARAMETERS, f"Sweep/{run}/_parameters/{task}")
    assert read.status == 0 and json.loads(read.out)["n"] == 3, read


@pytest.mark.parametrize("kind", [None, *KINDS])
def test_init(with_service, service, kind):
    """With names of that scheduler's own, and through a network that fails."""
    if kind:
        service.faults = Faults([kind], one_in=1, only="POST", pause=0.02)
        service.faults.left = 3
    done = init(with_service, "argo-x1", "argo-x1-params")
    assert done.status == 0, done
    (run,) = service.tables.runs.values()
    assert run["run_id"] == "argo-x1" and run["tags"] == ["mine"] and {"user:tester", "language:c++"} <= set(run["system_tags"])
    check_parameters(with_service, service, "argo-x1", "argo-x1-params")


def test_init_again(with_service, service):
    """A scheduler that did not hear how it ended tries once more."""
    assert [init(with_service, "argo-x1", "argo-x1-params").status for _ in range(2)] == [0, 0]
    assert len(service.tables.runs) == 1
    check_parameters(with_service, service, "argo-x1", "argo-x1-params")


def test_init_of_what_the_service_has_numbered(with_service, service):
    def register(path, **row):
        request = urllib.request.Request(service.url + path, json.dumps({"user_name": "tester", "tags": [], "system_tags": [], **row}).encode(), method="POST")
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)

    register("/flows/Sweep")
    run = str(register("/flows/Sweep/run")["run_number"])
    register(f"/flows/Sweep/runs/{run}/steps/_parameters/step")
    task = str(register(f"/flows/Sweep/runs/{run}/steps/_parameters/task")["task_id"])
    done = init(with_service, run, task)
    assert done.status == 0 and len(service.tables.runs) == 1, done
    check_parameters(with_service, service, run, task)


def test_init_without_the_service(with_service):
    done = init(with_service, "argo-x1", "argo-x1-params", METAFLOW_SERVICE_URL="http://127.0.0.1:9", METAFLOW_SERVICE_RETRY_COUNT="1")
    assert done.status == 1 and "with the metadata service" in done.err, done
