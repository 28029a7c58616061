"""Where the time of a wide foreach in a real cluster goes: dev/real-kubernetes DIRECTORY -s -k figures."""

import datetime
import json
import os
import re
import statistics

from flows_in_cluster import PATIENCE, SMALL, calls

WIDTH, AT_A_TIME = 120, 30


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def processor_seconds(pid):
    """Of this process and of its children, which are the scheduler and its tasks here."""
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def test_figures_of_a_wide_foreach(flow):
    seen, pods, used = {}, {}, 0.0
    process = flow.start(
        "placed", "run", "--n", WIDTH, "--max-num-splits", WIDTH, "--max-workers", AT_A_TIME, "--with", SMALL,
        env={"METAFLOW_KUBERNETES_FETCH_IMAGE": "none", "METAFLOW_KUBERNETES_CONTAINER_IMAGE": "busybox:1"},
    )  # fmt: skip
    out = []
    for line in process.stdout:
        out.append(line)
        (scheduler,) = open(f"/proc/{process.pid}/task/{process.pid}/children").read().split() or (None,)
        if scheduler:
            used = max(used, processor_seconds(scheduler))
        # Pods are removed soon after they have ended.
        if "Task finished" in line or "Pod is running" in line:
            pods |= {pod["metadata"]["name"]: pod for pod in flow.objects("pods")}
    assert process.wait(PATIENCE) == 0, "".join(out)
    stamps = [moment(f"{found[1]}T{found[2]}Z") for line in out if (found := re.match(r"(\d{4}-\d\d-\d\d) (\d\d:\d\d:\d\d\.\d{3}) ", line))]
    begin, end = stamps[0], stamps[-1]

    def spans(name, since, until):
        found = []
        for pod in pods.values():
            try:
                found.append(until(pod) - since(pod))
            except (KeyError, IndexError, TypeError):
                pass
        if found:
            seen[name] = f"{statistics.median(found):.1f} s (median of {len(found)}), {max(found):.1f} s at most"

    made = lambda pod: moment(pod["metadata"]["creationTimestamp"])  # noqa: E731
    state = lambda pod, what: pod["status"]["containerStatuses"][0]["state"]["terminated"][what]  # noqa: E731
    spans("pod made until its container runs", made, lambda pod: moment(state(pod, "startedAt")))
    spans("container: package fetched, task executed", lambda pod: moment(state(pod, "startedAt")), lambda pod: moment(state(pod, "finishedAt")))
    counted = calls(flow)
    print(f"\n{WIDTH} tasks of which {AT_A_TIME} at a time: {end - begin:.0f} s")
    for name, value in seen.items():
        print(f"  {name}: {value}")
    print(f"  scheduler: {used:.2f} s of CPU, {counted.total()} calls: {json.dumps(counted.most_common())}")
    assert counted["create jobs"] == WIDTH + 3 and counted["get pods/log"] <= WIDTH + 3, counted
