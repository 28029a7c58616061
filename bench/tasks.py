"""The cost of tasks: trivial ones, many of them, their join, a chain of them."""
import os
import re

from measuring import Budget, amount, files_below, in_turns, least, measure, middle, size, store

ELSE = 3  # tasks of a run beside those of the foreach: start, join, end


def stamps(out):
    """The stamps of flows/stamp.h: {name: (wall in seconds, cpu in seconds, peak memory in bytes)}."""
    return {name: (int(wall) / 1e6, int(cpu) / 1e6, int(peak) * 1024)
            for name, wall, cpu, peak in re.findall(r"@(\w+) (\d+) (\d+) (\d+)", out)}


class Bench:
    def __init__(self, context, room):
        self.context, self.room = context, room
        self.files = {}  # below the store of the last run, by number of tasks

    def ours(self, n, flow="trivial_bench", workers=2):
        where = self.room.fresh()
        measured = measure([self.context.program(flow), "run", "--n", n, "--max-num-splits", n, "--max-workers", workers],
                           env=store(where), memory=True)
        self.files[n] = files_below(where) if n <= 1000 else None
        return measured

    def official(self, n):
        where = self.room.fresh()
        measured = measure([self.context.python, self.context.peer("trivial_flow.py"), "run", "--n", n, "--max-workers", 2],
                           env=store(where))
        self.official_files = files_below(where)
        return measured

    def spawn(self, n, program, parallel=2):
        return measure([self.context.program("spawn_loop"), n, parallel, self.context.program(program)])

    def recipes(self, n):
        """The same number of no-ops for make, ninja, xargs and GNU parallel."""
        where = self.room.fresh()
        noop = self.context.program("noop_static")
        paths = {name: os.path.join(where, name) for name in ("Makefile", "build.ninja", "numbers")}
        with open(paths["Makefile"], "w") as file:
            names = " ".join(f"t{i}" for i in range(n))
            file.write(f"all: {names}\n{names}:\n\t@{noop}\n.PHONY: all {names}\n")
        with open(paths["build.ninja"], "w") as file:
            file.write(f"rule noop\n  command = {noop}\n" + "".join(f"build t{i}: noop\n" for i in range(n)))
        with open(paths["numbers"], "w") as file:
            file.write("".join(f"{i}\n" for i in range(n)))
        return {
            "make -j2": ["make", "-s", "-j2", "-f", paths["Makefile"]],
            "ninja -j2": ["ninja", "-j2", "-C", where],
            "xargs -P2": ["xargs", "-a", paths["numbers"], "-n1", "-P2", noop],
            "GNU parallel -j2": ["parallel", "--will-cite", "-j2", "-a", paths["numbers"], noop],
        }


def trivial(context, table):
    with context.room() as room:
        bench = Bench(context, room)
        n, few, fewer = 1000, 200, 6
        counts = {"ours": n + ELSE, "spawn of a static no-op": n, "spawn of a dynamic C++ no-op": n}
        commands = {
            "ours": lambda: bench.ours(n),
            "spawn of a static no-op": lambda: bench.spawn(n, "noop_static"),
            "spawn of a dynamic C++ no-op": lambda: bench.spawn(n, "noop_dynamic"),
        }
        many, some = bench.recipes(n), bench.recipes(few)
        for name in many:
            counts[name] = few if name.startswith("GNU") else n
            command = some[name] if name.startswith("GNU") else many[name]
            commands[name] = lambda command=command: measure(command)
        times = in_turns(3, commands)
        times["Metaflow"] = [bench.official(fewer)]
        counts["Metaflow"] = fewer + ELSE

        cpu = {name: least(times[name]) / counts[name] for name in times}
        wall = {name: middle(times[name]) / counts[name] for name in times}
        budgets = {"spawn of a dynamic C++ no-op": Budget("<= 1.5x", ratio=1.5)}
        for peer in list(times)[1:]:
            table.row("trivial task: CPU of all processes", cpu["ours"], peer, cpu[peer], budget=budgets.get(peer))
        for peer in list(times)[1:]:
            table.row("trivial task: wall, 2 at a time", wall["ours"], peer, wall[peer])

        ours, theirs = bench.files[n], bench.official_files
        for what, unit, budget in (("files", amount, Budget("<= 16 + new blobs", ours=16.1)), ("blobs", amount, None), ("inodes", amount, None), ("disk", size, None)):
            table.row(f"trivial task: {what} in the store", getattr(ours, what) / (n + ELSE), "Metaflow",
                      getattr(theirs, what) / (fewer + ELSE), unit=unit, budget=budget)


