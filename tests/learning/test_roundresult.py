"""The record of a round."""

from __future__ import annotations

import pytest

from metaphase.errors import InputError
from metaphase.learning.loopfolder import LoopFolder
from metaphase.learning.roundresult import HEAD, load_rounds, round_rows
from tests.viewer.looppages import finish_round


def test_rounds_are_read_in_order_and_shown_with_intervals(tmp_path):
    loop = LoopFolder(tmp_path)
    for number in (2, 1, 10):
        finish_round(loop, number, decisions=10 * number)
    rounds = load_rounds(loop)
    assert [(one.number, one.decisions) for one in rounds] == [(1, 10), (2, 20), (10, 100)]
    (row, *_) = round_rows(rounds)
    shown = dict(zip(HEAD, row, strict=True))
    assert shown["F1"] == "0.600 (0.500 to 0.700)"
    assert shown["F1 before"] == "0.600 (0.500 to 0.700) at 0.500"


def test_a_damaged_record_is_named(tmp_path):
    loop = LoopFolder(tmp_path)
    finish_round(loop)
    (loop.round(1) / "round.json").write_text("[")
    with pytest.raises(InputError, match="train again"):
        load_rounds(loop)
