"""Runs in a Kubernetes cluster that are stopped, killed and resumed."""

import itertools
import json

import pytest

from remote import interrupt, kill_scheduler, wait_until
from kubernetes_runs import MISSING, Cluster, make  # noqa: F401

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"KUBERNETES IS NOT TESTED: it needs {MISSING}")


# --- stopping


@pytest.mark.parametrize("twice", [False, True])
def test_interrupt(make, gate, twice):
    cluster = make()
    process = cluster.start("placed", "--n", "3", "--port", str(gate.port))
    gate.wait_for(3)
    out = interrupt(process, twice)
    assert process.returncode == 1 and "Workflow interrupted" in out, out
    cluster.nothing_is_left()
    cluster.no_complaints()


def test_one_failure_stops_the_others(make, gate):
    cluster = make()
    process = cluster.start("placed", "--n", "3", "--port", str(gate.port))
    gate.wait_for(3)
    cluster.accident("exit", exitCode=3)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "2 running tasks were stopped because of the failure." in out, out
    cluster.nothing_is_left()


NOT_ALLOWED = {"verb": "deletecollection", "resource": "jobs", "action": "status", "code": 403, "reason": "Forbidden", "message": "no"}
# A request that a rule hits is not counted by the rules after it. Jobs that are not there yet, too, and a role that must not delete
# together: src/compute/kubernetes/kubernetes_jobs_test.cc.
STOPS = {
    "together": [],
    "a job that was not told": [
        {"verb": "create", "resource": "jobs", "nth": 12, "action": "lose"},
        {"verb": "create", "resource": "jobs", "action": "slow", "seconds": 6, "nth": 12},
    ],
}


@pytest.mark.parametrize("case, twice", [("together", True), ("a job that was not told", False)])
def test_many_are_stopped_together(make, gate, case, twice):
    rules = STOPS[case]
    cluster = make(*rules)
    process = cluster.start("placed", "--n", "12", "--port", str(gate.port))
    if "job" in case:
        # All: of that one its pod tells.
        started = (line for line in process.stdout if "/work/" in line and "Task is starting." in line)
        assert len(list(itertools.islice(started, 12))) == 12
    else:
        gate.wait_for(12)
    out = interrupt(process, twice)
    assert process.returncode == 1 and "Workflow interrupted" in out, out
    cluster.nothing_is_left()
    assert cluster.jobs() == []
    counts = cluster.peer.counts()
    assert counts["deletecollection jobs"] == 1 and counts.get("delete jobs", 0) == (0 if case == "together" else 1), counts


def test_what_failed_stays_when_the_others_are_stopped(make, gate):
    cluster = make()
    process = cluster.start("placed", "--n", "12", "--port", str(gate.port))
    gate.wait_for(12)
    cluster.accident("exit", exitCode=3)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 1 and "11 running tasks were stopped because of the failure." in out, out
    cluster.nothing_is_left()
    (failed,) = cluster.jobs()
    assert failed["status"]["failed"] == 1 and cluster.peer.counts()["deletecollection jobs"] == 1


def test_resume_does_not_do_twice_what_still_runs(make, gate, cli):
    cluster = make()
    process = cluster.start("placed", "--n", "3", "--port", str(gate.port), "--max-workers", "2")
    assert sorted(gate.wait_for(2)) == [0, 1]
    origin = cluster.run_id
    kill_scheduler(process)
    listed = cli("placed", "kubernetes", "list", "--run-id", origin)
    assert listed.status == 0 and listed.out.count("Status: Running") == 2, listed
    told = json.loads(cli("placed", "kubernetes", "list", "--run-id", origin, "--json").out)
    assert told["flow"] == "Placed" and [job["task"] for job in told["jobs"]] == ["2", "3"], told
    for job in told["jobs"]:
        assert job == {**job, "run": origin, "step": "work", "attempt": 0, "user": cli.environment["USER"], "status": "Running", "reason": None}
        assert job["pod"].startswith(job["job"] + "-") and f"Pod: {job['pod']} Started At: {job['started']} " in listed.out, told
    out = cluster.resume_beside("placed", origin, gate)
    assert f"2 tasks of run {origin} are still running in the cluster" in out, out
    assert sorted(item for item, _ in gate.waiting) == [0, 1, 2], "each was executed once"
    assert cluster.read("Placed")["tasks"]["join"][0]["data"]["squares"] == [0, 1, 4]
    cluster.nothing_is_left()