def foreach(context, table):
    with context.room() as room:
        bench = Bench(context, room)
        counts = [1000, 10_000] + ([100_000] if context.long else [])
        times = {n: [] for n in counts}
        for n in [1000, 10_000, *counts[2:], 1000, 10_000, 1000]:
            times[n].append(bench.ours(n))
        base = least(times[1000]) / (1000 + ELSE)
        table.row("foreach of 1000: CPU per task", base)
        for n in counts[1:]:
            table.row(f"foreach of {n}: CPU per task", least(times[n]) / (n + ELSE), "of 1000", base,
                      budget=Budget("<= 1.2x", ratio=1.2))
        base = middle(times[1000]) / (1000 + ELSE)
        for n in counts[1:]:
            table.row(f"foreach of {n}: wall per task", middle(times[n]) / (n + ELSE), "of 1000", base)
        for n in counts[1:]:
            more = (max(each.peak for each in times[n]) - min(each.peak for each in times[1000])) / (n - 1000)
            table.row(f"foreach of {n}: memory of scheduler per task", more, "all of it, at 1000: " + size(times[1000][0].peak),
                      unit=size, budget=Budget("<= 1 KB", ours=1024))

        n = 10_000
        plain = in_turns(1, {"small": lambda: bench.ours(1000, "plain_list_bench"), "large": lambda: bench.ours(n, "plain_list_bench")})
        table.row(f"foreach of {n} over a plain vector: CPU", least(plain["large"]) / (n + ELSE), "of 1000",
                  least(plain["small"]) / (1000 + ELSE), budget=Budget("<= 1.2x", ratio=1.2))


def join(context, table):
    """The join task of a foreach of 10,000 reads one artifact of each input."""
    with context.room() as room:
        bench = Bench(context, room)
        n = 10_000
        where = room.fresh()
        run = measure([context.program("trivial_bench"), "run", "--n", n, "--max-num-splits", n, "--max-workers", 2], env=store(where))
        found = stamps(run.out)
        (opened, opened_cpu, _), (joined, cpu, peak) = found["opened"], found["joined"]
        few = 20
        official = measure([context.python, context.peer("read_inputs.py"), few], env=store(where))
        theirs = float(official.out.split()[-1])
        paths = os.path.join(room.fresh(), "paths")
        with open(paths, "w") as out:
            for directory, _, names in os.walk(where):
                if os.path.basename(os.path.dirname(directory)) == "work":
                    out.writelines(os.path.join(directory, name) + "\n" for name in names if name.endswith(".data.json"))
        cat = min(measure(["xargs", "-a", paths, "cat"]).cpu for _ in range(3))
        table.row(f"join over {n}: CPU until the inputs are open", opened_cpu, "cat of their data.json", cat)
        table.row(f"join over {n}: wall of reading one artifact of each", joined - opened)
        table.row(f"join over {n}: CPU per input, all in all", cpu / n, "Metaflow's client", theirs)
        table.row(f"join over {n}: peak memory per input", peak / n, unit=size)


