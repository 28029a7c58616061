"""Flows on a cluster: an API server that validates what it is sent and executes pods, S3 by moto, and the rights of the documented role alone."""

import json
import re

import pytest

import s3
from conftest import BUILD
from remote import check_backend
from kubernetes_runs import MISSING, Cluster, make  # noqa: F401

pytestmark = pytest.mark.skipif(MISSING is not None, reason=f"KUBERNETES IS NOT TESTED: it needs {MISSING}")


def test_one_step_on_the_cluster_the_others_here(make):
    cluster = make()
    result = cluster.run("placed", "--n", "5", "--max-workers", "3")
    assert result.status == 0, result
    run = cluster.read("Placed")
    assert run["ok"]
    join = run["tasks"]["join"][0]["data"]
    assert join["squares"] == [0, 1, 4, 9, 16] and join["places"] == ["pod"] * 5 and join["place"] == "here"
    assert run["tasks"]["start"][0]["data"]["place"] == "here"
    for task in run["tasks"]["work"]:
        assert re.fullmatch(r"working on \d\n", task["out"]) and task["err"] == "attempt 0\n", "the log is stored, and once"
        assert task["code"] and task["data"]["cpus"] == 1
    for item in range(5):
        assert len(re.findall(rf"/work/\d+ \(job mf-placed-work-[0-9a-f]+\)\] working on {item}\n", result.out)) == 1, result
    counts = cluster.peer.counts()
    assert counts["create jobs"] == 5 and counts["create secrets"] == 1 and counts["watch pods"] == 1, counts
    assert counts.get("get pods/log", 0) <= 5
    cluster.nothing_is_left()
    cluster.no_complaints()


