"""Flows in Python on the engine: python flow.py COMMAND, and metaflow-cpp with an unchanged flow."""

import json
import os
import pathlib
import random
import re
import subprocess
import sys

import pytest

import s3
from conftest import BUILD, PYTHON_FLOWS, SANITIZED
from test_failures import processes_of
from test_graphs import by_place, check_metadata, lineage

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOWS = pathlib.Path(__file__).parent / "flows_in_python"

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


HEAD = "from metaflow_cpp import FlowSpec, step, retry\n\nclass F1(FlowSpec):\n    @step\n    def start(self):\n"
TAIL = "\n    @step\n    def end(self):\n        pass\n\nif __name__ == '__main__':\n    F1()\n"


class PythonCli:
    """Runs flows in Python on the engine of the build tree."""

    def __init__(self, cli):
        self.cli = cli
        cli.environment |= {"PYTHONPATH": str(ROOT / "python"), "METAFLOW_ENGINE_DIRECTORY": str(BUILD / "python/metaflow_cpp/native")}

    def __call__(self, flow, *arguments, **more):
        path = flow if isinstance(flow, pathlib.Path) else FLOWS / f"{flow}.py"
        return self.cli.execute([sys.executable, "-B", path, *arguments], **more)

    def unchanged(self, path, *arguments, **more):
        """A flow that imports metaflow."""
        return self.cli.execute([sys.executable, "-B", "-m", "metaflow_cpp", path, *arguments], **more)

    def run(self, flow, *arguments, **more):
        return self.cli._run(lambda *words: self(flow, *words, **more), *arguments)

    def write(self, text):
        """A flow of this text, in the test's directory."""
        path = self.cli.directory / "flow.py"
        path.write_text(text)
        return path


def smaller(listing, cli):
    """A listing of the page about executing tasks remotely, with a matrix of 128 MB instead of 48 GB; the path of the flow."""
    path = cli.directory / f"{listing}.py"
    text = (FLOWS / f"{listing}.py").read_text()
    for number, other in (("80000", "4000"), ("10000", "500"), ("memory=60000", "memory=1000"), ("cpu=8", "cpu=2")):
        text = text.replace(number, other)
    path.write_text(text)
    return path


@pytest.fixture
def py(cli):
    return PythonCli(cli)


def test_tour(py, client):
    result = py("tour", "run", "--run-id-file", "id")
    assert result.status == 0, result
    run = client.Run("Tour/" + (py.cli.directory / "id").read_text())
    assert run.successful
    end = run["end"].task
    assert end.data.products == [0.0, 2.5, 5.0] and end.data.first == 0.0 and end.data.side == "leftright"
    assert end.data.turns == [0, 1, 2] and end.data.untouched == "hellohello" and end.data.l + end.data.r == 3
    assert [end[name].data for name in ("count", "rate", "loud", "word", "limits", "names", "stamp", "needed", "FACTOR")] == [
        3, 0.5, False, "hello", {"low": 1}, ["a", "b"], "Tour stamp", None, 2.5]  # fmt: skip
    assert end.stdout == "ended with 7.5 leftright [0, 1, 2] hellohello\n"
    work = sorted(run["work"], key=lambda task: task.index)
    assert [task.data.stack for task in work] == [[(i, 3, {"number": i})] for i in range(3)]
    assert [task.data.frames for task in work] == [[("work", "items", 3, i, f"{{'number': {i}}}")] for i in range(3)]
    assert work[1].metadata_dict["attempt"] == "1" and "ValueError: only once" in client.Task(work[1].pathspec, attempt=0).stderr
    version = ".".join(str(part) for part in sys.version_info[:3])
    assert {"project:tour", f"python_version:{version}"} <= run.tags and "language:c++" not in run.tags
    assert {run[step].task.metadata_dict["python_version"] for step in ("_parameters", "start", "end")} == {version}
    assert not {"product", "stack", "frames"} & {artifact.id for artifact in run["join"].task}


def test_parameters_from_the_command_line(py, client):
    words = ["--count", "2", "--rate", "1", "--loud", "true", "--word", "bye", "--limits", '{"high": [1]}', "--names", "x,y", "--stamp", "s", "--needed", "7"]
    run = client.Run("Tour/" + py.run("tour", *words))
    assert [run["end"].task[name].data for name in ("count", "rate", "loud", "word", "limits", "names", "stamp", "needed")] == [
        2, 1.0, True, "bye", {"high": [1]}, ["x", "y"], "s", 7]  # fmt: skip
    assert py("tour", "run", "--count", "many").status == 2


def test_commands_of_the_engine(py):
    run_id = py.run("tour", "--count", "1")
    assert "Usage: tour.py" in py("tour", "--help").out
    assert "Makes the items." in py("tour", "show").out
    assert f"Tour/{run_id}: done" in py("tour", "status").out
    assert "products" in py("tour", "dump", "latest/end").out and "started as" in py("tour", "logs", "latest/start").out
    # A task again on its inputs.
    result = py("tour", "debug", "latest/join")
    assert result.status == 0 and "products = [0.0]   (as in the run)" in result.out
    check = py("tour", "check")
    assert check.status == 0 and "The graph looks good!" in check.err


def test_failure_and_resume(py, client):
    result = py("trouble", "run", "--how", "throw")
    assert result.status == 1
    assert re.search(r"<flow Trouble step start> failed:\nTraceback .*\n.*trouble.py\", line \d+, in start\n(.*\n)*KeyError: 'a\\nkey'", "\n".join(
        line.partition("] ")[2] for line in result.out.splitlines() if "] " in line)), result  # fmt: skip
    (told,) = re.findall(r"To rerun only this task: (.*)$", result.out, re.MULTILINE)
    again = py.cli.execute(["bash", "-c", told])  # it works when it is pasted
    assert again.status == 1 and "KeyError" in again.err, again
    result = py("trouble", "resume", "--run-id-file", "id", env={"WELL": "1"})
    assert result.status == 0, result
    assert client.Run("Trouble/" + (py.cli.directory / "id").read_text())["end"].task.stdout == "before set\n"


