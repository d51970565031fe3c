"""The scores on a card: entries keep their JSON, and known ones are checked."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from metaphase.models.cardscores import CardScores, Int8Note


def test_entries_are_added_replaced_and_removed() -> None:
    scores = CardScores({"mine": {"a": 1}}).with_entries(int8={"calibration_tiles": 3})
    assert scores.int8 == Int8Note(calibration_tiles=3)
    assert scores.int8.f1_change is None
    assert scores.with_entries(int8=None).int8 is None
    assert scores.with_entries(int8=None).entries == {"mine": {"a": 1}}


def test_a_wrong_entry_is_refused() -> None:
    with pytest.raises(ValidationError):
        CardScores({"int8": {"f1_change": 0.0}})
