"""The examples, through the eyes of Metaflow's own client."""

import numpy


def test_sweep(cli, client):
    run = client.Run("Sweep/" + cli.run("sweep", "--n", 12))
    assert run.successful and run.finished
    assert [step.id for step in run] == ["end", "join", "work", "start"]
    assert len(run.data.alphas) == 12
    work = sorted(run["work"].tasks(), key=lambda task: task.index)
    assert [task.index for task in work] == list(range(12))
    assert run.data.best == min(task.data.result for task in work)
    assert all(type(task.data.result) is float for task in work)


def test_bigsum(cli, client):
    run = client.Run("BigSum/" + cli.run("bigsum", "--size", 300, "--blocks", 4))
    assert run.data.size == 300
    assert abs(run.data.sum / 300**2 - 0.5) < 0.01
    assert run["end"].task.stdout.startswith("The sum is ")