@pytest.mark.parametrize(
    "how, words",
    [
        ("chain", "RuntimeError: outer"),
        ("kill", "SIGKILL"),
        ("lock", "UnpicklableArtifactException: Cannot pickle artifact named 'lock': TypeError: cannot pickle '_thread.lock' object"),
        ("parameter", "AttributeError: Flow level attributes and Parameters are not modifiable"),
        ("missing", "AttributeError: Flow Trouble has no attribute 'nothing_of_this_name'"),
        ("memory", "MemoryError"),
        ("exit", "Task exited with code 3 before its step was finished."),
        ("exit_well", "Task exited with code 0 before its step was finished."),
        ("base", "BaseException: not an Exception"),
        ("bad_text", "Textless: <exception str() failed>"),
    ],
)
def test_troubles(py, client, how, words):
    result = py("trouble", "run", "--how", how, "--run-id-file", "id")
    assert result.status == 1 and words in result.out, result
    assert result.err.endswith("    Step failure:\n    Step start (task-id 1) failed.\n\n")
    assert "metaflow_cpp/" not in result.out, result  # no frames of the package
    if how in ("base", "bad_text", "chain", "lock", "parameter"):
        task = client.Run("Trouble/" + (py.cli.directory / "id").read_text())["start"].task
        assert task.data.before == "set" and not task.successful


def test_an_artifact_that_cannot_be_loaded(py, client):
    result = py("trouble", "run", "--how", "unloadable", "--run-id-file", "id", "--with", "catch:var=problem")
    assert result.status == 0 and "ValueError: it cannot be loaded" in result.out, result  # end reads it, and catches


def test_a_switch_without_the_case(py):
    body = "        self.how = 'neither'\n        self.next({'a': self.a, 'b': self.end}, condition='how')\n    @step\n    def a(self):\n        self.next(self.end)"
    result = py(py.write(HEAD + body + TAIL), "run")
    words = "RuntimeError: Switch condition variable 'how' has value 'neither' which is not in the available cases: ['a', 'b']"
    assert result.status == 1 and words in result.out, result


LEFT = {"before": "before", "own": "right", "only_left": 1, "same": 1, "_hidden": 3}


@pytest.mark.parametrize(
    "how, left, error",
    [
        ("all", LEFT, None),
        ("exclude", {name: value for name, value in LEFT.items() if name != "own"}, None),
        ("include", {"same": 1}, None),
        ("conflict", {}, ("UnhandledInMergeArtifactsException", "Step *join* cannot merge the following artifacts due to them having conflicting values:\n[own].", ["own"])),
        ("missing", {}, ("MissingInMergeArtifactsException", "Step *join* specifies that [nope, same] should be merged but [nope] are not present.", ["nope"])),
        ("both", {}, ("MergeArtifactsException", "`exclude` and `include` are mutually exclusive in merge_artifacts", None)),
    ],
)
def test_merge_artifacts(py, client, how, left, error):
    run = client.Run("Merging/" + py.run("merging", "--how", how))
    assert run["end"].task.data.left_over == left  # after an error nothing is set
    assert run["join"].task.data.seen == [False, False, True, False]
    if error is not None:
        kind, text, names = run["join"].task.data.error
        assert kind == error[0] and text.startswith(error[1]) and names == error[2]


def test_merge_outside_of_a_join(py):
    result = py(py.write(HEAD + "        self.merge_artifacts([])\n        self.next(self.end)" + TAIL), "run")
    assert result.status == 1 and "merge_artifacts can only be called in a join and step *start* is not a join" in result.out


def test_a_forked_copy_is_not_stored(py, client):
    run = client.Run("Trouble/" + py.run("trouble", "--how", "fork"))
    assert run["end"].task.data.which == "task" and "has left the step. Its values are not stored." in run["start"].task.stderr


def test_timeout(py, client):
    result = py("trouble", "run", "--how", "sleep", "--with", "timeout:seconds=1")
    assert result.status == 1 and "TimeoutException: Step start timed out after 0 hours, 0 minutes, 1 seconds" in result.out
    result = py("trouble", "run", "--how", "sleep", "--run-id-file", "id", "--with", "timeout:seconds=1", "--with", "catch:var=problem")
    assert result.status == 0, result
    problem = client.Run("Trouble/" + (py.cli.directory / "id").read_text())["start"].task["problem"].data
    assert problem.type == "metaflow.plugins.timeout_decorator.TimeoutException"  # as for flows in C++


def test_catch(py, client):
    run = client.Run("Trouble/" + py.run("trouble", env={"CATCH": "1"}))
    problem = run["end"].task["problem"].data
    assert problem.type == "builtins.ValueError" and problem.exception == "caught" and "in end" in problem.stacktrace
    assert client.Run("Trouble/" + py.run("trouble"))["end"].task["problem"].data is None


def test_exceptions_have_the_names_of_the_reference(py, client):
    """In the store; a later step gets the class of this package, with or without the official one."""
    head = HEAD.replace("retry", "catch").replace("    @step\n", "    @catch(var='problem', print_exception=False)\n    @step\n", 1)
    body = """        from metaflow_cpp.exception import ExternalCommandFailed
        if True:
            raise ExternalCommandFailed("it failed")
        self.next(self.after)

    @step
    def after(self):
        import sys
        self.kept, self.kind = self.problem, type(self.problem).__module__
        assert "metaflow" not in sys.modules
        self.next(self.end)
"""
    id_file = py.cli.directory / "id"
    result = py(py.write(head + body + TAIL), "run", "--run-id-file", id_file)
    assert result.status == 0, result
    data = client.Run("F1/" + id_file.read_text())["after"].task.data
    assert data.problem.type == data.kept.type == "metaflow.exception.ExternalCommandFailed" and data.problem.exception == "it failed"
    assert data.kind == "metaflow_cpp.exception"


def test_a_flow_of_one_step(py, client):
    text = HEAD.split("    @step")[0] + "    @step\n    def only(self):\n        self.x = 1\n\nif __name__ == '__main__':\n    F1()\n"
    run = client.Run("F1/" + py.run(py.write(text)))
    assert run.successful and run["only"].task.data.x == 1


