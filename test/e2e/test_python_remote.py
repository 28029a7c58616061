"""Flows in Python whose steps are executed elsewhere: the package has the flow's directory, and the engine."""

import io
import os
import re
import shutil
import sys
import tarfile

import pytest

from conftest import SANITIZED
from kubernetes_runs import MISSING, make  # noqa: F401
from python_cli import FLOWS, PythonCli, smaller

from peers.containers import python  # isort: skip

pytestmark = [
    pytest.mark.skipif(MISSING is not None, reason=f"KUBERNETES IS NOT TESTED: it needs {MISSING}"),
    pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not"),
]
IMAGE = f"python:{sys.version_info.major}.{sys.version_info.minor}-slim"


class Away:
    """Runs flows in Python before a cluster."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.py = PythonCli(cluster.cli)
        self.directory = cluster.cli.directory / "flows"
        shutil.copytree(FLOWS / "away", self.directory)

    def run(self, *arguments, top=(), **more):
        return self.py(self.directory / "away.py", *top, "run", "--run-id-file", self.cluster.cli.directory / "id", *arguments, **more)

    def read(self):
        return self.cluster.read("Away")


@pytest.fixture
def away(make):  # noqa: F811
    return Away(make())


def test_a_foreach_on_the_cluster(away):
    (away.directory / "data").mkdir()
    (away.directory / "data" / "words.txt").write_text("some words")
    top = ("--package-suffixes", ".txt", "--config-value", "settings", '{"colour": "blue"}')
    result = away.run("--with", "kubernetes:cpu=0.2,memory=200", top=top)
    assert result.status == 0, result
    run = away.read()
    end = run["tasks"]["end"][0]
    assert end["data"]["squares"] == [[0, 490], [10, 490], [40, 490]] and end["data"]["places"] == ["pod"] * 3
    assert end["data"]["colours"] == [["blue", "blue"]] * 3, "the configs are in the package"
    assert end["data"]["words"] == ["some words"] * 3 and end["data"]["beside"]
    assert end["out"] == "ended with [[0, 490], [10, 490], [40, 490]]\n"
    assert "KeyError" in run["tasks"]["failing"][0]["data"]["caught"]
    attempts = [task["attempts"] for task in run["tasks"]["work"]]
    assert sorted(attempts, key=str) == ["1", None, None]
    assert all(task["code"] for task in run["tasks"]["work"])
    images = {job["spec"]["template"]["spec"]["containers"][0]["image"] for job in away.cluster.jobs()}
    assert images == {IMAGE}
    away.cluster.nothing_is_left()
    away.cluster.no_complaints()


def test_some_steps_elsewhere_and_resume(away):
    """Steps here and in pods share values of classes of the flow's file."""
    result = away.run("--with", "kubernetes:cpu=0.2,memory=200", top=("--package-suffixes", ".txt"))
    assert result.status == 0, result
    origin = away.cluster.run_id
    result = away.py(away.directory / "away.py", "resume", "join", "--run-id-file", away.cluster.cli.directory / "id")
    assert result.status == 0, result
    end = away.read()["tasks"]["end"][0]["data"]
    assert end["squares"] == [[0, 490], [10, 490], [40, 490]] and end["places"] == ["pod"] * 3 and away.cluster.run_id != origin


def test_unchanged_flow(away):
    """One that imports metaflow, with one step in a pod."""
    path = away.directory / "away.py"
    text = path.read_text().replace("from metaflow_cpp import ", "from metaflow import kubernetes, ")
    path.write_text(text.replace("    @retry(", "    @kubernetes(cpu=0.3)\n    @retry("))
    result = away.py.unchanged(path, "run", "--run-id-file", away.cluster.cli.directory / "id")
    assert result.status == 0, result
    tasks = away.read()["tasks"]
    assert tasks["end"][0]["data"]["places"] == ["pod"] * 3 and tasks["start"][0]["data"].get("place") is None
    assert len(away.cluster.jobs()) == 4, "three items, one of them twice"
    away.cluster.no_complaints()


@pytest.mark.parametrize("image", ["debian:bookworm-slim", "alpine:3"])
def test_image_without_python(away, image):
    result = away.run("--with", f"kubernetes:image={image}")
    assert result.status == 1
    assert re.search(r"The flow could not be started in its container \(exit code 96\): There is no python3 in PATH. A flow in Python needs an image "
                     r"with Python 3.9 or newer", result.out), result  # fmt: skip
    away.cluster.nothing_is_left()


def test_package(away):
    """What goes to other hosts: by suffix, without what is hidden, without virtual environments; links are followed."""
    for name in (".secret.py", ".hidden/x.py", "venv/pyvenv.cfg", "venv/lib/x.py", "data/words.txt", "data/UPPER.PY", "notes.md", "model.RDS"):
        (away.directory / name).parent.mkdir(parents=True, exist_ok=True)
        (away.directory / name).write_text(name)
    (away.directory / "helpers" / "again").symlink_to(away.directory)  # a loop
    outside = away.cluster.cli.directory / "outside.py"
    outside.write_text("outside")
    (away.directory / "linked.py").symlink_to(outside)
    (away.directory / "dangling.py").symlink_to(away.directory / "nothing")
    listed = away.py(away.directory / "away.py", "--quiet", "package", "list")
    names = re.findall(r"  (code/\S+)", listed.out)
    assert set(names) == {f"code/{name}" for name in ("away.py", "helpers/maths.py", "data/UPPER.PY", "model.RDS", "linked.py")}, listed
    assert re.search(r"  python/metaflow_cpp/flowspec.py +/", listed.out) and re.search(r"  lib/libmetaflow_task.so +/", listed.out)
    listed = away.py(away.directory / "away.py", "--quiet", "--package-suffixes", ".txt,.md", "package", "list")
    assert re.search("  code/data/words.txt .*\n(.*\n)*.*  code/notes.md ", listed.out)
    saved = away.py(away.directory / "away.py", "--quiet", "package", "save", "one.tgz")
    again = away.py(away.directory / "away.py", "--quiet", "package", "save", "two.tgz")
    assert saved.status == 0 and saved.out.split()[0] == again.out.split()[0], "the same files, the same package"


@pytest.mark.parametrize("listing", ["bigsum", "bigsum_parallel"])
def test_the_listings(make, listing, tmp_path):  # noqa: F811
    """In an image that has an interpreter and numpy, and no library of the engine."""
    tree = tmp_path / "image"
    tree.mkdir()
    with tarfile.open(fileobj=io.BytesIO(python.archive(os.environ["PATH"] + ":/usr/sbin:/sbin", ["numpy"]))) as tar:
        tar.extractall(tree)
    away = Away(make(images=[{"image": IMAGE, "root": str(tree)}]))
    variables = 'environment:vars={"PYTHONPATH": "/packages"}'
    id_file = away.cluster.cli.directory / "id"
    result = away.py.unchanged(smaller(listing, away.cluster.cli), "run", "--run-id-file", id_file, "--with", "kubernetes", "--with", variables)
    assert result.status == 0 and re.search(r"The sum is [78]\d{6}\.", result.out), result
    assert abs(away.cluster.read("BigSum")["tasks"]["start"][0]["data"]["sum"] - 8e6) < 1e4
    away.cluster.no_complaints()


def test_store_of_this_host(py):  # noqa: F811
    result = py(FLOWS / "away" / "away.py", "run", "--with", "kubernetes")
    assert result.status == 1 and "requires --datastore=s3" in result.err
