"""local: tasks start when the cores, the memory and the GPUs they ask for are free."""

import os
import re

import pytest
from conftest import SANITIZED
from shapes import plan

CORES = len(os.sched_getaffinity(0))


def asks(**resources):
    return ["--with", "local", "--with", "resources:" + ",".join(f"{k}={v}" for k, v in resources.items())]


def at_a_time(result, step):
    """How many tasks of a step were running after each of them had started."""
    running, counts = set(), []
    for line in result.lines:
        match = re.fullmatch(rf"\[{step}/(\d+)\] (Task is starting.*|Task finished successfully\.|Task failed\.)", line)
        if not match:
            continue
        if match[2].startswith("Task is starting"):
            running.add(match[1])
            counts.append(len(running))
        else:
            running.discard(match[1])
    return counts


def machine_memory():
    """In MB, of the machine; there may be less in a control group."""
    return int(re.search(r"MemTotal:\s+(\d+)", open("/proc/meminfo").read())[1]) * 1024 / 1e6


ITEMS = ["--items", "1,2,3,4,5,6"]


def test_tasks_that_want_all_cores_go_one_by_one(cli):
    result = cli("small_foreach", "run", *ITEMS, *asks(cpu=CORES, memory=1))
    assert result.status == 0
    assert at_a_time(result, "foreach_inner") == [1] * 6


def test_without_local_resources_are_a_hint(cli):
    """Each waits for the others, so this ends only if they run at a time."""
    result = cli("small_foreach", "run", "--items", "1,2", "--with", "resources:cpu=1000,gpu=9", env=plan("foreach_inner meet 2"))
    assert result.status == 0, result
    assert max(at_a_time(result, "foreach_inner")) == 2


def test_fractions_of_cores(cli):
    """As many at a time as there are workers for, and no more."""
    result = cli("small_foreach", "run", "--items", "1,2,3", *asks(cpu=CORES / 3, memory=1), env=plan("foreach_inner meet 3"))
    assert result.status == 0, result
    assert max(at_a_time(result, "foreach_inner")) == 3
    result = cli("small_foreach", "run", *ITEMS, *asks(cpu=CORES / 3, memory=1))
    assert max(at_a_time(result, "foreach_inner")) <= 3
    result = cli("small_foreach", "run", *ITEMS, "--max-workers", 1, *asks(cpu=0.1, memory=1))
    assert at_a_time(result, "foreach_inner") == [1] * 6


def test_memory_is_divided(cli):
    """Each may have more than half of the machine's."""
    result = cli("linear", "run", *asks(cpu=1, memory=1e9))
    assert result.status == 1
    has = re.search(r"this host has (\S+) (MB|GB|TB): it", result.err)
    megabytes = float(has[1].replace(",", "")) * {"MB": 1, "GB": 1e3, "TB": 1e6}[has[2]]
    assert megabytes <= machine_memory() * 1.01
    result = cli("small_foreach", "run", *ITEMS, *asks(cpu=0.1, memory=round(megabytes * 0.6)))
    assert result.status == 0 and at_a_time(result, "foreach_inner") == [1] * 6


def test_gpus_are_given_to_one_task_each(cli, client):
    env = {**plan("foreach_inner environment CUDA_VISIBLE_DEVICES", "foreach_inner environment ROCR_VISIBLE_DEVICES"), "METAFLOW_LOCAL_GPUS": "0,1"}
    result = cli("small_foreach", "run", *ITEMS, *asks(gpu=1, cpu=0.1, memory=1), env=env)
    assert result.status == 0
    assert max(at_a_time(result, "foreach_inner")) <= 2
    held = {}
    for line in result.lines:
        match = re.fullmatch(r"\[foreach_inner/(\d+)\] (.*)", line)
        if match and match[2].startswith("CUDA_VISIBLE_DEVICES="):
            gpu = match[2].partition("=")[2]
            assert gpu in ("0", "1") and gpu not in held.values(), "a GPU of another task"
            held[match[1]] = gpu
        elif match and match[2].startswith("ROCR_VISIBLE_DEVICES="):
            assert match[2].partition("=")[2] == held[match[1]]
        elif match and match[2] == "Task finished successfully.":
            del held[match[1]]
    assert held == {}


def test_both_gpus_at_a_time(cli, client):
    env = {**plan("foreach_inner environment CUDA_VISIBLE_DEVICES", "foreach_inner meet 2"), "METAFLOW_LOCAL_GPUS": "5,7"}
    run = client.Run("SmallForeach/" + cli.run("small_foreach", "--items", "1,2", *asks(gpu=1, cpu=0.1, memory=1), env=env))
    seen = sorted(task.stdout for task in run["foreach_inner"])
    assert seen == ["CUDA_VISIBLE_DEVICES=5\n", "CUDA_VISIBLE_DEVICES=7\n"]