@pytest.mark.parametrize(
    "body, words",
    [
        ("        pass", "Step *start* is missing a self.next() transition to the next step."),
        ("        self.next(self.nope)", "Step *start* specifies a self.next() transition to an unknown step, *nope*."),
        ("        self.next(self.a)\n    @step\n    def a(self):\n        self.next(self.b)\n    @step\n    def b(self):\n        self.next(self.a)", "There is a loop in your flow"),
        ("        self.next(self.end)\n    @step\n    def lonely(self):\n        self.next(self.end)", "Step *lonely* is unreachable from the entry step *start*."),
        ("        self.next(self.end)\n    @step(start=True)\n    def a(self):\n        self.next(self.end)", "Ambiguous start step: step 'a' is annotated with"),
        ("        self.next('end')", "Step *start* on line 5 has an invalid self.next() transition: its arguments are steps: self.STEP"),
        ("        self.next(self.end, num_parallel=3)", "num_parallel is not supported"),
        ("        self.next(self.a)\n    @retry(tims=1)\n    @step\n    def a(self):\n        self.next(self.end)", "Decorator 'retry' does not support the attribute 'tims'"),
    ],
    ids=["none", "unknown", "loop", "unreachable", "start", "text", "parallel", "decorator"],
)
def test_invalid_flows(py, body, words):
    result = py(py.write(HEAD + body + TAIL), "run")
    assert result.status == 1 and words in " ".join(result.err.split()), result
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "setting, words",
    [
        ("self.items = 5", "Foreach variable *self.items* in step *start* is not iterable."),
        ("self.items = []", "Foreach iterator over *items* in step *start* produced zero splits."),
        ("self.items = (i for i in [1])", "is an iterator, which cannot be stored"),
        ("pass", "Foreach variable *self.items* in step *start* does not exist."),
    ],
    ids=["number", "empty", "generator", "missing"],
)
def test_what_a_foreach_cannot_be(py, setting, words):
    body = f"        {setting}\n        self.next(self.a, foreach='items')\n    @step\n    def a(self):\n        self.next(self.j)\n    @step\n    def j(self, inputs):\n        self.next(self.end)"
    result = py(py.write(HEAD + body + TAIL), "run")
    assert result.status == 1 and words in result.out, result


def test_an_unchanged_flow(py, client):
    """The same file by both engines: every task has the same artifacts."""
    path = PYTHON_FLOWS / "maze_flow.py"
    result = py.unchanged(path, "run", "--run-id-file", "ours")
    assert result.status == 0, result
    ours = client.Run("Maze/" + (py.cli.directory / "ours").read_text())
    theirs = client.Run("Maze/" + py.cli.run_python("maze"))
    assert lineage(ours) == lineage(theirs)
    check_metadata(ours, theirs)
    our_tasks = by_place(ours)
    for at, their_tasks in by_place(theirs).items():
        for our_task, their_task in zip(our_tasks[at], their_tasks, strict=True):
            assert {a.id for a in our_task} == {a.id for a in their_task}, our_task
            for artifact in their_task:
                if artifact.id not in ("handlers", "sums", "summary"):  # the reference's inputs are in no certain order
                    assert our_task[artifact.id].data == artifact.data, (our_task, artifact)
    resumed = py.unchanged(path, "resume", "--origin-run-id", ours.id)  # one engine resumes the runs of the other
    assert resumed.status == 0, resumed
    resumed = py.unchanged(path, "resume", "--origin-run-id", theirs.id)
    assert resumed.status == 0 and "cloned!" in resumed.out, resumed


def test_a_file_that_does_not_exist(py):
    assert "nothing.py does not exist" in py.unchanged("nothing.py", "run").err


def test_events_of_a_flow_in_python(py):
    result = py("tour", "--quiet", "run", "--json", "--count", "1")
    events = [json.loads(line) for line in result.out.splitlines()]
    assert events[0]["version"] == 1 and events[-1]["event"] == "run_ended" and result.err == ""


@pytest.mark.parametrize(
    "words, more, forked",
    [
        ([], {}, True),
        ([], {"SEED": "1"}, True),
        ([], {"METAFLOW_FORK_SERVER": "0"}, False),
        ([], {"THREAD": "1"}, False),
        (["--with", 'environment:vars={"COLOUR":"blue"}'], {}, False),
    ],
    ids=["forks", "seeded", "off", "thread", "environment"],
)
def test_tasks_are_forks_of_a_process_that_has_imported_the_flow(py, client, words, more, forked):
    """Unless it cannot be forked, or a task has variables that libraries may read when they are imported: then the task imports the flow."""
    run = client.Run("Imported/" + py.run("imported", *words, env=more))
    seen = run["join"].task.data.seen
    assert len({imported_by for imported_by, *_ in seen}) == (1 if forked else 4)
    assert len({here for _, here, *_ in seen}) == 4 and all(here == group for _, here, group, *_ in seen)
    assert {colour for *_, colour in seen} == {"blue" if words else None}
    for numbers in zip(*(number for *_, number, _ in seen)):  # of random, of numpy
        assert len(set(numbers)) == (1 if "SEED" in more else 4)  # what the module seeds begins in each task with the same state
    assert sorted(task.stdout for task in run["work"]) == [f"out of {i}\n" for i in range(4)]
    assert run["start"].task.data.imported_by != run["start"].task.data.here or not forked


@pytest.mark.parametrize("server", ["1", "0"])
def test_a_fatal_signal_shows_where_python_was(py, server):
    """Also if the module of the flow has replaced sys.stderr by an object without a descriptor."""
    head = "import io, sys\nsys.stderr = io.StringIO()\n" + HEAD
    path = py.write(head + "        import ctypes\n        ctypes.string_at(0)\n        self.next(self.end)" + TAIL)
    result = py(path, "run", env={"METAFLOW_FORK_SERVER": server})
    assert result.status == 1 and "Fatal Python error: Segmentation fault" in result.out, result
    assert re.search(r'File ".*", line \d+ in start', result.out), result
    assert py(py.write(head + "        self.next(self.end)" + TAIL), "run", env={"METAFLOW_FORK_SERVER": server}).status == 0


def test_nothing_outlives_a_run(py):
    py("trouble", "run", "--how", "kill")
    py.run("imported")
    assert processes_of(py.cli.directory) == []


def test_a_path_with_blanks(py):
    directory = py.cli.directory / "my flows"
    directory.mkdir()
    path = directory / "my flow.py"
    path.write_text((FLOWS / "trouble.py").read_text())
    result = py(path, "run", "--how", "throw")
    (told,) = re.findall(r"To rerun only this task: (.*)$", result.out, re.MULTILINE)
    assert f"'{path}'" in told and "KeyError" in py.cli.execute(["bash", "-c", told]).err


# --- configs, files and decorators of deployment


@pytest.fixture
def configured(py):
    """Both engines in a directory with the files of the flow."""
    for name, text in (("text.txt", "some text\r\nlines\rmore\n"), ("table.txt", "a=1\nb=2\n"), ("other.txt", "a=9 b=8"), ("settings.json", SETTINGS)):
        (py.cli.directory / name).write_text(text)
    (py.cli.directory / "latin.txt").write_bytes("é".encode("latin-1"))
    return py


def test_resume_of_a_run_of_the_reference_with_files(configured, client):
    """Its artifact of a file says where the content is."""
    ids = configured.cli.directory / "ids"
    assert configured.cli.python("configured", "--config", "settings", "settings.json", "run", env={"FAIL": "1"}).status == 1
    result = configured.unchanged(CONFIGURED, "resume", "--run-id-file", ids)
    assert result.status == 0 and "cloned!" in result.out, result
    assert client.Run("Configured/" + ids.read_text())["finish"].task.data.after[:2] == ["high", "some text\nlines\nmore\n"]


