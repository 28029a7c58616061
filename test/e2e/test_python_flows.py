"""Flows in Python on the engine: python flow.py COMMAND, and metaflow-cpp with an unchanged flow."""

import json
import re
import subprocess
import sys

import pytest

from conftest import PYTHON_FLOWS, SANITIZED
from python_cli import FLOWS, HEAD, ROOT, TAIL, smaller
from test_failures import processes_of
from test_graphs import by_place, check_metadata, lineage

pytestmark = pytest.mark.skipif(SANITIZED, reason="an instrumented library cannot be loaded into an interpreter that is not")


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
