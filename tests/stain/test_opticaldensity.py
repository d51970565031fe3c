from __future__ import annotations

import numpy as np
import pytest

from metaphase.stain.opticaldensity import DECADIC, JITTER, NORMALISATION, DensityScale

VALUES = np.arange(256, dtype=np.uint8)


def test_the_formulas() -> None:
    value = 100
    image = np.full((2, 3), value, np.uint8)
    expected = {
        NORMALISATION: -np.log((value + 1) / 240),
        JITTER: -np.log(value / 255),
        DECADIC: -np.log10((value + 1) / 256),
    }
    for scale, density in expected.items():
        np.testing.assert_allclose(scale.density(image), np.full((2, 3), density), rtol=1e-6)


def test_white_has_no_density_for_jitter_and_black_a_finite_one() -> None:
    assert JITTER.density(VALUES)[-1] == 0
    assert np.isfinite(JITTER.density(VALUES)).all()


@pytest.mark.parametrize("scale", [NORMALISATION, JITTER])
def test_pixels_come_back(scale: DensityScale) -> None:
    again = scale.pixels(scale.density(VALUES)).astype(int)
    assert np.abs(again - VALUES).max() <= 1