def test_resume_with_a_config_that_the_run_does_not_have(py):
    text = HEAD + "        self.next(self.end)" + TAIL
    assert py.unchanged(py.write(text), "run").status == 0
    field = "    settings = Config('settings', default_value={})\n    @step\n"
    changed = text.replace("from metaflow_cpp import", "from metaflow_cpp import Config,").replace("    @step\n", field, 1)
    result = py.unchanged(py.write(changed), "resume", "end")
    assert result.status == 1 and re.search(r"Run \d+ has no config settings: the flow got it after the run\. Start a new run\.", result.err + result.out), result


SETTINGS = json.dumps({"project": "second", "count": 5, "nested": {"level": "high"}, "times": 1})
CONFIGURED = PYTHON_FLOWS / "configured_flow.py"


def data_of(run):
    return {(step.id, artifact.id): artifact.data for step in run for artifact in step.task}


@pytest.mark.parametrize(
    "options, words, environment, level",
    [
        ([], [], {}, "low"),
        (["--config", "settings", "settings.json", "--config-value", "nothing", '{"x": 1}'], ["--several", "7", "--several", "8"], {}, "high"),
        (["--config", "table", "other.txt"], ["--text", "other.txt", "--count=4", "--absent", "text.txt"],
         {"METAFLOW_FLOW_CONFIG_VALUE": json.dumps({"settings": SETTINGS})}, "high"),
        ([], [], {"METAFLOW_FLOW_CONFIG": '{"settings": "settings.json"}', "METAFLOW_RUN_TEXT": "other.txt", "METAFLOW_RUN_SEVERAL": "5 6"}, "high"),
    ],
    ids=["defaults", "options", "mixed", "environment"],
)  # fmt: skip
def test_configs_and_files_are_those_of_the_reference(configured, client, options, words, environment, level):
    """The same file by both engines: the same artifacts, also _graph_info."""
    ids = configured.cli.directory / "ids"
    result = configured.unchanged(CONFIGURED, *options, "run", "--run-id-file", ids, *words, env=environment)
    assert result.status == 0, result
    ours = client.Run("Configured/" + ids.read_text())
    result = configured.cli.python("configured", *options, "run", "--run-id-file", ids, *words, env=environment)
    assert result.status == 0, result
    theirs = client.Run("Configured/" + ids.read_text())
    assert data_of(ours) == data_of(theirs)
    assert ours["begin"].task.data.seen[0] == level and f"project:{'first' if level == 'low' else 'second'}" in ours.tags
    graphs = [run["_parameters"].task["_graph_info"].data for run in (ours, theirs)]
    for part in ("decorators", "constants", "parameters", "start_step", "end_step", "graph_structure", "doc"):
        assert sorted(map(str, graphs[0][part])) == sorted(map(str, graphs[1][part])), part
    mine, other = ([each["name"] for each in graph["steps"]["begin"]["decorators"]] for graph in graphs)
    assert sorted(mine) == sorted(other)
    evaluated = configured.cli.directory / "evaluated"
    assert (evaluated.read_text() if evaluated.exists() else "") == ("" if "--count=4" in words else "count" * 2)  # once by each engine


def test_resume_has_the_configs_of_its_origin(configured, client):
    result = configured.unchanged(CONFIGURED, "--config", "settings", "settings.json", "run", env={"FAIL": "1"})
    assert result.status == 1 and "asked to fail" in result.out, result
    (told,) = re.findall(r"To rerun only this task: (.*)$", result.out, re.MULTILINE)
    assert configured.cli.execute(["bash", "-c", told]).status == 0
    ids = configured.cli.directory / "ids"
    result = configured.unchanged(CONFIGURED, "resume", "--run-id-file", ids)
    assert result.status == 0, result
    assert client.Run("Configured/" + ids.read_text())["finish"].task.data.after[0] == "high"


@pytest.mark.parametrize(
    "options, words, status, text",
    [
        (["--config", "settings", "gone.json"], [], 2, "configuration file 'gone.json' could not be read for 'settings': No such file or directory"),
        (["--config-value", "settings", "{"], [], 2, "configuration value for 'settings' is not valid JSON"),
        (["--config", "nope", "gone.json"], [], 2, "'nope' is not a config of flow Configured. Its configs: nothing, raw, settings, table"),
        (["--config", "raw", "text.txt", "--config-value", "raw", "x"], [], 2, "Cannot provide both a value and a file for the same configuration"),
        (["--config-value", "table", "a"], [], 2, "configuration value for 'table' could not be parsed: ValueError"),
        (["--config-value", "settings", "{}"], [], 1, "Config expression 'settings.project' could not be evaluated: AttributeError: project"),
        ([], ["--text", "gone.txt"], 2, "Invalid value for '--text': IncludeFile: could not open file 'gone.txt' for reading: No such file"),
        ([], ["--text", "s3://bucket/x"], 2, "it is not a local file"),
        ([], ["--text", "latin.txt"], 2, "Use is_text=False for a file that is not text"),
        ([], ["--several", "x"], 2, "Invalid value for '--several': x is not a valid int"),
    ],
)  # fmt: skip
def test_what_is_given_is_checked_before_the_run(configured, options, words, status, text):
    result = configured.unchanged(CONFIGURED, *options, "run", *words)
    assert result.status == status and text in result.err and "Traceback" not in result.err, result
    assert "Workflow starting" not in result.out


def test_help_names_the_configs(configured):
    out = " ".join(configured.unchanged(CONFIGURED, "--help").out.split())
    assert "--config NAME PATH Read a config from a file. Configs of this flow: settings, table, raw, nothing." in out, out
    assert "--config-value NAME VALUE" in out


def test_other_commands_need_no_config(py):
    head = HEAD.replace("retry", "retry, Config")
    head = head.replace("    @step", "    c = Config('c', required=True)\n    @retry(times=c.times)\n    @step", 1)
    path = py.write(head + "        self.next(self.end)" + TAIL)
    assert py(path, "--config-value", "c", '{"times": 0}', "run").status == 0
    result = py(path, "run")
    assert result.status == 2 and "missing configuration for 'c'" in result.err, result
    assert py(path, "status").status == 0 and py(path, "logs", "latest/end").status == 0


