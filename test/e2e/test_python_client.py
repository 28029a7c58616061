"""The client of the Python package reads what Metaflow's own client reads, object by object and attribute by attribute."""

import concurrent.futures
import hashlib
import importlib
import io
import json
import os
import pathlib
import pickle
import re
import sys
import tarfile

import pytest

from client_facts import differences
from conftest import BUILD, SANITIZED
from python_cli import HEAD, TAIL, PythonCli
from test_service import service  # noqa: F401

PACKAGE = str(pathlib.Path(__file__).resolve().parents[2] / "python")

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


@pytest.fixture
def py(cli):
    return PythonCli(cli)


@pytest.fixture
def ours(cli, client, monkeypatch):
    """The client of the Python package, looking at the store of this test."""
    monkeypatch.syspath_prepend(PACKAGE)
    monkeypatch.setenv("METAFLOW_ENGINE_DIRECTORY", str(BUILD / "python/metaflow_cpp/native"))
    package = importlib.import_module("metaflow_cpp")
    package.metadata(f"local@{cli.directory}")
    package.namespace(None)
    yield package
    package.default_metadata()
    package.default_namespace()


def the_run(cli):
    return (cli.directory / "id").read_text()


def test_runs_of_the_official_metaflow(cli, client, ours):
    for name, flow in (("maze", "Maze"), ("tries", "Tries"), ("talk", "Talk")):
        cli.python(name, "run", "--run-id-file", "id")
        (found,) = [each.id for each in client.Metaflow() if each.id.lower().startswith(name.replace("_", "")[:5])]
        assert not differences(client, ours, f"{found}/{the_run(cli)}")


def test_a_run_of_the_official_metaflow_that_failed_and_was_resumed(cli, client, ours):
    assert cli.python("broken", "run", "--run-id-file", "id", "--max-workers", "1").status == 1
    assert not differences(client, ours, f"Broken/{the_run(cli)}")
    cli.python("broken", "resume", "--run-id-file", "id")
    assert ours.Run(f"Broken/{the_run(cli)}").origin_pathspec is not None
    assert not differences(client, ours, f"Broken/{the_run(cli)}")


def test_runs_of_flows_in_python(py, client, ours):
    assert not differences(client, ours, f"Tour/{py.run('tour', '--tag', 'good')}")


@pytest.mark.parametrize("how", ["throw", "kill", "chain"])
def test_a_run_of_a_flow_in_python_that_failed_and_was_resumed(py, client, ours, how):
    assert py("trouble", "run", "--how", how, "--run-id-file", "id").status == 1
    assert not differences(client, ours, f"Trouble/{the_run(py.cli)}")
    assert py("trouble", "resume", "--run-id-file", "id", env={"WELL": "1"}).status == 0
    assert not differences(client, ours, f"Trouble/{the_run(py.cli)}")


@pytest.mark.parametrize("program", ["nested", "switch", "branches", "types"])
def test_runs_of_flows_in_cpp(cli, client, ours, program):
    run = cli.run(program)
    (flow,) = client.Metaflow()
    assert not differences(client, ours, f"{flow.id}/{run}")


def compare(cli, run):
    """In a process with the environment of the test."""
    done = cli.read(pathlib.Path(__file__).with_name("client_facts.py"), run)
    assert (done.status, done.out.strip()) == (0, "[]"), done


def test_a_run_of_the_metadata_service(py, service):
    py.cli.environment.update(service.environment)
    compare(py.cli, f"Tour/{py.run('tour', '--count', '1', '--tag', 'good')}")
    script = "import metaflow_cpp as m; r = m.Flow('Tour').latest_run; r.add_tag('more'); print(sorted(m.Run(r.pathspec).user_tags), m.Metaflow().flows)"
    assert py.cli.execute([sys.executable, "-c", script]).out == "['good', 'more'] [Flow('Tour')]\n"


def test_a_run_in_s3(py, service, moto):
    place = {"METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{py.cli.directory.name}", "METAFLOW_DEFAULT_DATASTORE": "s3"}
    py.cli.environment.update(service.environment | moto.environment | place)
    flow = py.write(HEAD + "        self.value = [1, 2]\n        print('begins')\n        self.next(self.end)\n" + TAIL)
    compare(py.cli, f"F1/{py.run(flow)}")  # a small one: the official client takes its time


# --- selection

def outcome(action, module):
    """What it gives, or the error."""
    try:
        found = action(module)
        return repr(found) if not hasattr(found, "__next__") else list(map(repr, found))
    except Exception as error:
        return type(error).__name__, str(error)


