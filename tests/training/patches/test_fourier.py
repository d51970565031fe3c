from __future__ import annotations

import numpy as np
import pytest

from metaphase.training.patches.fourier import mix_amplitudes
from tests.stain.images import OTHER, tissue


def test_colours_change_and_objects_stay_where_they_are() -> None:
    image, partner = tissue(2), tissue(3, OTHER, 1.4)
    mixed = mix_amplitudes(image, partner, beta=0.02)
    for channel in range(3):
        assert mixed[..., channel].mean() == pytest.approx(partner[..., channel].mean(), abs=2)
    edges = [np.diff(x[..., 1].astype(float), axis=0).ravel() for x in (image, mixed, partner)]
    assert np.corrcoef(edges[0], edges[1])[0, 1] > 0.9
    assert abs(np.corrcoef(edges[1], edges[2])[0, 1]) < 0.3


def test_the_result_is_that_of_a_full_transform() -> None:
    image, partner = tissue(2), tissue(3, OTHER, 1.4)
    own, theirs = (np.fft.fft2(x.astype(float), axes=(0, 1)) for x in (image, partner))
    low = np.abs(np.fft.fftfreq(96) * 96) <= int(0.05 * 96)
    square = (low[:, None] & low)[..., None]
    expected = np.where(square, np.abs(theirs) * np.exp(1j * np.angle(own)), own)
    whole = np.fft.ifft2(expected, axes=(0, 1)).real.clip(0, 255)
    mixed = mix_amplitudes(image, partner, beta=0.05).astype(float)
    assert np.abs(mixed - whole).max() < 1


def test_an_amount_of_zero_changes_nothing() -> None:
    image = tissue(2)
    assert np.array_equal(mix_amplitudes(image, tissue(3), beta=0.05, amount=0.0), image)
    assert np.array_equal(mix_amplitudes(image, image, beta=0.05), image)
    with pytest.raises(ValueError, match="one shape"):
        mix_amplitudes(image, tissue(3, side=64), beta=0.05)
