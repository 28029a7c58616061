"""The Batch peer executes jobs, tells of them as AWS does, and misbehaves when told to."""

import pytest

from .batch_client import Client, Peer, ROLE, SLEEP, requirements


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    environments = {"ec2": {"type": "EC2", "maxvCpus": 8}, "spot": {"type": "SPOT"}, "small": {"type": "EC2", "maxvCpus": 1}, "fargate-spot": {"type": "FARGATE_SPOT"}}
    scenario = {"environments": environments, "images": [{"image": "quick*", "root": "simulated"}], "simulation": {"seconds": 0.01}, "quotas": {"SubmitJob": 500}}
    with Peer(tmp_path_factory.mktemp("batch"), scenario, pace=0.01) as peer:
        yield peer
        assert peer.errors() == ""


@pytest.fixture(scope="module")
def client(peer):
    client = Client(peer)
    client.define("plain")
    client.define("quick", image="quick")
    fargate = {"executionRoleArn": "r", "resourceRequirements": requirements("0.25", "512")}
    client.define("on-fargate", container=fargate, platformCapabilities=["FARGATE"])
    return client


def test_a_job_from_its_submission_to_its_end(client):
    job_id = client.submit("whole", ["sh", "-c", "echo hello; exit 3"])
    job = client.end(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Essential container in task exited")
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert job["container"]["exitCode"] == 3 and "reason" not in job["container"]
    attempt = job["attempts"][0]
    assert attempt["container"]["exitCode"] == 3 and attempt["container"]["logStreamName"] == job["container"]["logStreamName"]
    assert client.log(job) == ["hello"]
    assert job["container"]["jobRoleArn"] == ROLE


def test_what_a_container_gets(client):
    client.define("with-parameters", container={"environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]}, parameters={"greeting": "hi", "who": "all"})
    command = ["sh", "-c", 'echo "Ref::greeting Ref::who Ref::nobody $A$B"; env | grep ^AWS | sort']
    job_id = client.submit("gets", command, "with-parameters", environment={"B": "2"}, parameters={"who": "you"})
    job = client.end(job_id)
    lines = client.log(job)
    assert lines[0] == "hi you Ref::nobody 12"
    assert f"AWS_BATCH_JOB_ID={job_id}" in lines and "AWS_BATCH_JOB_ATTEMPT=1" in lines and "AWS_BATCH_JQ_NAME=ec2" in lines
    assert any(line.startswith("AWS_CONTAINER_CREDENTIALS_FULL_URI=http://127.0.0.1:") for line in lines)
    assert job["parameters"] == {"greeting": "hi", "who": "you"}


def test_role_credentials(client, peer):
    """Those that the container's endpoint gives are good for the services."""
    import json

    status, _, body = peer.request("GET", "/role")
    keys = json.loads(body)
    assert status == 200
    assert Client(peer, keys["AccessKeyId"], keys["SecretAccessKey"], keys["Token"]).batch.describe_jobs(jobs=["x"])["jobs"] == []


def test_images_that_cannot_be_pulled(client):
    client.define("no-image", image="corp/no-such:1")
    job = client.end(client.submit("pulls", ["true"], "no-image"))
    assert (job["status"], job["statusReason"]) == ("FAILED", "Task failed to start")
    assert job["container"]["reason"].startswith("CannotPullContainerError:")
    assert "exitCode" not in job["container"] and "logStreamName" not in job["container"]


def test_commands_that_are_not_there(client):
    job = client.end(client.submit("starts", ["/no/such"]))
    assert job["statusReason"] == "Task failed to start"
    assert job["container"]["reason"].startswith("CannotStartContainerError:")


def test_out_of_memory(client, peer):
    if not peer.tell("GET", "/capabilities")["memory"]:
        pytest.skip("no control groups")
    command = ["sh", "-c", "x=a; while :; do x=$x$x; done"]
    job = client.end(client.submit("grows", command, containerOverrides={"resourceRequirements": requirements("1", "16")}))
    assert job["container"]["reason"] == "OutOfMemoryError: Container killed due to memory usage", job
    assert job["container"]["exitCode"] == 137 and job["statusReason"] == "Essential container in task exited"


def test_terminated(client):
    job_id = client.submit("long", ["sh", "-c", "trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.05; done"])
    client.listening(job_id)
    client.batch.cancel_job(jobId=job_id, reason="not any more")
    assert client.job(job_id)["status"] == "RUNNING"
    client.batch.terminate_job(jobId=job_id, reason="not any more")
    job = client.end(job_id)
    assert (job["status"], job["statusReason"], job["isTerminated"]) == ("FAILED", "not any more", True)
    assert job["container"]["exitCode"] == 5 and client.log(job) == ["up", "bye"]
    client.batch.terminate_job(jobId=job_id, reason="again")
    assert client.job(job_id)["statusReason"] == "not any more"


def test_cancelled_before_it_began(client, rule):
    rule(jobs={"name": "waits"}, action="stuck")
    job_id = client.submit("waits", ["true"])
    job = client.status(job_id, "RUNNABLE")
    job = client.until(job_id, lambda job: "statusReason" in job)
    assert job["statusReason"].startswith("CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - ")
    client.batch.cancel_job(jobId=job_id, reason="enough")
    job = client.end(job_id)
    assert (job["statusReason"], job["isCancelled"], job["attempts"]) == ("enough", True, [])
    assert "exitCode" not in job["container"]


def test_capacity_that_comes_later(client, rule):
    rule(jobs={"name": "patient"}, action="stuck", after=0.1)
    assert client.end(client.submit("patient", ["true"]))["status"] == "SUCCEEDED"


def test_more_than_there_is(client):
    job_id = client.submit("large", ["true"], queue="small", containerOverrides={"resourceRequirements": requirements("2", "256")})
    job = client.until(job_id, lambda job: "statusReason" in job)
    assert job["status"] == "RUNNABLE" and job["statusReason"].startswith("MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - ")
    client.batch.terminate_job(jobId=job_id, reason="never")
    assert client.end(job_id)["statusReason"] == "never"


def test_one_after_the_other(client):
    """An environment of one vCPU."""
    first = client.submit("first", ["sleep", "0.3"], queue="small")
    client.status(first, "RUNNING")
    second = client.submit("second", ["true"], queue="small")
    assert client.end(second)["startedAt"] >= client.job(first)["stoppedAt"] - 1


@pytest.mark.parametrize(("queue", "definition", "words"), [("spot", "plain", "Host EC2 (instance i-"), ("fargate-spot", "on-fargate", "Your Spot Task was interrupted.")])
def test_spot_reclaim(client, peer, queue, definition, words):
    job_id = client.submit("reclaimed", SLEEP, definition, queue)
    client.listening(job_id)
    peer.tell("POST", "/job", {"jobId": job_id, "action": "reclaim"})
    job = client.end(job_id)
    assert job["status"] == "FAILED" and job["statusReason"].startswith(words)
    assert ("exitCode" in job["container"]) == (queue == "fargate-spot")


def test_accidents_now(client, peer):
    job_id = client.submit("unlucky", SLEEP)
    client.status(job_id, "RUNNING")
    peer.tell("POST", "/job", {"jobId": job_id, "action": "oom"})
    job = client.end(job_id)
    assert job["container"]["exitCode"] == 137 and job["container"]["reason"].startswith("OutOfMemoryError")
    assert all(each["status"] in ("SUCCEEDED", "FAILED") for each in peer.tell("GET", "/jobs")["jobs"])


def test_missing_log_streams(client, rule):
    rule(jobs={"name": "mute"}, action="no-log")
    job = client.end(client.submit("mute", ["echo", "hello"]))
    assert job["status"] == "SUCCEEDED" and "logStreamName" not in job["container"]
    silent = client.end(client.submit("silent", ["true"]))
    with pytest.raises(client.logs.exceptions.ResourceNotFoundException):
        client.log(silent)


def test_log_groups_of_ones_own(client):
    client.define("elsewhere", container={"logConfiguration": {"logDriver": "awslogs", "options": {"awslogs-group": "mine", "awslogs-stream-prefix": "p"}}})
    job = client.end(client.submit("elsewhere", ["echo", "hello"], "elsewhere"))
    assert job["container"]["logStreamName"].startswith("p/default/")
    assert client.stream(job["container"]["logStreamName"], group="mine") == ["hello"]


def test_attempts_of_batch_itself(client):
    strategy = {"attempts": 3, "evaluateOnExit": [{"onExitCode": "4", "action": "EXIT"}, {"onReason": "*", "action": "RETRY"}]}
    command = ["sh", "-c", "echo try $AWS_BATCH_JOB_ATTEMPT; exit $((AWS_BATCH_JOB_ATTEMPT + 2))"]
    job = client.end(client.submit("tries", command, retryStrategy=strategy))
    assert [attempt["container"]["exitCode"] for attempt in job["attempts"]] == [3, 4]
    assert client.log(job) == ["try 2"]


def test_time_that_is_up(client):
    """The shortest timeout is a minute: what happens at its end is what happens at any other."""
    job_id = client.submit("timed", ["true"], timeout={"attemptDurationSeconds": 60})
    assert client.end(job_id)["timeout"] == {"attemptDurationSeconds": 60}


def test_arrays(client):
    command = ["sh", "-c", "echo $AWS_BATCH_JOB_ID $AWS_BATCH_JOB_ARRAY_INDEX; [ $AWS_BATCH_JOB_ARRAY_INDEX != 1 ]"]
    parent = client.submit("many", command, arrayProperties={"size": 3})
    client.until(parent, lambda job: job["status"] != "SUBMITTED")
    job = client.end(parent)
    assert job["status"] == "FAILED" and job["arrayProperties"] == {
        "size": 3,
        "statusSummary": {"SUBMITTED": 0, "PENDING": 0, "RUNNABLE": 0, "STARTING": 0, "RUNNING": 0, "SUCCEEDED": 2, "FAILED": 1},
    }
    assert "container" not in job
    failed = client.batch.list_jobs(arrayJobId=parent, jobStatus="FAILED")["jobSummaryList"]
    assert [(child["jobId"], child["arrayProperties"], child["container"]["exitCode"]) for child in failed] == [(f"{parent}:1", {"index": 1}, 1)]
    assert client.log(client.job(f"{parent}:2")) == [f"{parent}:2 2"]


def test_a_parent_waits_and_is_terminated_whole(client):
    parent = client.submit("crowd", SLEEP, arrayProperties={"size": 2})
    for i in range(2):
        client.listening(f"{parent}:{i}")
    assert client.job(parent)["status"] == "PENDING"
    client.batch.terminate_job(jobId=parent, reason="all of you")
    assert client.end(parent)["status"] == "FAILED"
    assert {client.job(f"{parent}:{i}")["statusReason"] for i in range(2)} == {"all of you"}


def test_dependencies(client):
    first = client.submit("before", ["false"])
    second = client.submit("after", ["true"], dependsOn=[{"jobId": first}])
    job = client.end(second)
    assert (job["status"], job["statusReason"]) == ("FAILED", "Dependent Job failed")
    pairs = client.submit("left", ["true"], "quick", arrayProperties={"size": 2})
    other = client.submit("right", ["true"], "quick", arrayProperties={"size": 2}, dependsOn=[{"jobId": pairs, "type": "N_TO_N"}, {"type": "SEQUENTIAL"}])
    assert client.end(other)["status"] == "SUCCEEDED"
    assert client.job(f"{other}:1")["startedAt"] >= client.job(f"{other}:0")["stoppedAt"]


def test_volumes(client):
    volumes = {"volumes": [{"name": "data", "host": {"sourcePath": "/data"}}, {"name": "efs", "efsVolumeConfiguration": {"fileSystemId": "fs-1"}}],
               "mountPoints": [{"sourceVolume": "data", "containerPath": "/mnt/data", "readOnly": False}, {"sourceVolume": "efs", "containerPath": "/mnt/efs"}],
               "linuxParameters": {"tmpfs": [{"containerPath": "/memory", "size": 16}]}}  # fmt: skip
    client.define("with-volumes", container=volumes)
    first = client.end(client.submit("writes", ["sh", "-c", "for d in /mnt/data /mnt/efs /memory; do echo in $d > $d/x || exit 1; done"], "with-volumes"))
    assert first["status"] == "SUCCEEDED", first
    second = client.end(client.submit("reads", ["cat", "/mnt/data/x", "/mnt/efs/x"], "with-volumes"))
    assert client.log(second) == ["in /mnt/data", "in /mnt/efs"]


def test_a_thousand_simulated_jobs(client, peer):
    parent = client.submit("load", ["true"], "quick", arrayProperties={"size": 1000})
    assert client.end(parent, 60)["arrayProperties"]["statusSummary"]["SUCCEEDED"] == 1000
