"""Programs with several flows: the first word of a command line names the flow, also in the commands that messages advise."""

import re


def advised(text, before):
    """The command that a message advises."""
    (command,) = re.findall(re.escape(before) + r"(?: \([^)]*\))?: (\S.*?)(?:   |$)", text, re.M)
    return command


def test_advised_commands_work(cli):
    failed = cli("several", "Train", "run", "--n", 8, env={"FAIL": "1"})
    assert failed.status == 1 and "Step round (task-id" in failed.err, failed
    again = cli.execute(["bash", "-c", advised(failed.out, "To rerun only this task")])
    assert again.status == 0 and "score = 1" in again.out, again
    status = cli("several", "Train", "status")
    resumed = cli.execute(["bash", "-c", advised(status.out, "To continue")])
    assert resumed.status == 0 and "The score of Train is 28." in resumed.out, resumed
    assert "Train run" in cli("several", "Train").err


def test_flows_have_runs_of_their_own(cli, client):
    assert cli("several", "Score", "run").status == 0
    assert cli("several", "Train", "run", "--n", 1).status == 0
    assert "Score/" in cli("several", "Score", "status", "latest").out
    assert client.Flow("Score").latest_run.data.value == 7 and client.Flow("Train").latest_run.successful


def test_program_lists_its_flows(cli):
    result = cli("several")
    assert result.status == 0 and "Flows:\n  Train  Trains a model.\n  Score\n" in result.out, result
    assert cli("several", "--help").out == result.out == cli("several", "help").out
    assert cli("several", "Trian").err.endswith("Error: No such flow 'Trian'. Did you mean Train?\n")
    misplaced = cli("several", "run", "--tag", "a b")
    assert misplaced.status == 2 and "Name the flow first: several_flow Train run --tag 'a b'\n" in misplaced.err


def test_manual_has_the_pages_of_all_flows(cli):
    assert cli("several", "man", "--output", "pages").status == 0
    pages = {page.name for page in (cli.directory / "pages").iterdir()}
    assert {"several_flow.1", "several_flow-Train-run.1", "several_flow-Score-tag-add.1"} <= pages
    assert cli("several", "man", "Train", "run").out == (cli.directory / "pages/several_flow-Train-run.1").read_text()
