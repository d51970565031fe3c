from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.stain.colourstatistics import ColourStatistics
from metaphase.training.patches.compose import CORE_UM, blob, cut
from metaphase.training.patches.picture import Picture
from tests.training.helpers import red_free_tissue


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), mpp=st.sampled_from([0.2, 0.25, 0.35, 0.5]))
def test_a_window_is_soft_at_its_rim_and_whole_at_its_aim(seed, mpp):
    rng = np.random.default_rng(seed)
    side = round(32 / mpp)
    picture = Picture(
        red_free_tissue(seed, side, side),
        ColourStatistics(np.ones(3), np.ones(3)),
        np.zeros((0, 2)),
        np.zeros((0, 4)),
        np.zeros(0, np.int64),
        np.array([side / 2, side / 2]),
    )
    window, alpha, _ = cut(rng, picture, mpp)
    assert window.image.shape[:2] == alpha.shape
    rim = np.concatenate([alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1]])
    assert rim.max() == 0
    assert 0 <= alpha.min() <= alpha.max() <= 1
    rows, columns = np.mgrid[: alpha.shape[0], : alpha.shape[1]] + 0.5
    near = np.hypot(columns - window.centre[0], rows - window.centre[1]) < CORE_UM / mpp - 1
    assert alpha[near].min() > 0.9
    steps = max(np.abs(np.diff(alpha, axis=axis)).max() for axis in (0, 1))
    assert steps < (0.75 if mpp > 0.3 else 0.55)


def test_a_blob_has_no_two_alike():
    rng = np.random.default_rng(0)
    aim = np.array([40.0, 40.0])
    first, second = (blob(rng, 80, 80, aim, 8.0, 18.0) for _ in range(2))
    assert not np.array_equal(first, second)
