"""The stand-in for the metadata service answers as the real one does: recorded.json is what version 2.5.1 on PostgreSQL 15 said."""

import json
import pathlib

from .metadata_service import MetadataService
from .metadata_service.replay import conversation

RECORDED = pathlib.Path(__file__).parent / "metadata_service" / "recorded.json"


def test_it_answers_as_the_real_one():
    recorded = json.loads(RECORDED.read_text())
    with MetadataService() as service:
        answers = conversation(service.url, "Replayed")
    for answer, real in zip(answers, recorded, strict=True):
        assert answer == real
