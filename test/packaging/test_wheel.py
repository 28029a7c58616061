"""The package for Python, as dev/wheel makes it and pip installs it."""

import subprocess

from conftest import SOURCE


def test_wheel_runs_flows_with_numpy_1_and_2_and_without():
    done = subprocess.run([SOURCE / "dev" / "wheel"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 0, done.stdout
    environments = ["numpy<2", "numpy>=2", "nothing else"]
    assert [line.split(" with ")[1] for line in done.stdout.splitlines() if line.startswith("== a new environment")] == environments, done.stdout
    assert done.stdout.count(" ended with 7.5 ") == len(environments), done.stdout  # python tour.py
    assert done.stdout.count(" ended with 2.5 ") == len(environments), done.stdout  # metaflow-cpp unchanged.py
