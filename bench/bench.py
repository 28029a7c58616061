"""Runs the benchmarks and prints a table. Called by dev/bench, which builds the programs.

Processor time is the user and system time of a command and of all its descendants. Peers take turns with us in the same run. The minimum of
processor times and the median of wall times count, unless a row names another measure.
"""
import argparse
import os
import platform
import sys

import arrays
import cluster
import other
import python_flows
import tasks
from measuring import Room, Table

BENCHMARKS = {
    "trivial": tasks.trivial,
    "foreach": tasks.foreach,
    "join": tasks.join,
    "client": tasks.client,
    "resume": tasks.resume,
    "chain": tasks.chain,
    "array": arrays.array,
    "python": python_flows.python,
    "python_array": python_flows.array,
    "parallel": other.parallel,
    "startup": other.startup,
    "values": other.values,
    "compile_time": other.compile_time,
    "remote": cluster.remote,
    "remote_python": cluster.remote_python,
    "s3": cluster.s3,
    "s3_python": cluster.s3_python,
}


class Context:
    def __init__(self, build, python, room, long):
        self.build, self.python, self.long = build, python, long
        self._room = room or os.path.join(build, "bench", "room")
        self.here = os.path.dirname(os.path.abspath(__file__))

    def program(self, name):
        return os.path.join(self.build, "bench", name)

    def peer(self, name):
        return os.path.join(self.here, "peers", name)

    def room(self):
        return Room(self._room)


def machine():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":")[1].strip() for line in info if line.startswith("model name")), platform.machine())
    return f"{os.cpu_count()} x {model}, Linux {platform.release()}, load {os.getloadavg()[0]:.1f}"


def main():
    parser = argparse.ArgumentParser(prog="dev/bench", description="Measures us and our peers, prints a table.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--long", action="store_true", help="also a foreach of 100,000, and its resume: some minutes more")
    parser.add_argument("--room", metavar="DIR", help="directory for the stores of the measured flows; default: in the build directory")
    parser.add_argument("--build", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--python", required=True, help=argparse.SUPPRESS)
    options = parser.parse_args()
    for name in options.names:
        if name not in BENCHMARKS:
            parser.error(f"unknown benchmark {name}. Benchmarks: {', '.join(BENCHMARKS)}")

    context = Context(options.build, options.python, options.room, options.long)
    print(machine())
    table = Table()
    for name in options.names or BENCHMARKS:
        BENCHMARKS[name](context, table)
    if table.missed:
        print(f"{table.missed} budget{'s were' if table.missed > 1 else ' was'} missed.")
        sys.exit(1)


if __name__ == "__main__":
    main()