LOOKUPS = [
    lambda m: m.Flow("Nothing"),
    lambda m: m.Flow("Tour/1"),
    lambda m: m.Run("Tour"),
    lambda m: m.Run("Tour/1/2"),
    lambda m: m.Run("Tour/nonsense"),
    lambda m: m.Run("Nothing/1"),
    lambda m: m.Run("Tour/../x"),
    lambda m: m.Step("Tour/1"),
    lambda m: m.Step(RUN + "/nowhere"),
    lambda m: m.Task("x"),
    lambda m: m.Task(RUN + "/start/999"),
    lambda m: m.Task(RUN + "/start/1", attempt=0),
    lambda m: m.Task(RUN + "/start/1", attempt=-1),
    lambda m: m.Task(RUN + "/start/1", attempt=6),
    lambda m: m.Task(RUN + "/start/1", attempt="x"),
    lambda m: m.Run(RUN, attempt=1),
    lambda m: m.DataArtifact(RUN + "/start/1"),
    lambda m: m.DataArtifact(RUN + "/start/1/nothing"),
    lambda m: m.DataArtifact(RUN + "/start/1/items").data,
    lambda m: m.DataArtifact(RUN + "/start/1/items", attempt=0).parent,
    lambda m: m.DataArtifact(RUN + "/start/1/items").parent.parent.parent.parent,
    lambda m: m.Flow("Tour").parent,
    lambda m: m.Flow("Tour")["nonsense"],
    lambda m: m.Run(RUN)["nowhere"],
    lambda m: m.Run(RUN)["start"]["999"],
    lambda m: m.Task(RUN + "/start/1")["nothing"],
    lambda m: m.Task(RUN + "/start/1").data.nothing,
    lambda m: str(m.Metaflow()),
    lambda m: m.Metaflow()["Nothing"],
    lambda m: m.Metaflow()["Tour"].latest_run,
    lambda m: [flow.id for flow in m.Metaflow().flows],
    lambda m: [run.id for run in m.Flow("Tour")],
    lambda m: [run.id for run in m.Flow("Tour").runs("good")],
    lambda m: [run.id for run in m.Flow("Tour").runs("good", "none")],
    lambda m: m.Flow("Tour").latest_successful_run,
    lambda m: m.Flow("Tour").latest_run.pathspec,
    lambda m: m.Run(RUN).is_in_namespace(),
    lambda m: m.Flow("Tour").is_in_namespace(),
    lambda m: m.get_namespace(),
    lambda m: m.get_metadata(),
    lambda m: m.metadata("/nowhere"),
    lambda m: m.metadata("local@/nowhere"),
    lambda m: m.default_namespace(),
]
RUN = ""


def test_lookups_in_namespaces(py, client, ours):
    global RUN
    first = py.run("tour", "--tag", "good")
    py.run("tour", "--tag", "late", "--count", "1")
    RUN = f"Tour/{first}"
    for name in (None, "user:tester", "good", "late", "user:nobody"):
        for number, action in enumerate(LOOKUPS):
            client.namespace(name)
            ours.namespace(name)
            assert outcome(action, ours) == outcome(action, client), (name, number)


def test_errors_of_the_client(py, ours, client):
    from metaflow_cpp.exception import MetaflowNamespaceMismatch, MetaflowNotFound

    run = ours.Run(f"Tour/{py.run('tour', '--count', '1')}")
    ours.namespace("user:nobody")
    with pytest.raises(MetaflowNamespaceMismatch, match="Object not in namespace 'user:nobody'") as raised:
        ours.Run(run.pathspec)
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    assert not run.is_in_namespace() and run["start"].task.finished  # objects keep the namespace in which they were made
    with pytest.raises(MetaflowNotFound, match="Flow.'Nothing'. does not exist"):
        ours.Flow("Nothing")
    with pytest.raises(TypeError, match="DataArtifact"):
        iter(run["start"].task["items"])
    with pytest.raises(ValueError, match="'output' is not a log"):
        run["start"].task.loglines("output")


def test_a_value_that_is_missing(py, ours):
    from metaflow_cpp.exception import DataException

    artifact = ours.DataArtifact(f"Tour/{py.run('tour', '--count', '1')}/start/1/items")
    (blob,) = (py.cli.directory / ".metaflow/Tour/data").glob(f"*/{artifact.sha}")
    blob.unlink()
    with pytest.raises(DataException, match=artifact.sha):
        artifact.data  # noqa: B018


# --- tags

