"""Whatever is killed, whenever: resume completes the run, executes nothing again that had finished, and leaves nothing behind. dev/chaos
does the same three hundred times and more."""

import shutil

import chaos
import pytest
from conftest import BUILD, SANITIZED


@pytest.mark.skipif(SANITIZED, reason="the sanitizers take too long for it")
def test_kills_at_random_instants():
    """A few. dev/chaos does it for hours."""
    directory = chaos.scratch()
    figures = chaos.chaos([(BUILD / "flows/chaos_flow", "Chaos")], directory, 10, 1)
    assert figures["kills"] >= 10 and figures["tasks cloned"] > 0, figures
    shutil.rmtree(directory)  # if it fails, it stays
