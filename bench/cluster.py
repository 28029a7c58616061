"""Remote work: many attempts in flight from one scheduler; S3 compared with other clients."""
import json
import os
import signal
import subprocess
import time

from measuring import Budget, amount, in_turns, measure, seconds, size, store

ATTEMPTS = 5000


class Servers:
    def __init__(self, context, what, directory):
        command = [context.python, context.peer("cluster_server.py"), what, directory]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.environment = {**os.environ, **json.loads(self.process.stdout.readline())}

    def counts(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def scheduler_of(guard):
    with open(f"/proc/{guard}/task/{guard}/children") as children:
        return int((children.read().split() or [guard])[0])


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) * 1024
    with open(f"/proc/{pid}/stat") as file:
        user, system = file.read().rpartition(")")[2].split()[11:13]
    return peak, (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def memory_of_all(pid):
    """The memory of a process and its descendants; what they share counts once."""
    with open(f"/proc/{pid}/smaps_rollup") as file:
        own = next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024
    with open(f"/proc/{pid}/task/{pid}/children") as children:
        return own + sum(memory_of_all(int(child)) for child in children.read().split())


def in_flight(context, command, count, more=None):
    """Runs a flow whose foreach has so many simulated pods in flight, which last an hour each. Then the run is interrupted."""
    with context.room() as room:
        where = room.fresh()
        with Servers(context, "kubernetes", where) as servers:
            environment = {**servers.environment, "METAFLOW_DATASTORE_SYSROOT_LOCAL": where, "USER": "bench",
                           "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "simulated", "METAFLOW_KUBERNETES_FETCH_IMAGE": "none", **(more or {})}
            words = [word for option in ("n", "max-num-splits", "max-workers") for word in (f"--{option}", str(count))]
            run = subprocess.Popen([*command, "run", *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            began, running, told = None, 0, []
            for line in run.stdout:
                told.append(line)
                began = began or (time.monotonic() if "/work/" in line else None)
                running += "Pod is running" in line
                if running == count:
                    break
            assert running == count, "".join(told[-200:])
            found = {"wall": time.monotonic() - began, "memory": memory_of_all(run.pid)}
            found["peak"], found["cpu"] = status_of(scheduler_of(run.pid))
            found["calls"] = sum(servers.counts().values())
            began = time.monotonic()
            run.send_signal(signal.SIGINT)
            run.stdout.read()
            run.wait()
            found["stopped"] = time.monotonic() - began
            found["created"] = servers.counts()["create jobs"]
    return found


def remote(context, table):
    found = in_flight(context, [context.program("remote_bench")], ATTEMPTS)
    table.row(f"{ATTEMPTS} attempts in flight: memory of the scheduler", found["peak"], unit=size, budget=Budget("<= 100 MB", ours=100e6))
    table.row(f"{ATTEMPTS} attempts in flight: API calls per attempt", found["calls"] / ATTEMPTS, unit=amount, budget=Budget("<= 3", ours=3))
    table.row("remote attempt: CPU of the scheduler to submit it", found["cpu"] / ATTEMPTS)
    table.row(f"{ATTEMPTS} attempts: until all run (50 calls/s at most)", found["wall"])
    table.row(f"{ATTEMPTS} attempts: to stop them", found["stopped"])
    assert found["created"] == ATTEMPTS, found


def remote_python(context, table):
    """The same flow in Python, which imports numpy, and in C++; and the official Metaflow, which has a process per attempt."""
    count, few = 1000, 4
    flow = context.peer("remote_flow.py")
    numpy = {"BENCH_IMPORT": "numpy"}
    engine = os.path.join(context.build, "python", "metaflow_cpp", "native")
    package = {"PYTHONPATH": os.path.join(context.here, "..", "python"), "METAFLOW_ENGINE_DIRECTORY": engine}
    ours = in_flight(context, [context.python, "-m", "metaflow_cpp", flow], count, {**package, **numpy})
    in_cpp = in_flight(context, [context.program("remote_bench")], count)
    theirs = in_flight(context, [context.python, flow], few, {**numpy, "METAFLOW_KUBERNETES_NAMESPACE": "metaflow"})  # it does not ask the context
    table.row(f"{count} attempts of a Python flow in flight: memory of the scheduler", ours["peak"], "of a C++ flow", in_cpp["peak"], unit=size,
              budget=Budget("<= 1.5x", ratio=1.5))
    table.row(f"{count} attempts of a Python flow in flight: memory of all processes, per attempt", ours["memory"] / count,
              f"Metaflow, of {few}", theirs["memory"] / few, unit=size)
    assert ours["created"] == count, ours


def rclone(environment, *words):
    return ["rclone", "--config", "/dev/null", "--s3-provider", "Ceph", "--s3-env-auth", "--s3-endpoint", environment["METAFLOW_S3_ENDPOINT_URL"],
            "--s3-no-check-bucket", "--transfers", "16", "--checkers", "16", *words]


def s3(context, table):
    """Uses a Ceph on this machine, which takes most of the processor time itself. The clients move the same objects in turns."""
    with context.room() as room:
        where = room.fresh()
        with Servers(context, "radosgw", os.path.join(where, "ceph")) as servers:
            # Not needed here, and rclone does not support it.
            environment = {name: value for name, value in servers.environment.items() if name != "AWS_CA_BUNDLE"}
            for count, bytes_each, what in ((4, 64 << 20, "4 objects of 64 MiB"), (2000, 1024, "2,000 objects of 1 KiB")):
                source, target = os.path.join(where, f"source{count}"), os.path.join(where, f"target{count}")
                os.makedirs(source)
                for number in range(count):
                    with open(os.path.join(source, f"object-{number}"), "wb") as file:
                        file.write(os.urandom(bytes_each))
                ours, theirs = {"put": [], "get": []}, {"put": [], "get": []}
                for turn in range(3):
                    for way in ("put", "get"):
                        done = subprocess.run([context.program("s3_bench"), way, f"s3://runs/ours{count}-{turn}", str(count), str(bytes_each)],
                                              env=environment, capture_output=True, text=True, check=True)
                        ours[way].append(float(done.stdout))
                        place = f":s3:runs/theirs{count}-{turn}"
                        ends = (source, place) if way == "put" else (place, f"{target}-{turn}")
                        began = time.monotonic()
                        subprocess.run(rclone(environment, "copy", "--no-traverse", *ends), env=environment, check=True, capture_output=True)
                        theirs[way].append(time.monotonic() - began)
                for way in ("put", "get"):
                    table.row(f"S3: {way} {what}", min(ours[way]), "rclone, 16 at a time", min(theirs[way]), unit=seconds,
                              budget=Budget("<= 1.11x", ratio=1 / 0.9))


def s3_python(context, table):
    """class S3 of the Python package and that of Metaflow, with the same Ceph."""
    with context.room() as room:
        where = room.fresh()
        with Servers(context, "radosgw", os.path.join(where, "ceph")) as servers:
            environment = {
                **store(where), **servers.environment, "METAFLOW_TEMPDIR": where,
                "PYTHONPATH": os.path.join(context.here, "..", "python"),
                "METAFLOW_ENGINE_DIRECTORY": os.path.join(context.build, "python", "metaflow_cpp", "native"),
            }
            large = os.path.join(where, "large")
            with open(large, "wb") as file:
                for _ in range(64):
                    file.write(os.urandom(16 << 20))
            upload = "import sys; from metaflow_cpp import S3; S3().put_files([(sys.argv[1], sys.argv[2])])"
            measure([context.python, "-c", upload, "s3://runs/large", large], env=environment)
            os.unlink(large)
            found = in_turns(3, {
                module: lambda module=module: measure(
                    [context.python, context.peer("s3_client.py"), module, f"s3://runs/{module}", "s3://runs/large"], env=environment)
                for module in ("metaflow_cpp", "metaflow")})
            least_of = {module: {} for module in found}
            for module, all_measured in found.items():
                for line in "".join(each.out for each in all_measured).splitlines():
                    name, number = line.split()
                    least_of[module][name] = min(float(number), least_of[module].get(name, float("inf")))
            for name, what in (("put_many", "put_many of 1,000 objects of 1 KiB"), ("get_many", "get_many of 1,000 objects of 1 KiB"),
                               ("get", "get of 1 GiB")):
                table.row(f"S3 in Python, {what}", least_of["metaflow_cpp"][name], "Metaflow's S3", least_of["metaflow"][name],
                          budget=Budget("<= 1x", ratio=1))
