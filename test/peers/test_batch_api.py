"""The Batch peer refuses what AWS refuses, and answers as its published model says. By the official client."""

import pytest
from botocore.exceptions import ClientError

from .batch_client import Client, Peer, requirements

FARGATE = {"platformCapabilities": ["FARGATE"]}


@pytest.fixture(scope="module")
def peer(tmp_path_factory):
    scenario = {
        "environments": {"ec2": {"type": "EC2"}, "fargate": {"type": "FARGATE"}, "eks": {"type": "EC2", "orchestration": "EKS"}},
        "queues": {
            "ec2": {"environments": ["ec2"]},
            "fargate": {"environments": ["fargate"]},
            "closed": {"environments": ["ec2"], "state": "DISABLED"},
        },
        "images": [{"image": "quick*", "root": "simulated"}],
        "simulation": {"seconds": 0.01},
        "quotas": {"DescribeComputeEnvironments": 2},
        "pageSize": 3,
        "logPageSize": 2,
    }
    with Peer(tmp_path_factory.mktemp("batch"), scenario) as peer:
        yield peer
        assert peer.errors() == ""


@pytest.fixture(scope="module")
def client(peer):
    client = Client(peer)
    client.define("plain")
    client.define("quick", image="quick")
    return client


def refusal(call):
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response
    return error["ResponseMetadata"]["HTTPStatusCode"], error["Error"]["Code"], error["Error"]["Message"]


# Who asks.


def test_signatures(peer):
    access, secret = peer.keys
    assert refusal(lambda: Client(peer, access, "wrong").batch.list_jobs(jobQueue="ec2"))[:2] == (403, "InvalidSignatureException")
    assert refusal(lambda: Client(peer, "AKIANOBODY", secret).batch.list_jobs(jobQueue="ec2"))[:2] == (403, "UnrecognizedClientException")
    assert refusal(lambda: Client(peer, region="eu-west-1").batch.list_jobs(jobQueue="ec2"))[:2] == (403, "InvalidSignatureException")
    status, headers, body = peer.request("POST", "/v1/listjobs", {}, {"Content-Type": "application/json"})
    assert (status, headers["x-amzn-errortype"]) == (403, "MissingAuthenticationTokenException") and b"message" in body


def test_keys_that_end(peer):
    key = peer.tell("POST", "/keys", {"seconds": 3600})
    client = Client(peer, **key)
    assert client.batch.list_jobs(jobQueue="ec2")["jobSummaryList"] == []
    assert refusal(lambda: Client(peer, key["access"], key["secret"]).batch.list_jobs(jobQueue="ec2"))[1] == "UnrecognizedClientException"
    peer.tell("DELETE", f"/keys?access={key['access']}")
    assert refusal(lambda: client.batch.list_jobs(jobQueue="ec2"))[:2] == (403, "ExpiredTokenException")


def test_permissions(peer):
    key = peer.tell("POST", "/keys", {"actions": ["batch:List*"]})
    client = Client(peer, key["access"], key["secret"])
    client.batch.list_jobs(jobQueue="ec2")
    status, code, message = refusal(lambda: client.submit("x", ["true"]))
    assert (status, code) == (403, "AccessDeniedException") and "batch:SubmitJob" in message
    assert refusal(lambda: client.stream("s"))[1] == "AccessDeniedException"
    assert peer.tell("GET", f"/used?access={key['access']}") == {"used": ["batch:ListJobs"]}


# What requests have to be.


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"jobName": "a.b"}, "Job Name should match valid pattern"),
        ({"jobName": "-a"}, "Job Name should match valid pattern"),
        ({"jobName": "a" * 129}, "Job Name should match valid pattern"),
        ({"jobName": 7}, "jobName has to be of type string"),
        ({"jobName": None}, "jobName is missing"),
        ({"jobQueue": "nowhere"}, "JobQueue nowhere not found."),
        ({"jobQueue": "closed"}, "it takes no jobs"),
        ({"jobDefinition": "nothing"}, "JobDefinition not found: nothing"),
        ({"jobQueue": "fargate"}, "has machines of type FARGATE"),
        ({"arrayProperties": {"size": 1}}, "Array size must be between 2 and 10000"),
        ({"arrayProperties": {"size": 10001}}, "Array size must be between 2 and 10000"),
        ({"timeout": {"attemptDurationSeconds": 59}}, "must be at least 60"),
        ({"retryStrategy": {"attempts": 11}}, "attempts has to be from 1 to 10"),
        ({"dependsOn": [{"jobId": "absent"}]}, "Job not found: absent"),
        ({"containerOverrides": {"environment": [{"name": "AWS_BATCH_X", "value": "1"}]}}, "can't start with AWS_BATCH"),
        ({"containerOverrides": {"command": ["x" * 8192]}}, "Container Overrides length must be at most 8192"),
        ({"containerOverrides": {"resourceRequirements": [{"type": "CPU", "value": "1"}]}}, "has to be one of"),
        ({"containerOverrides": {"resourceRequirements": [{"type": "MEMORY", "value": "256.5"}]}}, "has to be a whole number"),
        ({"containerOverrides": {"resourceRequirements": [{"type": "VCPU", "value": "0.5"}]}}, "VCPU has to be a whole number from 1 on EC2"),
        ({"containerOverrides": {"resourceRequirements": [{"type": "MEMORY", "value": "3"}]}}, "Memory must be at least 4 MiB"),
        ({"parameters": {"a": "x" * 31000}}, "may have 30720"),
    ],
)
def test_submissions_that_are_refused(client, peer, change, words):
    request = {"jobName": "x", "jobQueue": "ec2", "jobDefinition": "plain", **change}
    request = {name: value for name, value in request.items() if value is not None}
    assert words in refusal(lambda: client.batch.submit_job(**request))[2]


