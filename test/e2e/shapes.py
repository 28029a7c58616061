"""The flows of test/flows/shapes: their names, and runs of them in words that do not depend on task ids."""

import collections

SPLITS = {
    "linear": "Linear",
    "branch": "Branch",
    "nested_branches": "NestedBranches",
    "foreach": "Foreach",
    "small_foreach": "SmallForeach",
    "nested_foreach": "NestedForeach",
}
SWITCHES = {
    "switch_basic": "SwitchBasic",
    "switch_nested": "SwitchNested",
    "switch_in_branch": "SwitchInBranch",
    "switch_in_foreach": "SwitchInForeach",
    "branch_in_switch": "BranchInSwitch",
    "foreach_in_switch": "ForeachInSwitch",
    "recursive_switch": "RecursiveSwitch",
    "recursive_switch_in_foreach": "RecursiveSwitchInForeach",
}
SHAPES = {**SPLITS, **SWITCHES}


def plan(*rules):
    """What PLAN tells the steps to do: see test/flows/shapes/plan.h."""
    return {"PLAN": ";".join(rules)}


def place(task):
    """('inner', '0,2', 0): the step, the foreach indices, and the round of a step that repeats itself."""
    path = task.metadata_dict.get("foreach-execution-path")
    indices = ",".join(part.split(":")[1] for part in path.split(",")) if path else ""
    return task.path_components[2], indices, task["rounds"].data if "rounds" in task else 0


def places(run):
    """Every task by its place."""
    found = {place(task): task for step in run for task in step}
    assert len(found) == sum(len(list(step)) for step in run)
    return found


def content(task, names=("lineage", "frames", "item", "joined", "x", "condition", "data", "caught")):
    return {name: task[name].data for name in names}


def is_clone(task):
    return "origin-task-id" in task.metadata_dict


def graph_of(run):
    """The following steps of every step."""
    steps = run["_parameters"].task["_graph_info"].data["steps"]
    return {name: step["next"] for name, step in steps.items()}


def lineages(graph):
    """What the artifact `lineage` should be in every step of a graph without switches."""
    before = collections.Counter(target for targets in graph.values() for target in targets)
    found = {}
    arrived = collections.defaultdict(set)

    def walk(step, lineage):
        if before[step] > 1 or step.endswith("join") or "join_" in step:
            arrived[step].add(lineage)
            if len(arrived[step]) < before[step]:
                return
            lineage = "(" + "|".join(sorted(arrived[step])) + ")"
        found[step] = f"{lineage}.{step}" if lineage else step
        for target in graph[step]:
            walk(target, found[step])

    walk("start", "")
    return found
