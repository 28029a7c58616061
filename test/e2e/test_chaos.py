"""Whatever happens, whenever: resume completes the run, executes nothing again that had finished, and leaves nothing behind, and no two
machines execute the same. dev/chaos does the same three hundred times and more."""

import shutil

import chaos
import pytest
from conftest import BUILD, SANITIZED


@pytest.mark.skipif(SANITIZED, reason="the sanitizers take too long for it")
def test_disturbances_at_random_instants():
    """A few. dev/chaos does it for hours."""
    directory = chaos.scratch("chaos")
    figures = chaos.chaos([chaos.Program(BUILD / "flows/chaos_flow", "Chaos"), chaos.in_python(directory)], directory, 16, 1, patient=0)
    assert figures["disturbances"] >= 12 and figures["tasks cloned"] > 0, figures
    shutil.rmtree(directory)  # if it fails, it stays