def test_unknown_members(client, peer):
    """AWS ignores them; a misspelled name is worth a word."""
    import botocore.auth
    import botocore.awsrequest
    import botocore.credentials

    body = b'{"jobName":"x","jobQueue":"ec2","jobDefinition":"plain","shares":1}'
    request = botocore.awsrequest.AWSRequest("POST", peer.url + "/v1/submitjob", {"Content-Type": "application/json"}, body)
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(*peer.keys), "batch", "us-east-1").add_auth(request)
    status, _, answer = peer.request("POST", "/v1/submitjob", body, dict(request.headers))
    assert status == 400 and b"shares is no member of SubmitJobRequest" in answer


@pytest.mark.parametrize(
    ("container", "more", "words"),
    [
        ({"image": ""}, {}, "image is missing"),
        ({"resourceRequirements": [{"type": "VCPU", "value": "1"}]}, {}, "MEMORY is missing"),
        ({"mountPoints": [{"sourceVolume": "v", "containerPath": "/v"}]}, {}, "Unknown volume 'v'."),
        ({"ephemeralStorage": {"sizeInGiB": 30}}, {}, "only applicable for Fargate"),
        ({}, FARGATE, "EXECUTION_ROLE is required"),
        ({"executionRoleArn": "r", "resourceRequirements": requirements("1", "60000")}, FARGATE, "Fargate resource requirements (1.00 vCPU, 60000 MiB) not valid."),
        ({"executionRoleArn": "r", "resourceRequirements": requirements("0.25", "512"), "privileged": True}, FARGATE, "privileged is not applicable"),
        ({"executionRoleArn": "r", "resourceRequirements": requirements("0.25", "512"), "linuxParameters": {"sharedMemorySize": 1}}, FARGATE, "not applicable"),
        ({"logConfiguration": {"logDriver": "print"}}, {}, "has to be one of"),
    ],
)
def test_definitions_that_are_refused(client, container, more, words):
    assert words in refusal(lambda: client.define("bad", container=container, **more))[2]


def test_sizes_of_fargate(client):
    def good(cpu, memory):
        properties = {"executionRoleArn": "r", "resourceRequirements": requirements(cpu, memory), "ephemeralStorage": {"sizeInGiB": 21}}
        return client.define("sized", container=properties, **FARGATE)

    for cpu, memory in (("0.25", "512"), ("0.5", "3072"), ("1", "8192"), ("4", "30720"), ("16", "122880"), ("32", "249856")):
        assert good(cpu, memory)
    for cpu, memory in (("0.25", "4096"), ("3", "8192"), ("8", "17408"), ("16", "36864")):
        assert "not valid" in refusal(lambda c=cpu, m=memory: good(c, m))[2]


# Definitions and queues.


def test_revisions(client):
    first, second = client.define("twice"), client.define("twice")
    assert (first.rpartition(":")[2], second.rpartition(":")[2]) == ("1", "2")
    client.batch.deregister_job_definition(jobDefinition=second)
    found = client.batch.describe_job_definitions(jobDefinitionName="twice", status="ACTIVE")["jobDefinitions"]
    assert [definition["jobDefinitionArn"] for definition in found] == [first]
    assert found[0]["containerProperties"]["command"] == ["true"] and found[0]["revision"] == 1
    assert client.end(client.submit("on-first", ["true"], "twice"))["jobDefinition"] == first