TAGS = [
    lambda run: run.add_tag("a"),
    lambda run: run.add_tag("a"),
    lambda run: run.add_tag(["b", "c"]),
    lambda run: run.add_tags({"d", "e"}),
    lambda run: run.add_tag("user:tester"),  # a system tag
    lambda run: run.remove_tag("a"),
    lambda run: run.remove_tag("none"),
    lambda run: run.remove_tags(["b", "none"]),
    lambda run: run.remove_tag("user:tester"),
    lambda run: run.replace_tag("c", "f"),
    lambda run: run.replace_tags(["d", "f"], ["f", "g"]),
    lambda run: run.replace_tags([], []),
    lambda run: run.add_tags("text"),
    lambda run: run.remove_tags("text"),
    lambda run: run.add_tags(7),
    lambda run: run.add_tag(""),
    lambda run: run.add_tag("x" * 501),
    lambda run: run.add_tag("\udc80"),
    lambda run: run.add_tag(b"\xff"),
    lambda run: run.add_tags([str(number) for number in range(60)]),
]


def test_tags(py, client, ours):
    theirs, mine = (module.Run(f"Tour/{py.run('tour', '--count', '1')}") for module in (client, ours))
    for number, action in enumerate(TAGS):
        assert outcome(action, mine) == outcome(action, theirs), number
        assert (mine.user_tags, mine.system_tags) == (theirs.user_tags, theirs.system_tags), number
        assert client.Run(mine.pathspec).tags == mine.tags == ours.Run(mine.pathspec)["start"].task.tags


# --- objects

def test_objects_are_pickled(py, client, ours):
    run = f"Tour/{py.run('tour', '--tag', 'good')}"
    task = ours.Task(f"{run}/work/2", attempt=0)
    ours.namespace("good")
    kept = [ours.Flow("Tour"), ours.Run(run), ours.Step(f"{run}/work"), task, ours.DataArtifact(f"{run}/start/1/items")]
    copies = pickle.loads(pickle.dumps(kept))
    ours.metadata(str(py.cli.directory))
    ours.namespace("user:nobody")  # they keep what they were made with
    assert list(map(repr, copies)) == list(map(repr, kept)) and copies[4].data == kept[4].data
    assert [run.id for run in copies[0]] == [run.id for run in kept[0]]


def test_an_object_as_an_artifact_of_the_official_metaflow(cli, client, ours):
    flow = cli.directory / "flow.py"
    body = "        self.made = Run(current.flow_name + '/' + current.run_id, _namespace_check=False)\n        self.next(self.end)"
    flow.write_text((HEAD + body + TAIL).replace("from metaflow_cpp import", "from metaflow import Run, current,"))
    assert cli.execute([sys.executable, flow, "run", "--run-id-file", "id"]).status == 0
    made = ours.Run(f"F1/{the_run(cli)}").data.made
    assert type(made) is ours.Run and repr(made) == f"Run('F1/{the_run(cli)}')"


def test_a_file_that_the_official_metaflow_includes(cli, client, ours):
    (cli.directory / "words.txt").write_bytes("größe\r\nline\n".encode())
    flow = cli.directory / "flow.py"
    fields = "    text = IncludeFile('text', default='words.txt')\n    raw = IncludeFile('raw', is_text=False, default='words.txt')\n    @step\n"
    text = (HEAD + "        self.next(self.end)" + TAIL).replace("from metaflow_cpp import", "from metaflow import IncludeFile,")
    flow.write_text(text.replace("    @step\n", fields, 1))
    assert cli.execute([sys.executable, flow, "run", "--run-id-file", "id"]).status == 0
    theirs, mine = (module.Run(f"F1/{the_run(cli)}").data for module in (client, ours))
    assert (mine.text, mine.raw) == (theirs.text, theirs.raw) == ("größe\nline\n", "größe\r\nline\n".encode())
    assert not differences(client, ours, f"F1/{the_run(cli)}")


def archive_of(members):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


