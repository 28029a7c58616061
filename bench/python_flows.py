"""The same flow file in Python, executed by our engine and by the official Metaflow."""
import os

import arrays
from measuring import Budget, in_turns, least, measure, middle, store, touch_memory
from tasks import ELSE

FEW = 6  # items of the official runs
NUMPY = {"BENCH_IMPORT": "numpy"}


class Bench:
    def __init__(self, context, room):
        self.context, self.room = context, room
        top = os.path.dirname(context.here)
        engine = os.path.join(context.build, "python", "metaflow_cpp", "native")
        self.environment = {"PYTHONPATH": os.path.join(top, "python"), "METAFLOW_ENGINE_DIRECTORY": engine}

    def command(self, flow, *words):
        return [self.context.python, "-m", "metaflow_cpp", self.context.peer(flow), *words]

    def run(self, n, more=None, where=None):
        words = ["run", "--n", n, "--max-num-splits", n, "--max-workers", 2]
        environment = {**store(where or self.room.fresh()), **self.environment, **(more or {})}
        return measure(self.command("trivial_flow.py", *words), env=environment, memory=True)

    def resume(self, n, where):
        command = self.command("trivial_flow.py", "resume", "end", "--max-num-splits", n)
        return measure(command, env={**store(where), **self.environment})

    def official(self, *words, where=None, more=None):
        return measure([self.context.python, self.context.peer("trivial_flow.py"), *words], env={**store(where or self.room.fresh()), **(more or {})})


def python(context, table):
    with context.room() as room:
        bench = Bench(context, room)
        n = 1000
        times = in_turns(3, {"plain": lambda: bench.run(n), "numpy": lambda: bench.run(n, NUMPY), "C++": lambda: measure(
            [context.program("trivial_bench"), "run", "--n", n, "--max-num-splits", n, "--max-workers", 2], env=store(room.fresh()), memory=True)})
        ours = {name: least(measured) / (n + ELSE) for name, measured in times.items()}
        for name, words, more in (("plain", "", {}), ("numpy", ", numpy imported", NUMPY)):
            theirs = bench.official("run", "--n", FEW, "--max-workers", 2, more=more).cpu / (FEW + ELSE)
            if name == "numpy":
                table.row(f"trivial task in Python{words}: CPU", ours[name], budget=Budget("<= 6 ms", ours=6e-3))
            table.row(f"trivial task in Python{words}: CPU", ours[name], "Metaflow", theirs, budget=Budget("<= 1/100", ratio=1 / 100))
        table.row("trivial task in Python: CPU", ours["plain"], "in C++", ours["C++"])

        many, where = 10_000, room.fresh()
        wide = bench.run(many, where=where)
        table.row(f"foreach of {many} in Python: CPU per task", wide.cpu / (many + ELSE), "of 1000", ours["plain"], budget=Budget("<= 1.2x", ratio=1.2))
        narrow, limit = room.fresh(), 20
        bench.official("run", "--n", limit, "--max-workers", 2, where=narrow)
        theirs = bench.official("resume", "end", where=narrow).cpu / limit
        table.row(f"resume of {many} finished tasks in Python: CPU per clone", bench.resume(many, where).cpu / many, f"Metaflow, of {limit}", theirs)

        joined = {}
        for count in (100, many):  # the run again from its join on: what is beside the join is the same for both
            place = where if count == many else room.fresh()
            if count != many:
                bench.run(count, where=place)
            command = bench.command("trivial_flow.py", "resume", "join", "--max-num-splits", count)
            joined[count] = measure(command, env={**store(place), **bench.environment})
            again = bench.resume(count, place)
            joined[count] = max(joined[count].cpu - again.cpu, 0)
        official = {}
        few, limit = 5, 100  # a difference of milliseconds: the least of 3 in turns
        for count in (few, limit):
            place = room.fresh()
            bench.official("run", "--n", count, "--max-workers", 2, where=place)
            times = in_turns(3, {step: lambda step=step: bench.official("resume", step, where=place) for step in ("join", "end")})
            official[count] = least(times["join"]) - least(times["end"])
        per_input = (official[limit] - official[few]) / (limit - few)
        table.row(f"join over {many} in Python: CPU per input", joined[many] / many, f"Metaflow, of {limit}", per_input, budget=Budget("<= 1/10", ratio=1 / 10))

        ours = in_turns(5, {"--help": lambda: measure(bench.command("trivial_flow.py", "--help"), env={**store(room.fresh()), **bench.environment})})
        table.row("--help in Python: wall", middle(ours["--help"]), "Metaflow", bench.official("--help").wall)


def array(context, table):
    rounds = []
    for _ in range(3):
        with context.room() as room:
            bench, where = Bench(context, room), room.fresh()
            touch_memory()
            run = measure(bench.command("array_flow.py", "run", "--mib", arrays.MIB), env={**store(where), **bench.environment})
            times = {("ours", name): value for name, value in arrays.spans(run.out, arrays.FLOW_SPANS).items()}
            blob = max((os.path.join(d, f) for d, _, files in os.walk(where) for f in files), key=os.path.getsize)
            os.sync()
            times.update({("copy", name): value for name, value in arrays.copies(blob).items()})
            rounds.append(times)
    with context.room() as room:
        official = measure([context.python, context.peer("array_flow.py"), "run", "--mib", arrays.MIB_OFFICIAL], env=store(room.fresh()))
    official = {name: value * arrays.MIB / arrays.MIB_OFFICIAL for name, value in arrays.spans(official.out, arrays.FLOW_SPANS).items()}
    best = {key: min(times[key] for times in rounds) for key in rounds[0]}
    cp = best["copy", "cp --reflink=never"]
    table.row("save 1 GiB from Python", best["ours", "save"], "cp --reflink=never", cp, budget=Budget("<= 1.5x cp", ratio=1.5))
    table.row("save 1 GiB from Python", best["ours", "save"], f"Metaflow (from {arrays.MIB_OFFICIAL} MiB)", official["save"])
    for temperature in ("warm", "cold"):
        table.row(f"first element of 1 GiB in Python, {temperature}", best["ours", f"{temperature} first"], budget=Budget("<= 10 ms", ours=10e-3))
        table.row(f"load 1 GiB and sum it in Python, {temperature}", best["ours", temperature], f"Metaflow (from {arrays.MIB_OFFICIAL} MiB)", official[temperature])