def client(context, table):
    """The client of the Python package lists 10,000 tasks, and reads an artifact of some."""
    with context.room() as room:
        n, few = 10_000, 300
        where = room.fresh()
        measure([context.program("trivial_bench"), "run", "--n", n, "--max-num-splits", n, "--max-workers", 2], env=store(where))
        ours = {"PYTHONPATH": os.path.join(context.here, "..", "python"),
                "METAFLOW_ENGINE_DIRECTORY": os.path.join(context.build, "python", "metaflow_cpp", "native")}
        found = in_turns(2, {
            module: lambda module=module: measure([context.python, context.peer("list_tasks.py"), module, "Trivial", "value", few],
                                                  env={**store(where), **ours})
            for module in ("metaflow_cpp", "metaflow")})
        best = {module: {} for module in found}
        for module, all_measured in found.items():
            for line in "".join(each.out for each in all_measured).splitlines():
                name, number = line.split()
                best[module][name] = min(float(number), best[module].get(name, float("inf")))
        assert best["metaflow_cpp"]["tasks"] == best["metaflow"]["tasks"] == n
        for name, what, budget in (("import", "import, and find the run", None), ("list", f"list {n} tasks, per task", Budget("<= 0.2x", ratio=0.2)),
                                   ("read", "read an artifact", Budget("<= 1x", ratio=1))):
            table.row(f"client in Python, {what}: CPU", best["metaflow_cpp"][name], "Metaflow's client", best["metaflow"][name], budget=budget)


def resume(context, table):
    """`resume` clones a run in which all but the last step has finished. `cp -al` is the lower bound for a copy."""
    with context.room() as room:
        counts = [1000, 10_000] + ([100_000] if context.long else [])
        times, copies = {n: [] for n in counts}, {n: [] for n in counts}
        for n in [*counts, 1000, 1000]:  # repeated, since a file system is slow after many files were removed
            where = room.fresh()
            program, limit = context.program("trivial_bench"), ("--max-num-splits", n)
            measure([program, "run", "--n", n, *limit, "--max-workers", 2], env=store(where))
            flow = os.path.join(where, ".metaflow", "Trivial")
            origin = max(name for name in os.listdir(flow) if name.isdigit())
            copies[n].append(measure(["cp", "-al", os.path.join(flow, origin), os.path.join(where, "copy")]))
            times[n].append(measure([program, "resume", "end", *limit], env=store(where), memory=True))
        cpu = {n: least(times[n]) / n for n in counts}
        wall = {n: middle(times[n]) / n for n in counts}
        peak = {n: times[n][-1].peak for n in counts}
        for n in counts:
            table.row(f"resume of {n} finished tasks: CPU per clone", cpu[n], "cp -al of the origin", least(copies[n]) / n,
                      budget=Budget("<= 1.2x", ratio=1.2))
        for n in counts[1:]:
            table.row(f"resume of {n} finished tasks: CPU per clone", cpu[n], "of 1000", cpu[1000], budget=Budget("<= 1.2x", ratio=1.2))
            table.row(f"resume of {n} finished tasks: wall per clone", wall[n], "of 1000", wall[1000])
            table.row(f"resume of {n} finished tasks: memory per clone", (peak[n] - peak[1000]) / (n - 1000), unit=size)


def chain(context, table):
    with context.room() as room:
        bench = Bench(context, room)
        n = 200
        times = in_turns(3, {
            "ours": lambda: measure([context.program("chain_bench"), "run"], env=store(room.fresh())),
            "foreach": lambda: bench.ours(n, workers=1),
            "spawn": lambda: bench.spawn(n, "noop_dynamic", parallel=1),
        })
        cpu = {name: least(measured) / n for name, measured in times.items()}
        wall = {name: least(measured, "wall") / n for name, measured in times.items()}
        table.row(f"chain of {n} steps: CPU per step", cpu["ours"], "spawn of a dynamic C++ no-op", cpu["spawn"])
        table.row(f"chain of {n} steps: CPU per step", cpu["ours"], f"task of a foreach of {n}", cpu["foreach"])
        table.row(f"chain of {n} steps: wall per step", wall["ours"], "spawn of a dynamic C++ no-op", wall["spawn"])
        table.row(f"chain of {n} steps: wall per step", wall["ours"], "one after the other in a foreach", wall["foreach"])