@pytest.mark.parametrize("is_new", [False, True])
def test_a_code_package(py, client, ours, is_new):
    run = py.run("tour", "--count", "1")
    place = ".mf_meta/INFO" if is_new else "INFO"
    marker = {".mf_install": b'{"version": 1, "module_files": []}', ".mf_code/metaflow/x.py": b""} if is_new else {"metaflow/x.py": b""}
    info = json.dumps({"script": "flow.py", "environment_type": "local"}).encode()
    blob = archive_of({place: info, "flow.py": b"# the flow", "helpers/help.py": b"# help", **marker})
    key = hashlib.sha1(blob).hexdigest()
    path = py.cli.directory / f".metaflow/Tour/data/{key[:2]}/{key}"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(blob)
    facts = {"ds_type": "local", "sha": key, "location": str(path)}
    if is_new:
        facts["metadata"] = json.dumps({"version": 0, "archive_format": "tgz", "mfcontent_version": 1})
    row = {"field_name": "code-package", "type": "code-package", "value": json.dumps(facts), "tags": ["attempt_id:0"], "ts_epoch": 1}
    (py.cli.directory / f".metaflow/Tour/{run}/start/1/_meta/sysmeta_code-package_1.json").write_text(json.dumps(row))

    def code_facts(module):
        code = module.Run(f"Tour/{run}").code
        with code.extract() as directory:
            files = {str(file.relative_to(directory)) for file in pathlib.Path(directory).rglob("*")}
        return str(code), code.path, code.info, code.flowspec, code.script_name, sorted(code.tarball.getnames()), files

    # The official client remembers an archive's layout by the id() of an object that is gone: another archive may have the same.
    importlib.import_module("metaflow.packaging_sys").MetaflowCodeContent._cached_mfcontent_info.clear()
    (*theirs, their_files), (*mine, files) = code_facts(client), code_facts(ours)
    assert mine == theirs and files <= their_files  # theirs has files of Metaflow, too
    assert files == {"flow.py", "helpers", "helpers/help.py"}
    assert ours.Task(f"Tour/{run}/start/1").environment_info == "Local environment"


def test_a_code_package_with_a_file_outside(py, ours):
    from metaflow_cpp.client import MetaflowCode
    from metaflow_cpp.exception import MetaflowInternalError

    code = MetaflowCode.__new__(MetaflowCode)
    code._file, code._is_new = io.BytesIO(archive_of({"../outside": b""})), False
    with pytest.raises(MetaflowInternalError, match=r"outside of its directory: ../outside"):
        code.extract()


# --- what reading needs

def test_reading_needs_neither_metaflow_nor_the_flow(py):
    py.run("tour")
    script = (
        "import sys, metaflow_cpp as m; task = m.Flow('Tour').latest_run['work'].task\n"
        "print(task.index, task.data.product, [each.index for each in task['_foreach_stack'].data], [name for name in sys.modules if name == 'metaflow'])"
    )
    done = py.cli.execute([sys.executable, "-S", "-c", script])  # -S: no packages but the standard library
    assert done.out == "2 5.0 [2] []\n", done


def test_a_class_that_cannot_be_imported(py, ours):
    from metaflow_cpp.exception import DataException

    body = "        self.mine = Mine()\n        self.fine = 7\n        self.next(self.end)"
    py(py.write("class Mine:\n    pass\n" + HEAD + body + TAIL), "run", "--run-id-file", "id")
    data = ours.Run(f"F1/{the_run(py.cli)}")["start"].task.data
    assert data.fine == 7
    with pytest.raises(DataException, match="Artifact F1/.*/start/1/mine cannot be loaded: .*Mine.* Its class must be importable"):
        data.mine  # noqa: B018


def test_a_flow_does_not_import_the_client(py):
    body = "        import sys\n        print([name for name in sys.modules if name.startswith('metaflow_cpp.') and 'client' in name])\n        self.next(self.end)"
    result = py(py.write(HEAD + body + TAIL), "run")
    assert re.search(r"\] \[\]$", result.out, re.MULTILINE), result


def test_a_task_reads_other_runs(py, client):
    """In an unchanged file, `metaflow` has the client."""
    head = HEAD.replace("from metaflow_cpp import", "from metaflow import Flow, Run, Task, current, get_namespace, namespace,")
    body = (
        "        self.earlier = [run.id for run in Flow('F1')]\n        self.name_space = get_namespace()\n"
        "        self.me = Task(current.pathspec).created_at\n        self.next(self.end)"
    )
    flow = py.write(head + body + TAIL)
    for _ in range(2):
        assert py.unchanged(flow, "run", "--namespace", "user:tester", "--run-id-file", "id").status == 0
    run = client.Run(f"F1/{the_run(py.cli)}")
    assert len(run.data.earlier) == 2 and run.data.name_space == "user:tester" and run.data.me == run["start"].task.created_at


def test_names_that_are_not_here(ours):
    with pytest.raises(ImportError, match="deploy with the official metaflow"):
        from metaflow_cpp import Deployer  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'Nothing'"):
        from metaflow_cpp import Nothing  # noqa: F401


def test_processes_and_threads_read_at_once(py, ours):
    run = ours.Run(f"Tour/{py.run('tour', '--count', '8', '--max-num-splits', '8')}")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        values = list(pool.map(lambda task: task.data.product, list(run["work"])))
    assert sorted(values) == [2.5 * number for number in range(8)]
    child = os.fork()
    if child == 0:
        os._exit(0 if ours.Run(run.pathspec).successful else 1)
    assert os.waitpid(child, 0)[1] == 0
