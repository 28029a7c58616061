"""Everything that a client tells about a run, as plain values: python client_facts.py FLOW/RUN compares Metaflow's client with
that of the Python package."""

import sys

import numpy as np


def plain(value):
    """A value that can be compared."""
    if isinstance(value, np.ndarray):
        return ("array", str(value.dtype), value.tolist())
    if isinstance(value, (list, tuple)):
        return [type(value).__name__, *map(plain, value)]
    if isinstance(value, dict):
        return {repr(key): plain(each) for key, each in value.items()}
    if isinstance(value, Exception):
        return str(value), repr(value), value.type, value.exception, value.stacktrace
    return repr(value)


def sorted_names(objects):
    """The objects; of those that do not exist yet, the error."""
    try:
        return sorted(map(str, objects))
    except Exception as error:
        return type(error).__name__, str(error)


def common(thing):
    """What every object has."""
    parent = thing.parent
    return {
        "str": str(thing),
        "id": thing.id,
        "pathspec": thing.pathspec,
        "components": thing.path_components,
        "parent": repr(parent),
        "origin": thing.origin_pathspec,
        "created": thing.created_at,
        "tags": (thing.tags, thing.user_tags, thing.system_tags),
        "visible": thing.is_in_namespace(),
    }


def artifact_facts(artifact):
    return {**common(artifact), "sha": artifact.sha, "size": artifact.size, "finished": artifact.finished_at, "data": plain(artifact.data)}


def task_facts(task):
    everything = [*task, *(task[name] for name in ("_task_ok", "_graph_info", "_foreach_stack", "_exception") if name in task)]
    return {
        **common(task),
        "outcome": (task.finished, task.successful, task.finished_at, task.current_attempt, task.index, plain(task.exception)),
        "logs": (task.stdout, task.stderr, task.stdout_size, task.stderr_size),
        "lines": [list(task.loglines(stream, as_unicode)) for stream in ("stdout", "stderr") for as_unicode in (True, False)],
        "metadata": sorted((each.name, repr(each.value), each.created_at, each.type, each.task is task) for each in task.metadata),
        "values": task.metadata_dict,
        "runtime": task.runtime_name,
        "neighbours": [sorted_names(tasks) for tasks in (task.parent_tasks, task.child_tasks)],
        "neighbour names": [sorted_names(names) for names in (task.parent_task_pathspecs, task.child_task_pathspecs)],
        "code": (task.code, task.environment_info),
        "artifacts": {artifact.id: artifact_facts(artifact) for artifact in everything},
        "named": sorted(task.artifacts._fields),
        "data": sorted(name for name in dir(task.data) if not name.startswith("_")),
        "has": [name in task for name in ("_task_ok", "nothing", "a/b")] + [name in task.data for name in ("_task_ok", "nothing")],
        "keys": sorted(task._ipython_key_completions_()),
    }


def step_facts(step):
    return {
        **common(step),
        "task": step.task.created_at,
        "finished": step.finished_at,
        "environment": step.environment_info,
        "control": step.control_task,
        "neighbours": [sorted_names(steps) for steps in (step.parent_steps, step.child_steps)],
        "tasks": {task.id: task_facts(task) for task in step.tasks()},
        "count": len(list(step)),
        "keys": sorted(step._ipython_key_completions_()),
    }


def run_facts(run):
    return {
        **common(run),
        "outcome": (run.finished, run.successful, run.finished_at, repr(run.end_task), run.trigger, run.code),
        "data": run.data and sorted(name for name in dir(run.data) if not name.startswith("_")),
        "steps": {step.id: step_facts(step) for step in run.steps()},
        "parameters": sorted(run["_parameters"].task.artifacts._fields),
        "keys": sorted(run._ipython_key_completions_()),
        "has": ["start" in run, "_parameters" in run, "nowhere" in run, "a/b" in run],
        "by tags": [len(list(run.steps(*tags))) for tags in ((), ("user:tester",), ("user:tester", "no tag"))],
    }


def flat(facts, place=""):
    """The innermost facts by their places."""
    if not isinstance(facts, dict):
        return {place: facts}
    found = {place: sorted(map(str, facts))}
    for key, value in facts.items():
        found |= flat(value, f"{place}/{key}")
    return found


def differences(theirs, ours, pathspec):
    """Where the clients differ: (place, what Metaflow's says, what ours says)."""
    one, other = (flat(run_facts(module.Run(pathspec))) for module in (theirs, ours))
    return [(place, one.get(place), other.get(place)) for place in sorted(one.keys() | other.keys()) if one.get(place) != other.get(place)]


if __name__ == "__main__":
    import metaflow
    import metaflow_cpp

    metaflow.namespace(None)
    metaflow_cpp.namespace(None)
    assert metaflow.get_metadata() == metaflow_cpp.get_metadata(), metaflow_cpp.get_metadata()
    print(differences(metaflow, metaflow_cpp, sys.argv[1]))
