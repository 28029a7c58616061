"""An array of 1 GiB, saved and loaded."""
import os

from measuring import Budget, measure, store, touch_memory
from tasks import stamps

MIB = 1024
MIB_OFFICIAL = 128  # Metaflow compresses: its times are for this size, then multiplied


def evict(path):
    fd = os.open(path, os.O_RDONLY)
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(fd)


def spans(out, pairs):
    """{name: seconds of wall time between two stamps}"""
    found = stamps(out)
    return {name: found[end][0] - found[begin][0] for name, (begin, end) in pairs.items()}


FLOW_SPANS = {
    "save": ("made", "warm"),  # the exit of one process and the start of another are in it
    "warm first": ("warm", "warm_first"), "warm": ("warm", "warm_total"),
    "cold first": ("cold", "cold_first"), "cold": ("cold", "cold_total"),
}
NUMPY_SPANS = {
    "save": ("made", "saved"),
    "warm": ("warm", "warm_total"), "cold": ("cold", "cold_total"),
    "mapped warm": ("mapped_warm", "mapped_warm_total"), "mapped cold": ("mapped_cold", "mapped_cold_total"),
}


def flow(context, room):
    where = room.fresh()
    touch_memory()
    measured = measure([context.program("array_bench"), "run", "--mib", MIB], env=store(where))
    at = stamps(measured.out)
    blob = max((os.path.join(d, f) for d, _, files in os.walk(where) for f in files), key=os.path.getsize)
    times = spans(measured.out, FLOW_SPANS)
    # CPU outside the bodies of the steps: saving, and a few milliseconds of other work.
    times["CPU of save"] = measured.cpu - at["made"][1] - at["warm_total"][1] - at["cold_total"][1]
    return times, blob


def copies(blob):
    """The same bytes, copied by cp with a warm and a cold page cache."""
    times = {}
    for name, options in (("cp", []), ("cp --reflink=never", ["--reflink=never"])):
        for cold in (False, True):
            if cold:
                evict(blob)
            target = blob + ".copy"
            touch_memory()
            copied = measure(["cp", *options, blob, target])
            times[f"{name}{', cold' if cold else ''}"] = copied.wall
            times[f"CPU of {name}{', cold' if cold else ''}"] = copied.cpu
            os.sync()
            os.unlink(target)
    return times


def array(context, table):
    rounds = []
    for _ in range(3):
        with context.room() as room:  # removed before the next round
            ours, blob = flow(context, room)
            os.sync()
            times = {("ours", name): value for name, value in ours.items()}
            with open(blob, "rb") as file:  # into the page cache
                while file.read(1 << 24):
                    pass
            times.update({("copy", name): value for name, value in copies(blob).items()})
            touch_memory()
            numpy = measure([context.python, context.peer("array_numpy.py"), MIB, os.path.join(room.fresh(), "a.npy")])
            times.update({("numpy", name): value for name, value in spans(numpy.out, NUMPY_SPANS).items()})
            os.sync()
            rounds.append(times)
    with context.room() as room:
        official = measure([context.python, context.peer("array_flow.py"), "run", "--mib", MIB_OFFICIAL], env=store(room.fresh()))
    official = {name: value * MIB / MIB_OFFICIAL for name, value in spans(official.out, FLOW_SPANS).items()}

    best = {key: min(times[key] for times in rounds) for key in rounds[0]}
    ours = {name: value for (who, name), value in best.items() if who == "ours"}
    budget = Budget("<= 1.5x cp", ratio=1.5)
    table.row("save 1 GiB", ours["save"], "cp --reflink=never", best["copy", "cp --reflink=never"], budget=budget)
    table.row("save 1 GiB", ours["save"], "cp", best["copy", "cp"], budget=budget)
    table.row("save 1 GiB: CPU, hashing included", ours["CPU of save"], "cp --reflink=never", best["copy", "CPU of cp --reflink=never"])
    table.row("save 1 GiB", ours["save"], "numpy.save", best["numpy", "save"])
    table.row("save 1 GiB", ours["save"], f"Metaflow (from {MIB_OFFICIAL} MiB)", official["save"])
    for temperature in ("warm", "cold"):
        suffix = ", cold" if temperature == "cold" else ""
        what = f"load 1 GiB and sum it, {temperature}"
        table.row(what, ours[temperature], "cp --reflink=never" + suffix, best["copy", "cp --reflink=never" + suffix], budget=budget)
        table.row(what, ours[temperature], "numpy.load", best["numpy", temperature])
        table.row(what, ours[temperature], "numpy.load, mapped", best["numpy", "mapped " + temperature])
        table.row(what, ours[temperature], f"Metaflow (from {MIB_OFFICIAL} MiB)", official[temperature])
        table.row(f"first element of 1 GiB, {temperature}", ours[temperature + " first"], budget=Budget("<= 5 ms", ours=5e-3))