@pytest.mark.parametrize("fetcher", ["curlimages/curl:8.10.1", "none"])
def test_texts_reach_the_pod_as_they_are(make, fetcher):
    """Kubernetes replaces $(NAME) and $$ in what a pod is to execute and to have as variables."""
    cluster = make()
    texts = ["pa$$word$(USER)", "$(AWS_SECRET_ACCESS_KEY)", "a$$b$", "$5 $é $(", "'\"\\ \n$$$(HOME)"]
    tags = [word for text in texts for word in ("--tag", text)]
    variables = "environment:vars=" + json.dumps({"COLOUR": texts[0], "SHAPE": texts[-1]})
    setting = {"METAFLOW_KUBERNETES_FETCH_IMAGE": fetcher, "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "python:3.12"}
    result = cluster.run("surroundings", "--with", "kubernetes:cpu=0.1,memory=64", "--with", variables, "--namespace", texts[2], *tags, env=setting)
    assert result.status == 0, result
    for tasks in cluster.read("Surroundings")["tasks"].values():
        for task in tasks:
            if "variables" not in task["data"]:
                continue  # _parameters
            assert task["data"]["tags"] == texts and task["data"]["name_space"] == texts[2]
            assert task["data"]["variables"]["SHAPE"] in (texts[-1], ""), "one step has variables of its own"
    assert cluster.read("Surroundings")["tasks"]["start"][0]["data"]["variables"]["COLOUR"] == texts[0]
    cluster.no_complaints()


def test_all_steps_by_an_option(make):
    cluster = make()
    result = cluster.run("bigsum", "--with", "kubernetes:cpu=0.5,memory=200,disk=100", "--tag", "big")
    assert result.status == 0, result
    assert "The sum is " in result.out and result.out.endswith("Done!\n")
    run = cluster.read("BigSum")
    assert run["ok"] and run["tasks"]["end"][0]["out"].startswith("The sum is ")
    requests = [job["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"] for job in cluster.jobs()]
    assert sorted(request["cpu"] for request in requests) == ["0.5", "8"], "`resources` of start, and what the option says"
    cluster.no_complaints()


# Others are what the tests around this one execute in.
@pytest.mark.parametrize("image", ["alpine:3", "gcr.io/distroless/static"])
def test_images(make, image):
    cluster = make()
    result = cluster.run("placed", env={"METAFLOW_KUBERNETES_CONTAINER_IMAGE": image})
    assert result.status == 0, result
    cluster.no_complaints()


@pytest.mark.parametrize("image", ["debian:bookworm-slim", "alpine:3"])
def test_the_image_fetches_the_package(make, image):
    cluster = make()
    result = cluster.run("placed", "--n", "1", env={"METAFLOW_KUBERNETES_CONTAINER_IMAGE": image, "METAFLOW_KUBERNETES_FETCH_IMAGE": "none"})
    assert result.status == 0, result
    assert "initContainers" not in cluster.jobs()[0]["spec"]["template"]["spec"]


def test_the_flow_is_in_the_image(make, cli):
    directory = cli.path("placed").parent
    cluster = make(images=[{"image": "mine*", "root": {"root": "debian-full", "mounts": {"/opt/flow": str(directory)}}}])
    settings = {"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "mine:1", "METAFLOW_KUBERNETES_FLOW_IN_IMAGE": "/opt/flow/placed_flow"}
    result = cluster.run("placed", "--n", "1", env=settings)
    assert result.status == 0, result
    assert "create secrets" not in cluster.peer.counts()


def test_its_backend_does_what_every_backend_does(make):
    programs = str(BUILD / "programs")
    greedy = {"pods": {"name": "mf-scripted-greedy-.*"}, "action": "oom"}
    cluster = make(greedy, images=[{"image": "mine*", "root": {"root": "debian-full", "mounts": {"/opt/flow": programs}}}])
    settings = {"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "mine:1", "METAFLOW_KUBERNETES_FLOW_IN_IMAGE": "/opt/flow/scripted_task"}
    settings |= {"METAFLOW_KUBERNETES_CPU": "0.1", "METAFLOW_KUBERNETES_MEMORY": "256", "METAFLOW_KUBERNETES_DISK": "100"}
    check_backend("kubernetes", {**cluster.cli.environment, **settings})
    cluster.nothing_is_left()
    cluster.no_complaints()


def test_an_image_that_cannot_fetch(make):
    cluster = make()
    env = {"METAFLOW_KUBERNETES_CONTAINER_IMAGE": "simulated-never", "METAFLOW_KUBERNETES_FETCH_IMAGE": "none"}
    env["METAFLOW_KUBERNETES_CONTAINER_IMAGE"] = "gcr.io/distroless/static"
    result = cluster.run("placed", "--n", "1", "--with", "retry:times=3,minutes_between_retries=0", env=env)
    assert result.status == 1 and "could not be started" in result.out, result
    assert cluster.peer.counts()["create jobs"] == 1, "another attempt cannot help"


# --- before anything starts


def test_without_a_remote_store(make, cli):
    make()
    result = cli("placed", "run", env={"METAFLOW_DEFAULT_DATASTORE": "local"})
    assert result.status == 1 and "requires --datastore=s3" in result.err and "METAFLOW_DATASTORE_SYSROOT_S3" in result.err, result
    assert not list(cli.directory.glob(".metaflow/Placed/*"))


def test_without_a_cluster(make, cli):
    cluster = make()
    result = cluster.run("placed", env={"KUBECONFIG": "/no/such/config"})
    assert result.status == 1 and "/no/such/config" in result.err, result
    assert not list(cli.directory.glob(".metaflow/Placed/*"))


def test_local_keeps_a_step_here(make):
    cluster = make()
    result = cluster.run("placed", "--with", "local")
    assert result.status == 0 and cluster.jobs() == [], result


def test_nothing_secret_is_told(make, cli):
    cluster = make()
    result = cluster.run("placed", "--n", "2", "--fail", "crash")
    assert result.status == 1
    texts = {"output": result.out + result.err, "jobs": json.dumps(cluster.jobs()), "pods": json.dumps(cluster.objects("pods")), "events": json.dumps(cluster.objects("events"))}
    for path in (cli.directory / ".metaflow").rglob("*"):
        if path.is_file():
            texts[str(path)] = path.read_text(errors="replace")
    for path in (cluster.peer.directory / "logs").rglob("*"):
        if path.is_file():
            texts[str(path)] = path.read_text(errors="replace")
    for where, text in texts.items():
        for secret in (s3.SECRET, "X-Amz-Signature", "X-Amz-Credential"):
            assert secret not in text, where


def test_many_inputs(make):
    """More than a command line should take: the list goes by the store."""
    cluster = make()
    here = cluster.run("wide", "--width", "120", "--max-num-splits", "120")
    assert here.status == 0, here
    options = ("--origin-run-id", cluster.run_id, "--run-id-file", "id", "--max-num-splits", "120", "--with", "kubernetes:cpu=0.1,memory=50,disk=50")
    result = cluster.cli("wide", "resume", "join", *options)
    assert result.status == 0 and "120 values" in result.out and result.out.endswith("Done!\n"), result