@pytest.mark.parametrize(
    "imported, above, words",
    [
        ("conda", "    @conda(libraries={'x': '1'})\n", "@conda is not supported: steps use the packages of the Python that runs the flow."),
        ("pypi_base", "", "@pypi_base is not supported"),
        ("parallel", "    @parallel\n", "@parallel is not supported"),
        ("schedule", "    @schedule(daily=True)\n", "Decorator 'schedule' must be above a flow, not above a step."),
        ("secrets", "    @secrets(source=[])\n", "Decorator 'secrets' does not support the attribute 'source'."),
        ("secrets", "    @secrets(sources=['az-key-vault.x'])\n", "Secret 'x' is in 'az-key-vault', which metaflow_cpp cannot read."),
        ("secrets", "    @secrets(sources=['inline.x'], role=5)\n", "Bad @secrets specification - 'role' must be a str - found <class 'int'>"),
        ("user_step_decorator", "    @user_step_decorator\n", "metaflow_cpp has no decorators of users"),
    ],
)
def test_decorators_that_cannot_be_used_are_said(py, imported, above, words):
    head = HEAD.replace("retry", imported).replace("    @step\n", above + "    @step\n", 1)
    if imported == "pypi_base":
        head = head.replace("class F1", "@pypi_base(packages={})\nclass F1")
    result = py(py.write(head + "        self.next(self.end)" + TAIL), "run")
    assert result.status == 1 and words in result.err + result.out, result


@pytest.mark.skipif(not s3.has_moto(), reason="SECRETS ARE NOT TESTED: that needs moto[server,s3] and boto3 from PyPI")
def test_secrets_of_aws(py, moto):
    """Secrets Manager, as moto has it: an object of JSON, a text, bytes."""
    import boto3

    url = moto.url
    environment = {**moto.environment, "AWS_ENDPOINT_URL": url}
    client = boto3.client("secretsmanager", endpoint_url=url, aws_access_key_id="k", aws_secret_access_key="s", region_name="us-east-1")
    client.create_secret(Name="object", SecretString='{"a-b": 1, "c": "text"}')
    client.create_secret(Name="one/text", SecretString="plain")
    client.create_secret(Name="bytes", SecretBinary=b"\x00\x01")
    sources = ["aws-secrets-manager.object", {"type": "aws-secrets-manager", "id": "one/text", "options": {"json": False, "env_var_name": "ONE"}}]
    sources.append("aws-secrets-manager.bytes")
    head = HEAD.replace("retry", "secrets").replace("    @step\n", f"    @secrets(sources={sources})\n    @step\n", 1)
    body = "        import os\n        print([os.environ[name] for name in ('a_b', 'c', 'ONE', 'bytes')])\n        self.next(self.end)"
    result = py(py.write(head + body + TAIL), "run", env=environment)
    assert result.status == 0 and "['1', 'text', 'plain', 'AAE=']" in result.out, result
    role = head.replace("])\n", "], role='arn:aws:iam::123456789012:role/reader')\n", 1)
    result = py(py.write(role + body + TAIL), "run", env=environment)
    assert result.status == 0 and "['1', 'text', 'plain', 'AAE=']" in result.out, result
    own_role = "{'type': 'aws-secrets-manager', 'id': 'object', 'role': 'arn:own'}"
    for source, assumed, variables in (
        (role, "arn:aws:iam::123456789012:role/reader", {"METAFLOW_DEFAULT_SECRETS_ROLE": "arn:default"}),
        (role.replace("'aws-secrets-manager.object'", own_role), "arn:own", {}),
        (head, "arn:default", {"METAFLOW_DEFAULT_SECRETS_ROLE": "arn:default"}),
    ):
        variables = {**environment, **variables, "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9"}  # nothing listens there
        result = py(py.write(source + body + TAIL), "run", env=variables)
        assert result.status == 1 and f"role '{assumed}' with the credentials of the environment" in result.out, result
    result = py(py.write(head.replace(".object", ".nothing") + body + TAIL), "run", env=environment)
    assert result.status == 1 and "Failed to retrieve secret 'nothing':" in result.out and "Secrets Manager can't find" in result.out, result


def test_packages_that_are_disabled_and_cards_are_ignored(py):
    head = HEAD.replace("retry", "conda, card, current").replace("    @step\n", "    @card(type='blank')\n    @conda(disabled=True)\n    @step\n", 1)
    result = py(py.write(head + "        current.card.append('x')\n        self.next(self.end)" + TAIL), "run")
    assert result.status == 0 and result.err.count("@card") == 1, result
    result = py(py.write((head + "        self.next(self.end)" + TAIL).replace("disabled=True", "")), "run", env={"METAFLOW_IGNORE_PACKAGES": "1"})
    assert result.status == 0, result


@pytest.mark.parametrize(
    "fields, words",
    [
        ("default=lambda _: 1", "The value returned by the deploy-time function for the parameter *p* field *default* has a wrong type. Expected a string."),
        ("default=lambda _: 1 / 0", "When evaluating the field *default* for the Parameter *p*, the following exception occurred:"),
        ("type=list, separator=','", "Parameter *p*: Separator is only allowed for string parameters."),
        ("required=lambda _: True", "Parameter *p*: Field 'required' cannot have a function as its value"),
        ("type=bytes", "Parameter *p* has the type <class 'bytes'>, but the type of a parameter is str, int, float, bool or JSONType"),
        ("defualt=1", "Parameter *p* has no field 'defualt'."),
    ],
)
def test_invalid_parameters(py, fields, words):
    head = HEAD.replace("retry", "Parameter").replace("    @step\n", f"    p = Parameter('p', {fields})\n    @step\n", 1)
    result = py(py.write(head + "        self.next(self.end)" + TAIL), "run")
    assert result.status == 1 and words in result.err, result


# --- names of the official package


def test_names_of_the_official_package(py, client):
    """It is imported only for names that this package does not have."""
    result = py.unchanged(FLOWS / "official.py", "run", "--run-id-file", "id")
    assert result.status == 1 and "ImportError: cannot import name 'nothing_of_this_name'" in result.out, result
    assert "] MetaflowNotFound\n" in result.out
    task = client.Run("Official/" + (py.cli.directory / "id").read_text())["start"].task
    assert task.data.paths == [task.pathspec, task.pathspec, task.pathspec.rpartition("/start")[0]]
    assert type(task.data.own) is client.Task and task.data.own.pathspec == task.pathspec  # a reader gets objects of its own client


def test_without_the_official_package(py):
    path = py.write("from metaflow import FlowSpec, step, retry, Deployer\n")
    program = f"import sys; sys.path.insert(0, {str(ROOT / 'python')!r}); from metaflow_cpp.__main__ import main; main([{str(path)!r}, 'run'])"
    result = py.cli.execute([sys.executable, "-B", "-I", "-S", "-c", program])
    words = "metaflow_cpp has no 'Deployer', and the official package, which may have it, is not installed"
    assert result.status == 1 and words in result.err, result


