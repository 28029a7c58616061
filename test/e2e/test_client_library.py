"""client.h and Metaflow's own client read the same from a run, in C++ and in Python."""

import numpy as np
import pytest


def one_line(text):
    return text.replace("\n", "\\n")


def pathspecs(tasks):
    return " ".join(sorted(task.pathspec for task in tasks))  # the client gives them in no particular order


def begun(objects):
    """In the order in which they were begun: the client's is the other way round."""
    return sorted(objects, key=lambda o: (o.created_at, int(o.id) if o.id.isdigit() else 0))


def task_lines(task):
    lines = [
        f"task {task.pathspec}",
        f" finished {int(task.finished)} successful {int(task.successful)} attempt {task.current_attempt}",
        f" index {task.index}",
        f" parents {pathspecs(task.parent_tasks)}".rstrip(),
        f" children {pathspecs(task.child_tasks)}".rstrip(),
        f" out {one_line(task.stdout)}".rstrip(),
        f" err {one_line(task.stderr)}".rstrip(),
    ]
    if task.exception:
        lines.append(f" exception {task.exception.type}: {one_line(str(task.exception.exception))}")
    for artifact in sorted(task, key=lambda artifact: artifact.id):
        if artifact.id.startswith("_"):
            continue
        value = artifact.data
        if isinstance(value, str):
            text = one_line(value)
        elif isinstance(value, np.ndarray):
            text = f"array({value.tolist()})"  # numpy cuts zeros and aligns columns
        else:
            text = one_line(repr(value))
        lines.append(f" artifact {artifact.id} {type(value)} {artifact.size} {artifact.sha} {text}".rstrip())
    return lines


def run_lines(run):
    lines = [
        f"run {run.pathspec} finished {int(run.finished)} successful {int(run.successful)} user tester",
        f" tags {' '.join(sorted(run.tags))}",
        f" end {run.end_task.pathspec if run.end_task else None}",
    ]
    parameters = run["_parameters"].task
    names = sorted(parameter["name"] for parameter in parameters["_graph_info"].data["parameters"])
    lines += [f" parameter {name} {one_line(str(parameters[name].data))}" for name in names]
    for step in begun(run):
        lines.append(f"step {step.pathspec}")
        for task in begun(step):
            lines += task_lines(task)
    return lines


def told(cli, *arguments):
    return [line.rstrip() for line in cli("read_runs", *arguments).out.splitlines()]


FLOWS = {"sweep": ("Sweep", "--n", "3"), "branches": ("Branches",), "switch": ("Switch",), "nested": ("Nested",)}


@pytest.mark.parametrize("program", FLOWS)
def test_runs_of_ours(cli, client, program):
    flow, *arguments = FLOWS[program]
    run = client.Run(f"{flow}/{cli.run(program, *arguments)}")
    assert told(cli, "run", run.pathspec) == run_lines(run)


def test_runs_of_python(cli, client):
    run = client.Run(f"Maze/{cli.run_python('maze')}")
    assert told(cli, "run", run.pathspec) == run_lines(run)


def test_a_run_of_ours_that_failed(cli, client):
    run_id, _ = cli.fail("failing", "--where", "work", "--what", "standard", "--max-workers", "1")
    run = client.Run(f"Failing/{run_id}")
    lines = told(cli, "run", run.pathspec)
    assert " exception std::out_of_range: map::at" in lines
    assert lines == run_lines(run)


def test_a_run_of_python_that_failed(cli, client):
    assert cli.python("broken", "run", "--run-id-file", "id", "--max-workers", "1").status == 1
    run = client.Run(f"Broken/{(cli.directory / 'id').read_text()}")
    lines = told(cli, "run", run.pathspec)
    assert " exception builtins.ZeroDivisionError: division by zero" in lines
    assert lines == run_lines(run)


def test_flows_runs_tags_and_namespaces(cli, client):
    first = cli.run("sweep", "--n", "2", "--tag", "good")
    second = cli.run("sweep", "--n", "2", "--tag", "good", "--tag", "late")
    python = cli.run_python("maze")
    bad, _ = cli.fail("failing", "--where", "start")
    assert told(cli, "flows") == ["Failing", "Maze", "Sweep"]
    latest = f"latest successful Sweep/{second}"
    assert told(cli, "runs", "Sweep") == [f"Sweep/{second}", f"Sweep/{first}", latest]
    assert told(cli, "runs", "Sweep", "good", "late") == [f"Sweep/{second}", latest]
    assert told(cli, "runs", "Failing") == [f"Failing/{bad}", "latest successful None"]
    assert told(cli, "-n", "late", "flows") == ["Sweep"]
    assert told(cli, "-n", "late", "runs", "Sweep") == [f"Sweep/{second}", latest]
    assert told(cli, "-n", "user:nobody", "flows") == []
    assert told(cli, "-n", "user:tester", "runs", "Maze") == [f"Maze/{python}", f"latest successful Maze/{python}"]


@pytest.mark.parametrize(
    "arguments,words",
    [
        (("run", "Nothing/1"), "no flow Nothing"),
        (("run", "Sweep/nonsense"), "Sweep/nonsense"),
        (("run", "Sweep"), "'Sweep' is not of the form Flow/run"),
        (("task", "Sweep/{run}/start/99"), "Sweep/{run}/start/99"),
        (("task", "Sweep/{run}/nowhere/1"), "no step nowhere in run Sweep/{run}"),
        (("-n", "user:nobody", "run", "Sweep/{run}"), "namespace"),
    ],
)
def test_what_is_not_there(cli, arguments, words):
    run = cli.run("sweep", "--n", "1")
    result = cli("read_runs", *(argument.format(run=run) for argument in arguments))
    assert result.status == 1 and result.out.startswith("error ") and words.format(run=run) in result.out
