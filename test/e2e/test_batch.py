"""Flows on AWS Batch: a server that follows its model and executes jobs, S3 by moto, and the documented permissions alone."""

import json
import signal

import pytest

import account
import cluster as k8s
from conftest import BUILD
from remote import User, check_backend, interrupt, kill_scheduler, wait_until

MISSING = account.missing()
pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"AWS BATCH IS NOT TESTED: it needs {MISSING}")

SCENARIO = {
    "environments": {"ec2": {"type": "EC2"}, "spot": {"type": "SPOT"}, "fargate": {"type": "FARGATE"}, "small": {"type": "EC2", "maxvCpus": 1}},
    "images": [
        {"image": "debian-with-curl", "root": "debian-full"},
        {"image": "mine", "root": {"root": "debian-full", "mounts": {"/opt/flow": str(BUILD / "programs")}}},
    ],
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with account.account(tmp_path_factory.mktemp("batch"), SCENARIO) as peer:
        yield peer


class Account(User):
    """A flow's user before AWS Batch."""

    def __init__(self, cli, server, peer):
        super().__init__(cli, account.environment(peer, server, cli.directory.name))
        self.peer = peer

    def unfinished(self):
        return account.unfinished(self.peer)


@pytest.fixture
def user(cli, moto, shared):
    yield Account(cli, moto, shared)
    shared.tell("DELETE", "/rules")
    assert shared.errors() == ""
    wait_until(lambda: not account.unfinished(shared))


def test_bigsum(user):
    """The whole flow, read by the official client; then once more: the definition is there already."""
    user.peer.tell("DELETE", "/counts")
    result = user.run("bigsum", "--with", "batch:cpu=2,memory=1000", "--with", "resources:cpu=1,memory=2000", "--size", "3000")
    assert result.status == 0, result
    assert "(job " in result.out and "The sum is 45" in result.out, result
    seen = user.read("BigSum")
    assert seen["ok"] and abs(seen["tasks"]["start"][0]["data"]["sum"] - 4.5e6) < 1e4
    assert "The sum is" in seen["tasks"]["end"][0]["out"]
    counts = user.peer.counts()
    assert (counts["SubmitJob"], counts["RegisterJobDefinition"]) == (2, 1) and "GetLogEvents" not in counts, counts
    assert user.run("bigsum", "--with", "batch:cpu=1", "--size", "100").status == 0
    assert user.peer.counts()["RegisterJobDefinition"] == 1, "its content is the same"


def test_texts_reach_the_job_as_they_are(user):
    """Batch replaces Ref::NAME in commands."""
    tags = ["Ref::metaflow.run_id", "100%25 $(AWS_REGION) $$", "Ref::nothing"]
    result = user.run("surroundings", "--with", "batch", *[word for tag in tags for word in ("--tag", tag)])
    assert result.status == 0, result
    assert user.read("Surroundings")["tasks"]["end"][0]["data"]["tags"] == tags


def test_a_foreach(user):
    result = user.run("sweep", "--with", "batch", "--n", "12", "--max-workers", "6")
    assert result.status == 0, result
    seen = user.read("Sweep")
    assert seen["ok"] and len(seen["tasks"]["work"]) == 12


def jobs_of(user, step):
    """The ids of the jobs that a step's tasks say they were."""
    return [task["data"]["job"] for task in user.read("Crowd")["tasks"][step]]


def test_alike_tasks_are_an_array(user):
    user.peer.tell("DELETE", "/counts")
    result = user.run("crowd", "--n", "10", "--max-workers", "10", "--fail", "7", "--with", "retry:times=1,minutes_between_retries=0")
    assert result.status == 0, result
    counts = user.peer.counts()
    tasks = user.read("Crowd")["tasks"]
    assert tasks["join"][0]["data"]["squares"] == [i * i for i in range(10)]
    work = jobs_of(user, "work")
    arrays = {job.partition(":")[0] for job in work if ":" in job}
    (again,) = [job for job in work if ":" not in job]
    assert len(arrays) == 1 and sorted(int(job.partition(":")[2]) for job in work if job != again) == [i for i in range(10) if i != 7]
    assert [task["attempts"] for task in tasks["work"] if task["data"]["job"] == again] == ["1"], "one child failed; it alone was tried again"
    assert len(set(jobs_of(user, "after"))) == 10
    # One for the items, one for the second try; the steps behind are submitted as they come.
    assert 3 <= counts["SubmitJob"] <= 2 + 10, counts


def test_arrays_are_no_larger_than_max_workers(user):
    result = user.run("crowd", "--n", "8", "--max-workers", "5")
    assert result.status == 0, result
    in_arrays = [job for job in jobs_of(user, "work") if ":" in job]
    assert in_arrays and max(int(job.partition(":")[2]) for job in in_arrays) < 5, in_arrays
    assert user.read("Crowd")["ok"]


def test_an_array_in_list_and_kill(user):
    user.peer.tell("POST", "/rules", {"jobs": {"name": "mf-.*-Crowd-work-.*"}, "action": "stuck"})
    running = user.start("crowd", "--n", "8", "--max-workers", "8")
    wait_until(lambda: user.run_id_is_known() and user.cli("crowd", "batch", "list", "--run-id", user.run_id).out.count("Status: RUNNABLE") == 8)
    listed = user.cli("crowd", "batch", "list", "--run-id", user.run_id).out
    assert [f"Step: work Task: {task} Attempt: 0 Job: " in line for task, line in zip(range(2, 10), listed.splitlines())] == [True] * 8, listed
    user.peer.tell("DELETE", "/counts")
    killed = user.cli("crowd", "batch", "kill", "--run-id", user.run_id)
    assert killed.status == 0 and killed.out.count(f"Killed {user.run_id}/work/") == 8, killed
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 1 and "terminated externally" in out, out
    assert user.peer.counts()["TerminateJob"] == 1, "one call for all of it"



def test_children_that_run_are_not_done_twice(user, gate):
    """Of an array whose scheduler was killed; and a lost answer makes no second array."""
    user.peer.tell("POST", "/rules", {"operation": "SubmitJob", "action": "lose", "nth": 1})
    process = user.start("crowd", "--n", "6", "--max-workers", "6", "--port", str(gate.port))
    gate.wait_for(6)
    origin = user.run_id
    kill_scheduler(process)
    user.resume_beside("crowd", origin, gate)
    assert sorted(item for item, _ in gate.waiting) == list(range(6)), "each was executed once"
    assert user.read("Crowd")["ok"]


def test_fargate(user):
    result = user.run("failing", "--with", "batch:queue=fargate,cpu=0.25,memory=512")
    assert result.status == 0, result
    result = user.run("failing", "--with", "batch:queue=fargate,cpu=1,memory=60000")
    assert result.status == 1 and "Fargate does not offer 1 vCPU with 60000 MiB" in result.err and "cpu=8, memory=61440" in result.err, result


def test_what_cannot_be_asked_for(user):
    for with_, words in (
        (["batch:queue=nowhere"], "look for the job queue nowhere: no queue of this name exists in this region"),
        (["batch", "kubernetes"], "is marked for execution both on AWS Batch and Kubernetes."),
        (["batch:disk=1"], "Decorator 'batch' does not support the attribute 'disk'"),
    ):
        result = user.run("bigsum", *(word for each in with_ for word in ("--with", each)))
        assert result.status == 1 and words in result.err, result
    result = user.cli("bigsum", "--datastore", "local", "run", "--with", "batch")
    assert result.status == 1 and "requires --datastore=s3" in result.err, result


def test_failures(user):
    result = user.run("failing", "--with", "batch", "--where", "start", "--what", "custom")
    assert result.status == 1 and "98 degrees" in result.err + result.out, result
    assert "98 degrees" in user.read("Failing")["tasks"]["start"][0]["exception"]
    result = user.run("failing", "--with", "batch", "--where", "start", "--what", "kill")
    assert result.status == 1 and "SIGKILL" in result.err + result.out, result


def test_what_nobody_cures_is_given_up(user):
    """More than the queue's machines have: Batch would let it wait for ever."""
    user.cli.environment["METAFLOW_BATCH_PATIENCE"] = "1"
    result = user.run("bigsum", "--with", "batch:queue=small,cpu=4")
    assert result.status == 1 and "Job is RUNNABLE: MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE" in result.out, result
    assert "could not start within 1" in result.out, result.out
    wait_until(lambda: not user.unfinished())


def test_an_image_that_is_not_there(user):
    result = user.run("failing", "--with", "batch:image=corp/no-such:1", "--with", "retry:times=3,minutes_between_retries=0")
    assert result.status == 1 and "CannotPullContainerError" in result.err + result.out, result
    assert len([job for job in user.peer.tell("GET", "/jobs")["jobs"] if f"-{user.run_id}" in job["jobName"]]) <= 1


def test_out_of_memory_and_spot_reclaim_are_tried_again(user):
    for action, words in (("oom", "ran out of memory"), ("reclaim", "Host EC2")):
        user.peer.tell("POST", "/rules", {"jobs": {"name": "mf-.*-Failing-start-0-.*"}, "action": action, "after": 0, "times": 1})
        result = user.run("failing", "--with", "batch:queue=spot", "--with", "retry:times=1,minutes_between_retries=0")
        assert result.status == 0 and words in result.out + result.err, result
        user.peer.tell("DELETE", "/rules")
        seen = user.read("Failing")
        assert seen["ok"] and seen["tasks"]["start"][0]["attempts"] == "1", "it had begun, though no poll saw it run"


def test_a_spot_reclaim_is_no_retry(user):
    user.peer.tell("POST", "/rules", {"jobs": {"name": "mf-.*-Failing-start-.*"}, "action": "reclaim", "after": 0, "times": 2})
    result = user.run("failing", "--with", "batch:queue=spot")
    assert result.status == 0 and "Host EC2" in result.out + result.err, result
    assert result.out.count("not counted as a retry, 1 of 3") == result.out.count("not counted as a retry, 2 of 3") == 1, result
    assert user.read("Failing")["tasks"]["start"][0]["attempts"] == "2"


def test_the_policy_is_no_wider_than_what_is_used(user):
    """That it is wide enough, all tests show."""
    user.peer.tell("POST", "/rules", {"operation": "SubmitJob", "action": "lose", "times": 1})
    assert user.run("bigsum", "--with", "batch:shared_memory=77", "--size", "100").status == 0  # a definition that is not there yet
    user.cli.environment["METAFLOW_BATCH_FLOW_IN_IMAGE"] = "/bin/ls"
    result = user.run("failing", "--with", "batch")
    assert result.status == 1 and "unrecognized option" in result.out, result.out
    del user.cli.environment["METAFLOW_BATCH_FLOW_IN_IMAGE"]
    user.peer.tell("POST", "/rules", {"jobs": {"name": "mf-.*-BigSum-start-.*"}, "action": "stuck"})
    running = user.start("bigsum", "--with", "batch")
    wait_until(lambda: any(job["status"] == "RUNNABLE" for job in user.unfinished()))
    assert user.cli("bigsum", "batch", "kill", "--run-id", user.run_id).status == 0
    running.communicate(timeout=60)
    used = user.peer.tell("GET", f"/used?access={user.cli.environment['AWS_ACCESS_KEY_ID']}")["used"]
    assert sorted(used) == sorted(account.ACTIONS)


def test_its_backend_does_what_every_backend_does(cli, moto, tmp_path):
    """With a server of its own, since a backend that goes does not wait for answers."""
    settings = {"METAFLOW_BATCH_CONTAINER_IMAGE": "mine", "METAFLOW_BATCH_FLOW_IN_IMAGE": "/opt/flow/scripted_task"}
    greedy = {"jobs": {"name": "mf-.*-greedy-.*"}, "action": "oom"}
    with account.account(tmp_path / "batch", {**SCENARIO, "rules": [greedy]}) as peer:
        check_backend("batch", {**cli.environment, **account.environment(peer, moto, tmp_path.name), **settings})
        wait_until(lambda: not account.unfinished(peer))


def test_lost_answers_make_no_second_job(user):
    user.peer.tell("POST", "/rules", {"operation": "SubmitJob", "action": "lose", "every": 2})
    before = len(user.peer.tell("GET", "/jobs")["jobs"])
    result = user.run("sweep", "--with", "batch", "--n", "3")
    assert result.status == 0, result
    assert len(user.peer.tell("GET", "/jobs")["jobs"]) - before == 6




def test_the_log_of_what_died_before_its_supervisor_lived(user):
    """Only CloudWatch has what it said."""
    user.cli.environment["METAFLOW_BATCH_FLOW_IN_IMAGE"] = "/bin/ls"
    result = user.run("failing", "--with", "batch")
    assert result.status == 1 and "unrecognized option" in result.out + result.err and "exited with code 2" in result.out + result.err, result


def test_interrupted(user):
    user.peer.tell("POST", "/rules", {"jobs": {"name": "mf-.*-BigSum-start-.*"}, "action": "stuck"})
    running = user.start("bigsum", "--with", "batch")
    wait_until(lambda: any(job["status"] == "RUNNABLE" for job in user.unfinished()))
    listed = user.cli("bigsum", "batch", "list")
    assert listed.status == 0 and "Step: start Task: 1 Attempt: 0 Job: " in listed.out and "Status: RUNNABLE" in listed.out, listed
    told = json.loads(user.cli("bigsum", "batch", "list", "--json").out)
    (job,) = told["jobs"]
    assert told["flow"] == "BigSum" and f"Job: {job['job']} Created At: {job['created']} " in listed.out, (told, listed)
    assert job == {**job, "run": user.run_id, "step": "start", "task": "1", "attempt": 0, "user": user.cli.environment["USER"], "status": "RUNNABLE"}
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 1, out
    wait_until(lambda: not user.unfinished())
    assert json.loads(user.cli("bigsum", "batch", "list", "--json").out) == {"flow": "BigSum", "jobs": []}



def test_resumed_after_the_scheduler_was_killed(user):
    user.peer.tell("POST", "/rules", {"jobs": {"name": "mf-.*-BigSum-end-.*"}, "action": "stuck"})
    running = user.start("bigsum", "--with", "batch", "--size", "100")
    wait_until(lambda: any("-BigSum-end-" in job["jobName"] and job["status"] == "RUNNABLE" for job in user.unfinished()))
    running.kill()
    running.communicate()
    user.peer.tell("DELETE", "/rules")
    result = user.cli("bigsum", "resume", "--with", "batch", "--origin-run-id", user.run_id)
    assert result.status == 0, result
    assert not user.unfinished()


@pytest.fixture
def both(user, moto, tmp_path):
    """Who has a cluster besides the account."""
    with k8s.cluster(tmp_path / "cluster", moto) as peer:
        # The keys of the account: the secret has those of the tasks.
        user.cli.environment.update({**k8s.environment(peer, moto, user.cli.directory.name), **user.variables})
        yield user
        assert peer.errors() == "" and peer.tell("GET", "/denied")["denied"] == []


needs_a_cluster = pytest.mark.skipif(k8s.missing() is not None, reason=f"BATCH BESIDE KUBERNETES IS NOT TESTED: it needs {k8s.missing()}")


@needs_a_cluster
def test_batch_kubernetes_and_here_in_one_run(both):
    result = both.run("mixed")
    assert result.status == 0, result
    tasks = both.read("Mixed")["tasks"]
    places = {step: task["data"]["place"] for step, (task,) in tasks.items()}
    assert places == {"start": "here", "on_batch": "job", "on_kubernetes": "pod", "join": "here", "end": "here"}
    assert sorted(tasks["join"][0]["data"]["places"]) == ["job", "pod"]


@needs_a_cluster
def test_a_task_that_runs_is_not_done_twice(both, gate):
    """The scheduler is killed; its task goes on, and ends under the next one."""
    process = both.start("mixed", "--port", str(gate.port))
    gate.wait_for(1)
    origin = both.run_id
    kill_scheduler(process)
    assert both.cli("mixed", "batch", "list", "--run-id", origin).out.count("Status: RUNNING") == 1
    both.resume_beside("mixed", origin, gate)
    assert len(gate.waiting) == 1, "it was executed once"
    assert both.read("Mixed")["ok"]


def test_interrupted_twice_while_it_runs(user):
    """The second time nothing is waited for, and yet nothing is left."""
    running = user.start("misbehave", "--with", "batch", "--how", "sleep")
    assert any("sleeping" in line for line in running.stdout)
    out = interrupt(running, twice=True)
    assert running.returncode == 1, out
    wait_until(lambda: not user.unfinished())
