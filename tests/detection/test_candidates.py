"""Candidates of several parts are joined in order, and rounded as in files."""

from __future__ import annotations

import numpy as np

from metaphase.detection.candidates import Candidates


def test_parts_are_joined_in_their_order() -> None:
    one = Candidates(np.array([[1.0, 2.0, 0.5, 0.0]]), 1, np.array([[1.0, 2.0, 0.5, 0.9]]))
    two = Candidates(np.array([[3.0, 4.0, 0.7, 1.0]]), 2)
    both = Candidates.join([one, two])
    assert both.rows[:, 0].tolist() == [1, 3]
    assert both.capped_tiles == 3
    assert both.rescored.tolist() == [[1, 2, 0.5, 0.9]]


def test_nothing_is_a_result() -> None:
    nothing = Candidates.join([])
    assert nothing.rows.shape == nothing.rescored.shape == (0, 4)
    assert [len(column) for column in nothing.rounded()] == [0] * 4


def test_they_are_rounded_as_in_files() -> None:
    x, y, score, label = Candidates(np.array([[1.23456, 7.0, 0.12345678, 1.0]])).rounded()
    assert (x[0], y[0], score[0], label[0]) == (1.23, 7.0, 0.123457, 1)
    assert label.dtype == np.int8