# --- parallel_map


def parallel(py, text):
    script = "from metaflow_cpp import parallel_map, parallel_imap_unordered\nimport os, sys, time\n" + text
    return py.cli.execute([sys.executable, "-B", "-c", script], timeout=60)


def test_parallel_map(py):
    result = parallel(py, """
big = parallel_map(lambda n: bytes([n]) * 10_000_000, range(3))
assert [len(each) for each in big] == [10_000_000] * 3 and big[2][0] == 2
assert parallel_map(str, []) == [] and parallel_map(lambda x: os.getpid(), [1, 2], max_parallel=1) != [os.getpid()] * 2
assert sorted(parallel_imap_unordered(lambda x: x * x, iter([3, 4]))) == [9, 16]
for item in parallel_imap_unordered(lambda x: time.sleep(0 if x == 0 else 1000), range(4), max_parallel=4):
    break  # the others are ended
""")  # fmt: skip
    assert result.status == 0, result


@pytest.mark.parametrize(
    "work, words",
    [
        ("1 / x", "Item 0 failed:\nTraceback"),
        ("os.kill(os.getpid(), 9) if x == 1 else x", "Item 1: its process was killed by SIGKILL"),
        ("os._exit(4) if x == 0 else x", "Item 0: its process ended with exit code 4"),
        ("(i for i in [])", "cannot pickle 'generator' object"),
    ],
    ids=["throws", "killed", "exits", "unpicklable"],
)
def test_parallel_map_names_what_failed(py, work, words):
    result = parallel(py, f"parallel_map(lambda x: {work}, range(2))")
    assert result.status == 1 and words in result.err, result


@pytest.mark.parametrize("listing", ["bigsum", "bigsum_parallel"])
def test_the_listings(py, client, listing):
    """Those of the page about executing tasks remotely: here with a matrix that fits into the memory, and one that does not."""
    result = py.unchanged(smaller(listing, py.cli), "run", "--run-id-file", "id")
    assert result.status == 0 and re.search(r"The sum is [78]\d{6}\.\d{6}\.\n.*Computing it took \d+ms\.\n", result.out), result
    assert abs(client.Run("BigSum/" + (py.cli.directory / "id").read_text())["end"].task.data.sum - 8e6) < 1e4
    command = [sys.executable, "-B", "-m", "metaflow_cpp", FLOWS / f"{listing}.py", "run"]
    result = py.cli.execute(["bash", "-c", 'ulimit -v 20000000; exec "$@"', "bash", *command])  # 20 GB, on a machine of any size
    lines = [line.partition("] ")[2] for line in result.out.splitlines() if "] " in line]
    assert result.status == 1 and "Traceback (most recent call last):" in lines, result
    assert "    big_matrix = numpy.random.ranf((80000, 80000))" in lines
    assert any("MemoryError: Unable to allocate 47.7 GiB" in line for line in lines) and "Task failed." in lines
    assert "Workflow failed." in result.out and "    Step failure:\n    Step start (task-id 1) failed.\n" in result.err


def test_tasks_are_recognised_by_ps(py):
    """Also those that are forks: their command line is that of the task."""
    body = "        self.items = list(range(8))\n        self.next(self.work, foreach='items')\n\n    @step\n    def work(self):\n"
    body += "        print(open('/proc/self/cmdline', 'rb').read().rstrip(b'\\0').split(b'\\0'))\n        self.next(self.join)\n"
    result = py(py.write(HEAD + body + "\n    @step\n    def join(self, inputs):\n        self.next(self.end)\n" + TAIL), "run")
    lines = [line.partition("] ")[2] for line in result.out.splitlines() if "/work/" in line and "b'step'" in line]
    assert len(lines) == 8 and all("b'step', b'work'" in line for line in lines), result
    assert any("b'--run-id'" in line for line in lines)


def check_arrays(py, client, words):
    result = py.cli.execute([*words, FLOWS / "arrays.py", "run", "--run-id-file", "id"])
    assert result.status == 0, result
    data = client.Run("Arrays/" + (py.cli.directory / "id").read_text())["end"].task.data
    assert data.firsts == [1, 2, 3] and data.seconds == [77, 1, 1] and data.begins == [5, 0, 0]
    assert data.columns.shape == (100, 1000) and data.columns[1, 0] == -1 and data.columns[2, 3] == 2003 and data.columns.flags.f_contiguous
    assert list(data.numbers[:3]) == [0, 1, 2] and data.complex.dtype == complex and data.flags.dtype == bool
    assert data.big_endian[5] == 5 and data.strided[3] == 6 and data.objects[7] == {"a": 1} and str(data.dates[9]) == "1970-01-01T00:00:09"
    assert type(data.masked).__name__ == "MaskedArray" and data.empty.shape == (0, 5) and data.scalar == 3 and list(data.small) == [0, 1, 2]


def test_arrays(py, client):
    check_arrays(py, client, [sys.executable, "-B"])


@pytest.mark.skipif(not os.environ.get("METAFLOW_PYTHON_NUMPY1"), reason="NUMPY 1 IS NOT TESTED: METAFLOW_PYTHON_NUMPY1 is not set")
def test_arrays_of_numpy_1(py, client):
    check_arrays(py, client, [os.environ["METAFLOW_PYTHON_NUMPY1"], "-B"])


def test_debugger(py):
    """debug --pdb stops before the first line of the step, on its inputs, and where it throws."""
    body = "        self.items = [3, 4]\n        self.next(self.work, foreach='items')\n\n    @step\n    def work(self):\n        twice = 2 * self.input\n"
    body += "        self.fraction = 1 / (twice - 8)\n        self.next(self.join)\n\n    @step\n    def join(self, inputs):\n        self.next(self.end)\n"
    flow = py.write(HEAD + body + TAIL)
    assert py(flow, "run").status == 1

    def debug(task, commands):
        command = [sys.executable, "-B", flow, "--quiet", "debug", task, "--pdb"]
        return subprocess.run(command, cwd=py.cli.directory, env=py.cli.environment, input=commands, capture_output=True, text=True, timeout=60)

    result = debug("latest/work[0]", "p self.input * 100\nn\np twice\nc\n")
    assert result.returncode == 0 and "-> twice = 2 * self.input" in result.stdout and "300" in result.stdout, result
    assert "fraction = -0.5" in result.stdout
    result = debug("latest/work[1]", "c\np twice\nq\n")
    assert result.returncode == 1 and "ZeroDivisionError" in result.stderr and "-> self.fraction = 1 / (twice - 8)" in result.stdout, result
    assert "(Pdb) 8\n" in result.stdout
    result = debug("latest/work[0]", "q\n")
    assert result.returncode == 1 and "You have left the debugger: the step is not finished." in result.stderr, result


