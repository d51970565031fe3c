"""Tissue: nests, stroma and glass with the dyes that belong there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.phantom.tissue import Tissue, draw_tissue

MPP = 0.5


def tissue(seed: int = 0, strength: tuple[float, float] | None = (1.0, 1.0)) -> Tissue:
    return draw_tissue(np.random.default_rng(seed), 300, 240, MPP, strength)


def test_maps_have_the_size_and_the_range_they_should() -> None:
    drawn = tissue()
    for field in (drawn.haematoxylin, drawn.eosin, drawn.epithelium, drawn.glass):
        assert field.shape == (240, 300)
        assert np.isfinite(field).all()
        assert field.min() >= 0
    for part in (drawn.epithelium, drawn.glass):
        assert part.max() <= 1
    assert 0 <= drawn.direction < np.pi
    assert drawn.mpp == MPP


def test_the_same_seed_gives_the_same_tissue() -> None:
    first, second, other = tissue(1), tissue(1), tissue(2)
    assert first.haematoxylin.tobytes() == second.haematoxylin.tobytes()
    assert first.eosin.tobytes() == second.eosin.tobytes()
    assert first.direction == second.direction
    assert first.epithelium.tobytes() != other.epithelium.tobytes()


def test_there_is_no_dye_on_glass() -> None:
    """Over some seeds, so that one without any glass proves nothing by itself."""
    amount = 0
    for seed in range(4):
        drawn = tissue(seed)
        empty = drawn.glass == 1
        amount += int(empty.sum())
        assert not drawn.haematoxylin[empty].any()
        assert not drawn.eosin[empty].any()
    assert amount > 100


def test_epithelium_is_bluer_and_stroma_pinker() -> None:
    blue, pink = [], []
    for seed in range(4):
        drawn = tissue(seed)
        full = drawn.glass < 0.01
        inside, outside = full & (drawn.epithelium > 0.95), full & (drawn.epithelium < 0.05)
        blue.append(drawn.haematoxylin[inside].mean() - drawn.haematoxylin[outside].mean())
        pink.append(drawn.eosin[outside].mean() - drawn.eosin[inside].mean())
    assert min(blue) > 0
    assert min(pink) > 0


@settings(max_examples=5)
@given(st.floats(0.3, 3), st.floats(0.3, 3))
def test_the_strength_of_a_dye_multiplies_it_and_nothing_else(blue: float, pink: float) -> None:
    plain = tissue(3)
    strong = tissue(3, (blue, pink))
    np.testing.assert_allclose(strong.haematoxylin, blue * plain.haematoxylin, rtol=1e-5)
    np.testing.assert_allclose(strong.eosin, pink * plain.eosin, rtol=1e-5)
    assert strong.glass.tobytes() == plain.glass.tobytes()


def test_without_a_strength_it_is_random_within_limits() -> None:
    ratios = []
    for seed in range(6):
        given_, free = tissue(seed), tissue(seed, None)
        ratios.append(float(free.eosin.sum() / given_.eosin.sum()))
    assert len({round(ratio, 3) for ratio in ratios}) > 3
    assert min(ratios) >= 0.85
    assert max(ratios) <= 1.15


def test_a_slide_of_one_staining_may_have_any_composition() -> None:
    shares = [float(tissue(seed).epithelium.mean()) for seed in range(6)]
    assert max(shares) - min(shares) > 0.05
    assert all(0 < share < 1 for share in shares)


@pytest.mark.parametrize("seed", range(4))
def test_dyes_and_shares_are_in_their_range(seed: int) -> None:
    tissue = draw_tissue(np.random.default_rng(seed), 300, 200, 0.25)
    for field in (tissue.haematoxylin, tissue.eosin, tissue.epithelium, tissue.glass):
        assert field.shape == (200, 300)
        assert field.min() >= 0
    assert max(tissue.epithelium.max(), tissue.glass.max()) <= 1
    solid = tissue.glass < 0.05
    assert solid.mean() > 0.5
    assert tissue.eosin[solid].mean() > tissue.haematoxylin[solid].mean()
