"""The record of a round."""

from __future__ import annotations

import pytest

from metaphase.errors import InputError
from metaphase.learning.loopfolder import LoopFolder
from metaphase.learning.roundresult import load_rounds, round_lines
from tests.viewer.looppages import finish_round


def test_rounds_are_read_in_order_and_shown_with_intervals(tmp_path):
    loop = LoopFolder(tmp_path)
    for number in (2, 1, 10):
        finish_round(loop, number, decisions=10 * number)
    rounds = load_rounds(loop)
    assert [(one.number, one.decisions) for one in rounds] == [(1, 10), (2, 20), (10, 100)]
    lines = round_lines(rounds)
    assert len(lines) == 9
    assert lines[0].endswith("on 2 slides, threshold 0.60 [0.50, 0.70]")
    assert lines[1].startswith("  F1 0.60 [0.50, 0.70], precision 0.60")
    assert lines[2] == "  F1 0.60 [0.50, 0.70] before, at 0.50"


def test_a_damaged_record_is_named(tmp_path):
    loop = LoopFolder(tmp_path)
    finish_round(loop)
    (loop.round(1) / "round.json").write_text("[")
    with pytest.raises(InputError, match="train again"):
        load_rounds(loop)
