"""All candidates of a loop in one table."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from metaphase.errors import InputError
from metaphase.learning.pool import load_pool


def test_rows_are_those_of_the_images_in_order(begun):
    pool = load_pool(begun)
    assert pool.names == ("case0", "case1", "case2")
    assert len(pool.slide) == len(pool.score) == len(pool.features) == len(pool.first)
    assert not pool.decided.any()
    row = int(np.flatnonzero(pool.slide == 2)[4])
    name, x, y = pool.place(row)
    assert name == "case2"
    assert [x, y] == pool.candidates[2].points[4].tolist()


def test_labels_decide_all_candidates_of_their_images(begun, reviews):
    pool = load_pool(begun, reviews[1:])
    assert not pool.decided[pool.slide == 0].any()
    assert pool.decided[pool.slide > 0].all()
    figures = np.bincount(pool.slide, np.nan_to_num(pool.target)) + pool.missed
    assert figures.tolist() == [0, 8, 8]


def test_a_loop_without_candidates_is_refused(loop):
    shutil.rmtree(loop.path / "candidates")
    with pytest.raises(InputError, match="no candidates"):
        load_pool(loop)
