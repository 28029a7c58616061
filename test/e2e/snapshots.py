"""What the official client sees of a run, to compare it with another one."""

import collections
import os


def use_store(directory):
    """Metaflow's own client, looking at the store in this directory."""
    os.environ["METAFLOW_USER"] = "tester"
    import metaflow
    from metaflow.client import core
    from metaflow.client.filecache import FileCache

    (directory / ".metaflow").mkdir(exist_ok=True)
    metaflow.metadata(f"local@{directory}")
    metaflow.namespace(None)
    core.filecache = FileCache(cache_dir=str(directory / "client_cache"))
    return metaflow


_DIFFER = {"script_name"}
_values = {}  # what a key stood for: contents are addressed by content


def value_of(artifact):
    if artifact.sha not in _values:
        _values[artifact.sha] = repr(artifact.data)
    return artifact.sha, _values[artifact.sha]


_UNLISTED = ("_task_ok", "_success", "_foreach_stack", "_exception")  # the client has them, and does not list them


def artifacts_of(task):
    found = {artifact.id: value_of(artifact) for artifact in task if artifact.id not in _DIFFER}
    for name in _UNLISTED:
        if name in task:
            found[name] = value_of(task[name])
    return found


def snapshot(run):
    """Every artifact of every task of a run, by step and position."""
    found = {}
    for step in run:
        tasks = collections.defaultdict(list)
        for task in step:
            assert task.finished and task.successful, f"{task} is not finished"
            artifacts = artifacts_of(task)
            tasks[artifacts.get("_foreach_stack", ("",))[0]].append(artifacts)
        found[step.id] = {
            place: sorted(tasks_there, key=lambda artifacts: sorted(artifacts.items()))
            for place, tasks_there in tasks.items()
        }
    return found


def difference(a, b):
    """In words; empty if there is none."""
    if a.keys() != b.keys():
        return f"steps {sorted(a.keys() ^ b.keys())}"
    for step in a:
        if a[step] != b[step]:
            return f"step {step}: {a[step]}\n--- and\n{b[step]}"
    return ""


def look_at(run):
    """What a run that was stopped left must be understood, and nothing that was not finished be shown as such."""
    finished = 0
    for step in run:
        for task in step:
            artifacts = artifacts_of(task)
            assert task.stdout is not None and task.stderr is not None
            if task.successful:
                assert task.finished and artifacts["_task_ok"][1] == "True", f"{task}: {artifacts}"
                finished += 1
            if task.finished:
                assert task.successful, f"{task}: finished, and not successful"
    assert not run.successful or run["end"].task.successful
    return finished
