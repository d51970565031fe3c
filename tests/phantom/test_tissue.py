from __future__ import annotations

import numpy as np
import pytest

from metaphase.phantom.tissue import draw_tissue


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


def test_glass_is_empty() -> None:
    tissue = draw_tissue(np.random.default_rng(1), 600, 600, 0.25)
    empty = tissue.glass == 1
    assert empty.any()
    assert tissue.eosin[empty].max() == 0


def test_strength_scales_the_dyes() -> None:
    weak, strong = (
        draw_tissue(np.random.default_rng(2), 100, 100, 0.25, strength=(s, s)) for s in (0.5, 1.0)
    )
    np.testing.assert_allclose(2 * weak.eosin, strong.eosin, rtol=1e-5)
    np.testing.assert_allclose(2 * weak.haematoxylin, strong.haematoxylin, rtol=1e-5)