def test_queues(client):
    queue = client.batch.describe_job_queues(jobQueues=["fargate"])["jobQueues"][0]
    assert (queue["state"], queue["status"]) == ("ENABLED", "VALID")
    environment = queue["computeEnvironmentOrder"][0]["computeEnvironment"]
    found = client.batch.describe_compute_environments(computeEnvironments=[environment])["computeEnvironments"][0]
    assert found["computeResources"]["type"] == "FARGATE" and found["containerOrchestrationType"] == "ECS"
    assert client.batch.describe_job_queues(jobQueues=["nowhere"])["jobQueues"] == []


# Jobs that are asked for.


def test_listing(client):
    ids = {client.submit(f"listed-{i}", ["true"], "quick") for i in range(4)}
    other = client.submit("Listed-0-not", ["true"], "quick")
    for job_id in ids | {other}:
        client.end(job_id)

    def by_name(value):
        pages = client.batch.get_paginator("list_jobs").paginate(jobQueue="ec2", filters=[{"name": "JOB_NAME", "values": [value]}])
        return [job["jobId"] for page in pages for job in page["jobSummaryList"]]

    assert set(by_name("LISTED-*")) == ids | {other} and len(by_name("LISTED-*")) == 5
    assert len(by_name("listed-0")) == 1
    assert client.batch.list_jobs(jobQueue="ec2")["jobSummaryList"] == []  # those that run
    succeeded = client.batch.list_jobs(jobQueue="ec2", jobStatus="SUCCEEDED", maxResults=2)
    assert len(succeeded["jobSummaryList"]) == 2 and succeeded["nextToken"]
    assert "Exactly one of" in refusal(lambda: client.batch.list_jobs())[2]


def test_describing(client, peer):
    job_id = client.submit("described", ["true"], "quick")
    client.end(job_id)
    assert [job["jobId"] for job in client.batch.describe_jobs(jobs=["nobody", job_id, "nobody:1"])["jobs"]] == [job_id]
    assert "at most 100 ids" in refusal(lambda: client.batch.describe_jobs(jobs=[job_id] * 101))[2]
    peer.tell("DELETE", f"/jobs?id={job_id}")
    assert client.batch.describe_jobs(jobs=[job_id])["jobs"] == []


# What goes wrong.


def test_quotas(client):
    codes = []
    for _ in range(5):
        try:
            client.batch.describe_compute_environments()
        except ClientError as error:
            codes.append((error.response["ResponseMetadata"]["HTTPStatusCode"], error.response["Error"]["Code"]))
    assert codes and set(codes) == {(429, "TooManyRequestsException")}


def test_refusals_and_lost_answers(client, rule, peer):
    rule(operation="SubmitJob", action="status", code=500, type="ServerException", nth=1)
    assert refusal(lambda: client.submit("told", ["true"], "quick"))[:2] == (500, "ServerException")
    rule(operation="SubmitJob", action="lose", nth=1)
    with pytest.raises(Exception, match="onnection"):
        client.submit("lost", ["true"], "quick")
    listed = client.batch.list_jobs(jobQueue="ec2", filters=[{"name": "JOB_NAME", "values": ["lost"]}])
    assert len(listed["jobSummaryList"]) == 1
    rule(operation="SubmitJob", action="drop", nth=1)
    with pytest.raises(Exception, match="onnection"):
        client.submit("dropped", ["true"], "quick")
    assert client.batch.list_jobs(jobQueue="ec2", filters=[{"name": "JOB_NAME", "values": ["dropped"]}])["jobSummaryList"] == []
    assert peer.request("POST", "/_test/rules", {"action": "explode"})[0] == 400


# Logs.


def test_pages_of_logs(client):
    job_id = client.submit("talks", ["sh", "-c", "for i in 1 2 3 4 5; do echo line $i; done; echo >&2 wrong; printf end"])
    job = client.end(job_id)
    assert job["status"] == "SUCCEEDED", job
    lines = client.log(job)
    assert sorted(lines) == ["end", "line 1", "line 2", "line 3", "line 4", "line 5", "wrong"]
    name = job["container"]["logStreamName"]
    first = client.logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=name, startFromHead=True, limit=1)
    assert len(first["events"]) == 1
    last = client.logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=name)
    assert len(last["events"]) == 2
    before = client.logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=name, nextToken=last["nextBackwardToken"])
    assert len(before["events"]) == 2 and before["events"] != last["events"]
    assert refusal(lambda: client.stream("nobody"))[1] == "ResourceNotFoundException"
    assert refusal(lambda: client.stream(name, group="nobody"))[1] == "ResourceNotFoundException"
    assert refusal(lambda: client.logs.get_log_events(logGroupName="/aws/batch/job", logStreamName=name, nextToken="f/9"))[1] == "InvalidParameterException"
