"""The plan of a slide: tissue as asked for, glass at the border, hotspots, whole figures."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.errors import InputError
from metaphase.phantom.slideplan import EDGE_PX, NODE_PX, plan_slide

MPP = 0.25


def plan(width=24_000, height=16_000, tissue_mm2=None, seed=0, blocks=24, plain=4):
    rng = np.random.default_rng(seed)
    return plan_slide(rng, width, height, MPP, tissue_mm2, blocks, plain)


def tissue_mm2(plan):
    return (plan.distance_px > 0).sum() * (NODE_PX * MPP) ** 2 * 1e-6


@pytest.mark.parametrize("wanted", [4.0, 9.0, 15.0])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_there_is_as_much_tissue_as_asked_for(wanted, seed):
    assert tissue_mm2(plan(tissue_mm2=wanted, seed=seed)) == pytest.approx(wanted, rel=0.06)


@pytest.mark.parametrize("wanted", [-1.0, 0.0, 23.0])
def test_tissue_that_does_not_fit_is_refused_with_the_most_that_does(wanted):
    with pytest.raises(InputError, match=r"at most 19\.2 mm2"):
        plan(tissue_mm2=wanted)


@pytest.mark.parametrize("seed", range(4))
def test_the_border_of_the_slide_is_glass(seed):
    distance = plan(seed=seed).distance_px
    last_row, last_column = 16_000 // NODE_PX, 24_000 // NODE_PX
    border = [distance[0], distance[:, 0], distance[last_row:].ravel(), distance[:, last_column:]]
    assert max(part.max() for part in border) < -EDGE_PX


def test_the_edge_has_only_blocks_without_figures():
    made = plan()
    rows, columns = made.block.shape
    whole = np.array(
        [[made.distance_range(r, c)[0] > EDGE_PX for c in range(columns)] for r in range(rows)]
    )
    assert (made.block[~whole] < 4).all()
    assert (made.block[whole] >= 4).all()


def test_busy_blocks_crowd_together_and_twins_do_not_touch():
    made = plan(60_000, 40_000).block
    inner = made >= 4
    pairs = inner[:, 1:] & inner[:, :-1]
    left, right = made[:, :-1][pairs].astype(float), made[:, 1:][pairs].astype(float)
    assert (left != right).all()
    assert np.corrcoef(left, right)[0, 1] > 0.3


def test_all_blocks_are_used():
    made = plan(60_000, 40_000)
    assert set(np.unique(made.block)) == set(range(24))


def test_the_same_seed_plans_the_same_slide():
    assert np.array_equal(plan().block, plan().block)
    assert not np.array_equal(plan().distance_px, plan(seed=1).distance_px)
