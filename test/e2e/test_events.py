"""Events for programs: `run --json`, `resume --json` and `status --json` follow docs/events.schema.json."""

import json
import pathlib
import re
import signal
import subprocess

import pytest

DOCS = pathlib.Path(__file__).parents[2] / "docs"
SCHEMAS = json.loads((DOCS / "events.schema.json").read_text())["$defs"]
TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None)}


def check(value, schema, place):
    """The part of JSON Schema that docs/events.schema.json uses."""
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    assert any(isinstance(value, TYPES[t]) and (t == "boolean") == isinstance(value, bool) for t in types), (place, value)
    assert value in schema.get("enum", [value]), (place, value)
    assert value is None or "minimum" not in schema or value >= schema["minimum"], (place, value)
    if isinstance(value, dict):
        assert set(schema["required"]) <= set(value) <= set(schema["properties"]), (place, value)
        for name, member in value.items():
            check(member, schema["properties"][name], f"{place}.{name}")
    if isinstance(value, list):
        for item in value:
            check(item, schema["items"], f"{place}[]")


def checked(out):
    """The events in what a run printed, which is nothing else."""
    events = [json.loads(line) for line in out.splitlines()]
    for event in events:
        check(event, SCHEMAS[event["event"]], event["event"])
    assert [event.get("version") for event in events] == [1] + [None] * (len(events) - 1)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", event["time"]) for event in events)
    assert events[0]["event"] == "run_started" and events[-1]["event"] == "run_ended"
    for event in events:  # names of events that a task had before
        if event["event"] in ("task_started", "task_output", "task_finished", "task_failed"):
            key = (event["step"], event["task"], event["attempt"])
            assert any(key == (e.get("step"), e.get("task"), e.get("attempt")) for e in events if e["event"] == "task_queued")
    return events


def of(events, name, *fields):
    found = [event for event in events if event["event"] == name]
    return [tuple(event[field] for field in fields) for event in found] if fields else found


def test_examples_of_the_page_follow_the_schema():
    examples = [json.loads(line) for line in (DOCS / "events.md").read_text().splitlines() if line.startswith("{")]
    assert {example["event"] for example in examples} == set(SCHEMAS) - {"status"}
    for example in examples:
        check({"time": "", "flow": "", "run": "", **example}, SCHEMAS[example["event"]], example["event"])


def test_events_of_a_foreach(cli):
    result = cli("sweep", "run", "--n", 3, "--json")
    events = checked(result.out)
    assert of(events, "foreach", "step", "to", "items") == [("start", "work", 3)]
    assert of(events, "tasks_expected", "step", "tasks") == [("start", 1), ("work", 3), ("join", 1), ("end", 1)]
    started = {event["task"]: event for event in of(events, "task_started") if event["step"] == "work"}
    assert [(event["index"], event["label"]) for event in started.values()] == [
        ([0], "0.0"), ([1], "1.3333333333333333"), ([2], "2.6666666666666665")
    ]
    assert len(of(events, "task_finished")) == 6
    assert of(events, "task_output", "stream", "text") == [("stdout", "The minimum of 3 points is -0.475866 at 1.333333.")]
    assert of(events, "run_ended", "state", "exit_code", "finished", "failed") == [("done", 0, 6, 0)]
    assert of(events, "progress")[-1]["steps"][1] == {
        "step": "work", "tasks": 3, "done": 3, "cloned": 0, "running": 0, "failed": 0
    }


def test_events_of_a_failure_and_its_resume(cli):
    result = cli("failing", "run", "--where", "work", "--with", "retry:times=1,minutes_between_retries=0", "--json")
    assert result.status == 1
    events = checked(result.out)
    failed = of(events, "task_failed")
    assert [(e["attempt"], e["index"], e["label"], e["cause"], e["exit_code"]) for e in failed] == [
        (n, [1], "one", "std::runtime_error: no reason", 1) for n in (0, 1)
    ]
    assert of(events, "task_retried", "attempt", "counted", "delay") == [(1, True, 0)]
    cause = f"Step work (task-id {failed[0]['task']}) failed."
    assert of(events, "run_stopping", "cause") == [(cause,)]
    assert of(events, "run_ended", "state", "exit_code", "cause", "retried", "failed") == [("failed", 1, cause, 1, 1)]

    status = json.loads(cli("failing", "status", "--json").out)
    check(status, SCHEMAS["status"], "status")
    assert [(f["label"], f["index"], f["attempt"]) for f in status["failures"]] == [("one", 1, 1)]
    assert status["steps"][1]["retried"] == 1
    text = cli("failing", "status").out
    assert f"work/{failed[0]['task']} (one): std::runtime_error: no reason" in text

    result = cli("failing", "resume", "--json")
    resumed = checked(result.out)
    assert of(resumed, "run_started", "command", "origin") == [("resume", events[0]["run"])]
    clones = of(resumed, "task_cloned")
    assert [c["label"] for c in clones if c["step"] == "work"] == ["zero", "two"] and clones[0]["step"] == "start"
    assert [e["label"] for e in of(resumed, "task_failed")] == ["one"]


def test_events_of_caught_failures(cli):
    for how, signals in (("throw", []), ("kill", [9])):
        result = cli("misbehave", "run", "--how", how, "--with", "catch", "--json")
        assert result.status == 0, result
        events = checked(result.out)
        assert of(events, "task_caught", "step") == [("middle",)]
        assert of(events, "run_ended", "caught", "failed", "finished") == [(1, 0, 3)]
        assert [event["signal"] for event in of(events, "task_failed")] == signals  # then a fallback attempt records it
    status = json.loads(cli("misbehave", "status", "--json").out)
    assert [step["caught"] for step in status["steps"]] == [0, 1, 0]


def test_events_of_a_timeout(cli):
    result = cli("misbehave", "run", "--how", "sleep", "--with", "timeout:seconds=1", "--json")
    assert of(checked(result.out), "task_failed", "timed_out", "cause") == [
        (True, "Step middle timed out after 0 hours, 0 minutes, 1 seconds")
    ]


def test_events_of_an_interrupted_run(cli):
    process = subprocess.Popen(
        [cli.path("misbehave"), "run", "--how", "sleep", "--json"], cwd=cli.directory, env=cli.environment,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )
    out = ""
    for line in process.stdout:
        out += line
        event = json.loads(line)
        if event["event"] == "task_started" and event["step"] == "middle":
            process.send_signal(signal.SIGINT)
    assert process.wait() == 1
    events = checked(out)
    assert of(events, "run_stopping", "running") == [(1,)]
    assert of(events, "task_stopped", "signal") == [(15,)]
    assert of(events, "run_ended", "state", "exit_code", "stopped") == [("interrupted", 1, 1)]


@pytest.mark.parametrize("line", ["Done!", "Flushing logs..."])
def test_summary_stands_before_the_last_line(cli, line):
    """Scripts read the last line of the standard output."""
    result = cli("failing", "run", "--where", "nowhere" if line == "Done!" else "work")
    assert result.lines[-1] == line
    assert result.lines[-2].startswith("Tasks: 6 finished. Wall time " if line == "Done!" else "Tasks: ")
    assert ", 1 failed" in result.lines[-2] or line == "Done!"
