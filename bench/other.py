"""Benchmarks of parallel_map, the start of a flow binary, values as bytes, and compile times."""
import json
import os
import subprocess

from measuring import Budget, in_turns, least, measure, middle, store


def parallel(context, table):
    best = {}
    for line in measure([context.program("parallel_bench"), 7]).out.splitlines():
        case, method, wall, cpu, items = line.split()
        best[case, method] = float(wall), float(cpu), int(items)
    names = {"serial": "serial loop", "openmp": "OpenMP", "tbb": "std::execution::par", "threads1": "one thread"}
    twice = Budget("1.7x as fast on 2 cores", ratio=1 / 1.7)
    for case, what, budget in (("matrix", "matrix sum in 8 blocks", twice), ("busy", "100 items of 1 ms", None)):
        for peer in ("serial", "openmp", "tbb"):
            table.row(f"parallel_map, {what}: wall", best[case, "threads"][0], names[peer], best[case, peer][0],
                      budget=budget if peer == "serial" else None)
        table.row(f"parallel_map, {what}: CPU", best[case, "threads"][1], names["serial"], best[case, "serial"][1])
        for peer in ("serial", "threads1"):
            table.row(f"parallel_map, {what}, processes: wall", best[case, "processes"][0], names[peer], best[case, peer][0])
    for case, method, what in (("tiny", "threads", "tiny items"), ("tiny_processes", "processes", "tiny items, processes")):
        for peer in ("serial", "openmp", "tbb"):
            cpu = {name: best[case, name][1] / best[case, name][2] for name in (method, peer)}
            table.row(f"parallel_map, {what}: CPU per item", cpu[method], names[peer], cpu[peer])


def startup(context, table):
    with context.room() as room:
        env = store(room.fresh())
        bigsum = os.path.join(context.build, "examples", "bigsum")
        times = in_turns(50, {
            name: lambda command=command: measure(command, env=env)
            for name, command in {"--help": [bigsum, "--help"], "show": [bigsum, "show"], "check": [bigsum, "check"],
                                  "true": ["/bin/true"]}.items()})
        official = [context.python, context.peer("trivial_flow.py")]
        theirs = in_turns(2, {name: lambda name=name: measure([*official, name], env=env) for name in ("--help", "show", "check")})
        for name in ("--help", "show", "check"):
            table.row(f"bigsum {name}: CPU", least(times[name]), "true", least(times["true"]), budget=Budget("<= 5x", ratio=5))
            table.row(f"bigsum {name}: wall", middle(times[name]), "true", middle(times["true"]), budget=Budget("<= 5x", ratio=5))
            table.row(f"bigsum {name}: wall", middle(times[name]), f"Metaflow's {name}", middle(theirs[name]))


def values(context, table):
    out = measure([context.program("values_bench"), "--benchmark_format=json", "--benchmark_repetitions=2", "--benchmark_min_time=0.05"]).out
    ours = {}
    for run in json.loads(out[out.index("{"):])["benchmarks"]:
        if run["run_type"] == "iteration":
            name = run["run_name"].partition("/iterations")[0]
            ours[name] = min(ours.get(name, float("inf")), run["item"])
    pickle = {}
    for line in measure([context.python, context.peer("pickles.py")]).out.splitlines():
        name, nanoseconds = line.split()
        pickle[name] = float(nanoseconds) * 1e-9
    for name, each in ours.items():
        how, _, what = name.partition("/")
        if how not in ("encode", "decode"):
            continue
        for peer in ("memcpy", "json"):
            if f"{peer}_{name}" in ours:
                table.row(f"{how} {what}: CPU per item", each, peer if peer == "memcpy" else "nlohmann JSON", ours[f"{peer}_{name}"])
        table.row(f"{how} {what}: CPU per item", each, "Python's pickle", pickle[name])


def compile_time(context, table):
    """Prints a separate table."""
    script = os.path.join(context.here, "compile_time.sh")
    if os.path.exists(script):
        subprocess.run(["bash", script], check=True, env={**os.environ, "LIBRARIES": context.build})
