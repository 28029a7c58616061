"""What the tests of the peers share. Each file has a `peer` of its own."""

import pytest

from .kubernetes_client import Client


@pytest.fixture
def rule(peer):
    """Adds a rule for one test."""
    yield lambda **text: peer.tell("POST", "/rules", text)["ids"][0]
    peer.tell("DELETE", "/rules")


@pytest.fixture(scope="module")
def cluster(peer):
    return Client(peer.kubeconfig)
