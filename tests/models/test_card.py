"""The card: typed scores whose JSON stays as it was written, and limits of what is plausible."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from metaphase.models.card import InputSpec
from metaphase.models.cardscores import CardScores
from tests.models.test_modelfile import make_card

SCORES = {
    "z": {"f1": 1},
    "validation": {"overall": {"tp": 8, "fp": 2, "fn": 1, "f1": None}, "protocol": "left out"},
    "export": {"precision": "int8", "from": "abc", "calibration_tiles": 9},
}


def test_scores_keep_their_json_and_order() -> None:
    card = make_card(scores=SCORES)
    assert json.dumps(card.model_dump(mode="json")["scores"]) == json.dumps(SCORES)
    assert card.scores.entries["z"] == {"f1": 1}


def test_known_entries_have_types() -> None:
    scores = CardScores(SCORES)
    assert scores.validation is not None
    assert (scores.validation.overall.tp, scores.validation.protocol) == (8, "left out")
    assert scores.export is not None
    assert (scores.export.precision, scores.export.source_id) == ("int8", "abc")
    assert scores.export.calibration_tiles == 9
    assert CardScores({}).validation is CardScores({}).export is None


def test_entries_are_added_without_changing_the_others() -> None:
    scores = CardScores(SCORES)
    more = scores.with_entries(speed={"mm2/s": 1})
    assert list(more.entries) == [*SCORES, "speed"]
    assert "speed" not in scores.entries


def test_the_counts_of_the_validation() -> None:
    counts = make_card(scores=SCORES).validation_counts
    assert counts is not None
    assert counts.to_json() == {
        "threshold": 0.4, "tp": 8, "fp": 2, "fn": 1, "protocol": "left out",
    }  # fmt: skip
    partial = {"validation": {"overall": {"tp": 8}}}
    assert make_card(scores=partial).validation_counts is None
    assert make_card().validation_counts is None


def test_changes_are_checked() -> None:
    card = make_card()
    assert card.updated(seed=3).seed == 3
    assert card.seed == 0
    with pytest.raises(ValidationError):
        card.updated(merge_radius_um=-1)
    with pytest.raises(ValidationError, match="leaves nothing"):
        InputSpec(mpp=0.25, tile_px=64, margin_px=32)