def test_an_array_that_is_only_read_is_not_read_again(py):
    """A task that uses one element of a mapped array does not load the others, also not when it ends."""
    body = "        import numpy\n        self.big, self.items = numpy.ones(16_000_000), [0, 1]\n        self.next(self.work, foreach='items')\n\n    @step\n"
    body += "    def work(self):\n        self.one = float(self.big[5])\n        self.next(self.join)\n\n    @step\n    def join(self, inputs):\n"
    body += "        self.big = inputs[1].big\n        self.sum = sum(each.one for each in inputs) + self.big[7]\n        self.next(self.end)\n"
    result = py(py.write(HEAD + body + TAIL), "run")
    assert result.status == 0, result
    status = json.loads(py(py.cli.directory / "flow.py", "--quiet", "status", "--json").out)
    steps = {each["step"]: each for each in status["steps"]}
    assert steps["start"]["peak_memory"] > 128e6 and steps["work"]["peak_memory"] < 100e6 and steps["join"]["peak_memory"] < 100e6, status


def test_parallel_map_uses_the_cores_of_the_step(py):
    body = "        import os\n        from metaflow_cpp import parallel_map, multicore\n        print('cores', multicore._cpus())\n"
    text = (HEAD + body + "        self.next(self.end)\n" + TAIL).replace("import FlowSpec, step, retry", "import FlowSpec, resources, step, retry")
    assert "cores 1\n" in py(py.write(text.replace("    @step\n    def start", "    @resources(cpu=1)\n    @step\n    def start")), "run").out


def test_a_large_array_in_s3_that_is_changed_in_place(py, moto):
    """Its copy on this machine is mapped: what a step writes to it is stored, and only there."""
    place = {"METAFLOW_DATASTORE_SYSROOT_S3": f"s3://runs/{py.cli.directory.name}", "METAFLOW_DEFAULT_DATASTORE": "s3"}
    py.cli.environment.update(moto.environment | place)
    body = "        import numpy\n        self.big = numpy.zeros(9_000_000)\n        self.next(self.change)\n\n    @step\n    def change(self):\n"
    body += "        self.big[8_000_000] = 5\n        self.next(self.read)\n\n    @step\n    def read(self):\n        print('sum', self.big.sum())\n"
    result = py(py.write(HEAD + body + "        self.next(self.end)\n" + TAIL), "run")
    assert result.status == 0 and "sum 5.0\n" in result.out, result


@pytest.mark.parametrize(
    "work, words",
    [
        ("os.kill(os.getpid(), signal.SIGRTMIN + 6)", "Item 0: its process was killed by signal 40"),
        ("return Odd(1, 2)", "Item 0: its result cannot be loaded: TypeError"),
        ("raise Odd(1, 2)", "Item 0 failed:"),
    ],
)
def test_results_of_parallel_map_that_cannot_be_had(cli, work, words):
    program = f"""
import os, signal
from metaflow_cpp import parallel_map

class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(a)

def work(_):
    {work}

try:
    parallel_map(work, [1])
except Exception as error:
    print(type(error).__name__, error)
"""
    result = cli.execute([sys.executable, "-B", "-c", program], env={"PYTHONPATH": str(ROOT / "python")})
    assert result.out.startswith(f"MulticoreException {words}"), result


def test_a_class_of_metaflow_behind_large_data(py):
    body = "        self.made = [bytes(3 << 20), ConfigValue({'a': 1})]\n        self.next(self.end)"
    text = (HEAD + body + TAIL.replace("pass", "assert type(self.made[1]).__module__ == 'metaflow_cpp.config' and self.made[1].a == 1")).replace(
        "from metaflow_cpp import", "from metaflow_cpp import ConfigValue,"
    )
    result = py.cli.execute([sys.executable, "-B", py.write(text), "run"])
    assert result.status == 0, result


@pytest.mark.parametrize("words", [[], ["--p", "8", "--several", "1", "--several", "2"]], ids=["defaults", "options"])
def test_what_is_easily_done_otherwise(configured, client, words):
    """The same flow by both engines: the same values everywhere."""
    ids = configured.cli.directory / "ids"
    result = configured.unchanged(PYTHON_FLOWS / "alike_flow.py", "run", "--run-id-file", ids, *words)
    assert result.status == 0, result
    ours = client.Run("Alike/" + ids.read_text())
    result = configured.cli.python("alike", "run", "--run-id-file", ids, *words)
    assert result.status == 0, result
    theirs = client.Run("Alike/" + ids.read_text())
    for step in theirs:
        # The order of the inputs of a join is that of the foreach.
        mine, other = ([task.data.__dict__["_artifacts"] for task in sorted(list(run[step.id]), key=lambda task: task.index or 0)] for run in (ours, theirs))
        for here, there in zip(mine, other):
            here.pop("numbers", None)  # a property: ours stores what the tasks fan out over
            values = ({name: artifact.data for name, artifact in each.items() if not name.startswith("_")} for each in (here, there))
            assert next(values) == next(values), step.id


GENERATOR = """
import random, sys
from metaflow_cpp import FlowSpec, step

GENERATOR = random.Random()


class Draws(FlowSpec):
    @step
    def start(self):
        self.items = [1, 2, 3]
        self.next(self.draw, foreach="items")

    @step
    def draw(self):
        self.drawn = GENERATOR.random()
        self.next(self.join)

    @step
    def join(self, inputs):
        assert len({each.drawn for each in inputs}) == 3
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Draws()
"""


def test_generators_of_the_module_are_not_shared(py):
    result = py.cli.execute([sys.executable, "-B", py.write(GENERATOR), "run"])
    assert result.status == 0, result


ORPHANS = """
import os, time
from metaflow_cpp import FlowSpec, step


def children(parent):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            words = open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()
        except OSError:
            continue
        if words[1] == str(parent):
            found.append((int(entry), words[0]))
    return found


class Orphans(FlowSpec):
    @step
    def start(self):
        if os.fork() == 0:
            if os.fork() == 0:
                time.sleep(0.05)
            os._exit(0)
        os.wait()
        self.next(self.wait)

    @step
    def wait(self):
        while [state for pid, state in children(os.getppid()) if state != "Z" and pid != os.getpid()][1:]:
            time.sleep(0.01)  # all but the fork server
        self.next(self.end)

    @step
    def end(self):
        assert "Z" not in [state for _, state in children(os.getppid())]


if __name__ == "__main__":
    Orphans()
"""