def test_kill_ends_what_a_dead_scheduler_has_left(make, gate, cli):
    cluster = make()
    process = cluster.start("placed", "--n", "2", "--port", str(gate.port))
    gate.wait_for(2)
    origin = cluster.run_id
    kill_scheduler(process)
    killed = cli("placed", "kubernetes", "kill", "--run-id", origin)
    assert killed.status == 0 and killed.out.count("Killed ") == 2, killed
    cluster.nothing_is_left()
    assert "No active Kubernetes pods found." in cli("placed", "kubernetes", "list", "--run-id", origin).err
    assert json.loads(cli("placed", "kubernetes", "list", "--run-id", origin, "--json").out) == {"flow": "Placed", "jobs": []}
    gate.release()
    run_id, _ = cli.resume("placed", "--origin-run-id", origin)
    assert cluster.read("Placed", run_id)["tasks"]["join"][0]["data"]["squares"] == [0, 1]


def test_kill_ends_many_where_the_role_cannot_delete_together(make, gate, cli):
    cluster = make(NOT_ALLOWED)
    process = cluster.start("placed", "--n", "12", "--port", str(gate.port))
    gate.wait_for(12)
    kill_scheduler(process)
    killed = cli("placed", "kubernetes", "kill", "--run-id", cluster.run_id)
    assert killed.status == 0 and killed.out.count("Killed ") == 12, killed
    cluster.nothing_is_left()
    counts = cluster.peer.counts()
    assert counts["deletecollection jobs"] == 1 and counts["delete jobs"] == 12, counts


def test_resume_spares_what_runs_when_it_deletes_many(make, gate, cli):
    cluster = make({"pods": {}, "action": "unschedulable", "times": 10})
    process = cluster.start("placed", "--n", "12", "--port", str(gate.port))
    running = gate.wait_for(2)
    wait_until(lambda: len(cluster.jobs()) == 12)
    origin = cluster.run_id
    kill_scheduler(process)
    out = cluster.resume_beside("placed", origin, gate)
    assert f"2 tasks of run {origin} are still running in the cluster" in out, out
    assert cluster.peer.counts()["deletecollection jobs"] == 1
    assert sorted(item for item, _ in gate.waiting) == list(range(12)) and len(running) == 2, "each was executed once"
    cluster.nothing_is_left()


def test_kill_leaves_a_living_run_what_it_needs(make, gate, cli):
    cluster = make()
    process = cluster.start("placed", "--n", "1", "--port", str(gate.port), "--with", "retry:times=1,minutes_between_retries=0")
    gate.wait_for(1)
    killed = cli("placed", "kubernetes", "kill", "--run-id", cluster.run_id)
    assert killed.status == 0 and killed.out.count("Killed ") == 1, killed
    gate.wait_for(2)
    gate.release()
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and "deleted externally" in out, out
    cluster.nothing_is_left()


def test_a_task_that_waits_is_submitted_anew_by_resume(make, cli):
    cluster = make({"pods": {}, "action": "unschedulable", "times": 1})
    process = cluster.start("placed", "--n", "1")
    wait_until(lambda: len(cluster.jobs()) == 1)
    origin = cluster.run_id
    kill_scheduler(process)
    run_id, _ = cli.resume("placed", "--origin-run-id", origin)
    assert cluster.read("Placed", run_id)["ok"]
    cluster.nothing_is_left()
