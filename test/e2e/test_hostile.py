"""Stores with malicious content of another user must do no harm."""

import json
import os
import re
import shlex

import pytest


def files_of(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}


def change(path, how):
    """Puts a changed file in the place of one that may be linked to others."""
    data = json.loads(path.read_text())
    how(data)
    path.unlink()
    path.write_text(json.dumps(data))


CONFIGURATION = {"METAFLOW_DEFAULT_DECOSPECS": 'environment:vars={"LD_PRELOAD":"/tmp/evil.so"}'}


@pytest.mark.parametrize("step", ["_parameters", "start"])
def test_an_artifact_does_not_become_a_file_elsewhere(cli, step):
    """`resume` of a run with an artifact whose row would become a configuration file of the user who resumes it."""
    run_id = cli.run("wide", "--width", 2)
    (data,) = (cli.directory / f".metaflow/Wide/{run_id}/{step}").glob("*/0.data.json")
    name = "x/../../../../../../../.metaflowconfig/config"  # of the directory that is $HOME here
    text = json.dumps(CONFIGURATION)[1:-1]

    def add(contents):
        key = next(iter(contents["objects"].values()))
        contents["objects"][name] = key
        contents["info"][name] = {"size": 1, "type": "t", "encoding": 'e", ' + text + ', "x": "'}

    change(data, add)
    before = files_of(cli.directory)
    result = cli("wide", "resume", "--origin-run-id", run_id)
    assert {path for path in files_of(cli.directory) - before if not path.startswith(".metaflow/")} == set()
    if step == "start":  # a task like one that has not finished
        assert result.status == 0 and "Done!" in result.out, result
    else:
        assert result.status == 1 and f"'{name}' is not the name of an artifact" in result.err, result


def recorded_decorators(cli, run_id):
    """The file that `debug` obeys."""
    return cli.directory / f".metaflow/Wide/{run_id}/_meta/with.json"


def test_debug_does_not_obey_decorators_that_others_may_have_written(cli):
    value = "it's evil"
    run_id = cli.run("wide", "--with", f'environment:vars={json.dumps({"SEEN": value})}')
    debug = ("debug", f"{run_id}/work/3", "--wrap", "sh -c 'echo SEEN=$SEEN'")
    assert f"SEEN={value}\n" in cli("wide", *debug).out
    recorded_decorators(cli, run_id).chmod(0o666)
    result = cli("wide", *debug)
    assert "SEEN=\n" in result.out, result
    assert "all users can write it" in result.err, result
    (options,) = re.findall("put this before 'debug':(.*)", result.err)
    asked = cli("wide", *shlex.split(options), *debug)
    assert f"SEEN={value}\n" in asked.out and "Ignoring" not in asked.err, asked


def test_debug_does_not_obey_the_decorators_that_a_clone_comes_from(cli):
    run_id = cli.run("wide", "--with", 'environment:vars={"SEEN":"evil"}')
    recorded_decorators(cli, run_id).chmod(0o666)
    resumed, result = cli.resume("wide", "--origin-run-id", run_id)
    result = cli("wide", "debug", f"{resumed}/work/3", "--wrap", "sh -c 'echo SEEN=$SEEN'")
    assert "SEEN=\n" in result.out and "--with 'environment:vars=" in result.err, result


def test_control_characters_of_a_journal_do_not_reach_the_terminal(cli):
    run_id = cli.run("wide", "--with", 'environment:vars={"SEEN":"\\u001b]52;c;x\\u0007"}')
    recorded = recorded_decorators(cli, run_id)
    recorded.write_text(recorded.read_text().replace("\\\\u001b", "\\u001b").replace("\\\\u0007", "\\u0007"))
    recorded.chmod(0o666)
    result = cli("wide", "debug", f"{run_id}/work/3", "--wrap", "true")
    assert "\x1b" not in result.err and r"\x1b]52;c;x\x07" in result.err, result
    meta = recorded.parent
    first, rest = (meta / "journal.jsonl").read_text().split("\n", 1)
    (meta / "journal.jsonl").write_text(json.dumps({**json.loads(first), "host": "\x1b]0;evil\x07\nDone!"}) + "\n" + rest)
    status = cli("wide", "status", run_id)
    assert r"on \x1b]0;evil\x07\nDone!, pid" in status.out, status
    change(meta / "_self.json", lambda run: run["tags"].append("\x1b]0;evil\x07"))
    tags = cli("wide", "tag", "list", run_id)
    assert "\x1b" not in tags.out and r"\x1b]0;evil\x07" in tags.out, tags


def test_a_journal_that_calls_a_task_a_clone_of_itself_is_not_followed_for_ever(cli):
    run_id = cli.run("wide", "--width", 2)
    with (cli.directory / f".metaflow/Wide/{run_id}/_meta/journal.jsonl").open("a") as journal:
        journal.write(json.dumps({"e": "clone", "t": 1, "task": "work/3", "from": f"{run_id}/work/3"}) + "\n")
    result = cli("wide", "debug", f"{run_id}/work/3")
    assert result.status == 1 and "a clone of itself" in result.err, result


def test_values_of_environment_are_for_the_user_alone(cli):
    secret = b"hunter2-hunter2"
    run_id = cli.run("wide", "--with", f'environment:vars={{"TOKEN":"{secret.decode()}"}}')
    files = [path for path in (cli.directory / ".metaflow").rglob("*") if path.is_file()]
    (private,) = [path for path in files if secret in path.read_bytes()]
    assert private.stat().st_mode & 0o777 == 0o600
    result = cli("wide", "debug", f"{run_id}/work/3", "--wrap", "sh -c 'echo \"$@\" TOKEN=$TOKEN' sh")
    assert result.out.count(secret.decode()) == 1 and f"TOKEN={secret.decode()}\n" in result.out, result


def test_resume_does_not_take_over_decorators(cli):
    run_id, _ = cli.fail("misbehave", "--how", "throw", "--with", 'environment:vars={"SEEN":"evil"}')
    cli.resume("misbehave", "--origin-run-id", run_id, status=1)
    origin, resumed = sorted(cli.directory.glob(".metaflow/Misbehave/*/_meta/journal.jsonl"))
    assert "SEEN" in origin.read_text() and "SEEN" not in resumed.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
@pytest.mark.parametrize("what", [".metaflow/config.json", ".metaflow"])
def test_a_configuration_above_that_belongs_to_somebody_else_is_not_obeyed(cli, what):
    (cli.directory / ".metaflow").mkdir()
    (cli.directory / ".metaflow/config.json").write_text(json.dumps({**CONFIGURATION, "METAFLOW_USER": "mallory"}))
    os.chown(cli.directory / what, 54321, 54321)
    result = cli("wide", "show")
    assert "user:tester" in result.err, result
    assert "belongs to user 54321" in result.err, result