def test_orphans_of_tasks_are_not_left_as_zombies(py):
    result = py.cli.execute([sys.executable, "-B", py.write(ORPHANS), "run"])
    assert result.status == 0, result


# --- what a process of its own would have: tasks are forks

OWN_PROCESS = """
import atexit, io, os, random, tempfile
from metaflow_cpp import FlowSpec, environment, local, step

LOG = open("log.txt", "a")
AT_IMPORT = os.environ.get("EARLY", "none")
os.environ["OF_THE_MODULE"] = "set"
random.seed(42)
STATE = random.getstate()


class Own(FlowSpec):
    @step
    def start(self):
        LOG.write("start\\n")
        globals()["KEPT"] = open("kept.txt", "w")
        KEPT.write("text")
        self.early, self.module, self.first = AT_IMPORT, os.environ.get("OF_THE_MODULE"), random.random()
        self.items = {3: "a", 1: "b"}
        self.next(self.work, foreach="items")

    @environment(vars={"EARLY": "yes"})
    @step
    def work(self):
        LOG.write("work\\n")
        self.found = (self.input, AT_IMPORT, os.environ.get("OF_THE_MODULE"), random.random())
        self.next(self.join)

    @step
    def join(self, inputs):
        self.found = [each.found for each in inputs]
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Own()
"""


@pytest.mark.parametrize("fork_server", ["1", "0"])
def test_a_task_is_like_a_process_of_its_own(py, client, fork_server):
    path = py.write(OWN_PROCESS)
    result = py.cli.execute([sys.executable, "-B", path, "run", "--run-id-file", "id"], env={"METAFLOW_FORK_SERVER": fork_server})
    assert result.status == 0, result
    run = client.Run("Own/" + (py.cli.directory / "id").read_text())
    first = random.Random(42).random()
    assert (run["start"].task.data.early, run["start"].task.data.module, run["start"].task.data.first) == ("none", "set", first)
    assert run["join"].task.data.found == [(3, "yes", "set", first), (1, "yes", "set", first)]
    assert sorted((py.cli.directory / "log.txt").read_text().split()) == ["start", "work", "work"]
    assert (py.cli.directory / "kept.txt").read_text() == "text"


def test_a_directory_of_the_module_lives_as_long_as_its_process(py):
    text = OWN_PROCESS.replace("random.seed(42)", "TEMPORARY = tempfile.TemporaryDirectory()").replace(
        "        LOG.write(\"work\\n\")", "        assert os.path.isdir(TEMPORARY.name)"
    )
    assert "isdir" in text
    result = py.cli.execute([sys.executable, "-B", py.write(text), "run"])
    assert result.status == 0, result


ODD = """
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor
from metaflow_cpp import FlowSpec, Parameter, step


class Odd(FlowSpec):
    p = Parameter("p", default=1)

    @step
    def start(self):
        self.values = list(range(12))
        self.next(self.work, foreach="values")

    @step
    def work(self):
        for number in range(10):
            setattr(self, f"x{number}", (number, "value"))
        how = os.environ.get("HOW", "")
        if how == "name":
            setattr(self, "a b", 1)
        if how == "cause":
            raise RuntimeError("shown") from ValueError("the real reason")
        if how == "delete":
            del self.p
        if how == "copy" and os.fork() == 0:
            raise ValueError("in the child")
        if how == "stdout":
            sys.stdout.close()
            sys.stdout = None
        self.next(self.join)

    @step
    def join(self, inputs):
        def read(seed):
            for i in range(seed, seed + 4000):
                each, number = inputs[i % 12], i // 12 % 10
                assert getattr(each, f"x{number}") == (number, "value")
                each.__dict__.pop(f"x{number}", None)  # it is read again

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(read, range(0, 42, 7)))
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Odd()
"""


@pytest.mark.parametrize(
    "how, status, words",
    [
        ("", 0, ""),
        ("name", 1, "'a b' is not the name of an artifact"),
        ("cause", 1, "ValueError: the real reason"),
        ("delete", 1, "Flow level attributes and Parameters are not modifiable"),
        ("copy", 0, "ValueError: in the child"),
        ("stdout", 0, ""),
    ],
)
def test_odd_steps(py, how, status, words):
    result = py.cli.execute([sys.executable, "-B", py.write(ODD), "run"], env={"HOW": how})
    assert result.status == status and words in result.out + result.err, result


MEMORY = """
import numpy
from metaflow_cpp import FlowSpec, step


def own_memory():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("RssAnon"))


class Memory(FlowSpec):
    @step
    def start(self):
        self.items = list(range(8))
        self.next(self.make, foreach="items")

    @step
    def make(self):
        self.array = numpy.full(1 << 20, self.input, numpy.float64)  # 8 MB
        self.text = str(self.input) * (4 << 20)
        self.next(self.join)

    @step
    def join(self, inputs):
        before, total, views = own_memory(), 0.0, []
        for _ in range(3):
            for each in inputs:
                array = each.array
                array += 1
                total += array[-1]
                views.append(array[5:6])
                assert each.text[0] == str(int(array[0]) - 1)
                del each.__dict__["array"], each.__dict__["text"]
                if len(views) > 1:
                    assert views.pop(0)[0] >= 1
        self.grown = own_memory() - before
        assert total == 3 * sum(range(1, 9)), total
        self.next(self.end)

    @step
    def end(self):
        assert self.grown < 40_000, self.grown  # KB


if __name__ == "__main__":
    Memory()
"""


def test_arrays_that_are_not_used_any_more_are_freed(py):
    result = py.cli.execute([sys.executable, "-B", py.write(MEMORY), "run"])
    assert result.status == 0, result


NESTED = """
from metaflow_cpp import FlowSpec, step


class Nested(FlowSpec):
    @step
    def start(self):
        self.items = ["a", "b"]
        self.next(self.outer, foreach="items")

    @step
    def outer(self):
        self.items = [self.input + "1", self.input + "2"]
        self.next(self.inner, foreach="items")

    @step
    def inner(self):
        self.seen = (self.input, self.foreach_stack())
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.seen = [each.seen for each in inputs]
        self.next(self.outer_join)

    @step
    def outer_join(self, inputs):
        (a1, a2), (b1, b2) = [each.seen for each in inputs]
        assert a1 == ("a1", [(0, 2, "a"), (0, 2, "a1")]) and b2 == ("b2", [(1, 2, "b"), (1, 2, "b2")]), (a1, b2)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Nested()
"""


def test_nested_foreachs_of_one_name(py):
    result = py.cli.execute([sys.executable, "-B", py.write(NESTED), "run"])
    assert result.status == 0, result
