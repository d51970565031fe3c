from __future__ import annotations

from metaphase.training.checks.finding import shown


def test_long_lists_are_cut():
    assert shown(range(3)) == "0, 1, 2"
    assert shown(range(9)) == "0, 1, 2, 3, 4 and 4 more"