def test_a_task_that_asks_for_no_gpu_sees_none(cli, client):
    env = {**plan("a environment CUDA_VISIBLE_DEVICES"), "METAFLOW_LOCAL_GPUS": "0,1"}
    run = client.Run("Linear/" + cli.run("linear", *asks(cpu=1, memory=1), env=env))
    assert run["a"].task.stdout == "CUDA_VISIBLE_DEVICES=\n"


def test_threads_of_libraries(cli, client):
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "METAFLOW_RUN_ID")
    rules = plan(*(f"a environment {name}" for name in names))
    run = client.Run("Linear/" + cli.run("linear", *asks(cpu=CORES, memory=1), env=rules))
    assert run["a"].task.stdout.splitlines()[:3] == [f"{name}={CORES}" for name in names[:3]]
    run = client.Run("Linear/" + cli.run("linear", *asks(cpu=0.5, memory=1), env=rules))
    assert run["a"].task.stdout.splitlines()[0] == "OMP_NUM_THREADS=1"
    # What is set, stays; what `environment` sets, too.
    run = client.Run("Linear/" + cli.run("linear", *asks(cpu=1, memory=1), env={**rules, "OMP_NUM_THREADS": "7"}))
    assert run["a"].task.stdout.splitlines()[:2] == ["OMP_NUM_THREADS=7", "OPENBLAS_NUM_THREADS=1"]
    with_ = [*asks(cpu=1, memory=1), "--with", 'environment:vars={"OMP_NUM_THREADS": "5"}']
    run = client.Run("Linear/" + cli.run("linear", *with_, env=rules))
    assert run["a"].task.stdout.splitlines()[0] == "OMP_NUM_THREADS=5"


@pytest.mark.parametrize(
    "resources, words",
    [
        ({"cpu": 10_000}, rf"requests 10000 cores, but this host has {CORES}: it could never start"),
        ({"memory": 1_000_000_000}, r"requests 1\S* PB of memory, but this host has .*: it could never start"),
        ({"gpu": 3, "memory": 1}, r"requests 3 GPUs, but this host has 2: it could never start"),
    ],
)
def test_what_never_fits_is_refused_before_the_run(cli, resources, words):
    result = cli("linear", "run", *asks(**resources), env={"METAFLOW_LOCAL_GPUS": "0,1"})
    assert result.status == 1 and re.search("Step start " + words, result.err), result
    assert "Workflow starting" not in result.out, result
    assert not list((cli.directory / ".metaflow").glob("Linear/[0-9]*"))


def test_resume_with_local(cli, client):
    cli.fail("small_foreach", *ITEMS, env=plan("foreach_inner throw x"))
    result = cli("small_foreach", "resume", *asks(cpu=CORES, memory=1))
    assert result.status == 0 and set(at_a_time(result, "foreach_inner")) == {1}
    result = cli("small_foreach", "resume", "foreach_inner", *asks(cpu=10_000))
    assert result.status == 1 and "it could never start" in result.err
    assert "Workflow starting" not in result.out, result


def test_a_pause_before_a_retry_holds_no_cores(cli):
    """All cores, one task at a time: while the failed one waits, another one has them."""
    with_ = [*asks(cpu=CORES, memory=1), "--with", "retry:times=1,minutes_between_retries=0.05"]
    result = cli("small_foreach", "run", *with_, env=plan("foreach_inner:0:0 throw x"))
    assert result.status == 0
    again = result.lines.index("[foreach_inner/3] Task is starting (retry).")
    assert result.lines.index("[foreach_inner/4] Task is starting.") < again
    assert set(at_a_time(result, "foreach_inner")) == {1}


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs more memory than any limit")
def test_a_task_over_its_limit_is_out_of_memory(cli, client):
    with_ = ["--with", "local:enforce=true", "--with", "resources:cpu=1,memory=100"]
    run_id, result = cli.fail("linear", *with_, env=plan("a memory 50", "a out had 50", "a memory 300"))
    shown = [line for line in result.lines if line.startswith("[a/2]")]
    assert "[a/2] had 50" in shown
    assert any(re.search("[Oo]ut of memory", line) for line in shown), result
    assert any("100.0 MB" in line for line in shown), result
    assert client.Run(f"Linear/{run_id}")["start"].task.successful
    # Without enforce the number is for dividing only.
    assert cli("linear", "run", *asks(cpu=1, memory=100), env=plan("a memory 300")).status == 0


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs more memory than any limit")
def test_out_of_memory_can_be_caught_and_retried(cli, client):
    with_ = ["--with", "local:enforce=true", "--with", "resources:cpu=1,memory=100", "--with", "retry:times=1,minutes_between_retries=0", "--with", "catch:var=caught"]  # fmt: skip
    run = client.Run("Linear/" + cli.run("linear", *with_, env=plan("a memory 300")))
    caught = run["a"].task["caught"].data
    assert re.search("[Oo]ut of memory", caught.type + caught.exception) and "100.0 MB" in caught.exception
