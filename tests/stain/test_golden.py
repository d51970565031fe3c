"""Numbers that trained models depend on: stain normalisation, stain transfer and stain jitter.

They were computed before the stain code was put into one place. A change of any of them changes
what existing models see.
"""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.arrays import Pixels
from metaphase.slides.slidestain import stain_of_tiles
from metaphase.stain.colourstatistics import colour_statistics, transfer_colours
from metaphase.stain.jitter import change_stains, jitter_stains
from metaphase.stain.macenko import Macenko, estimate_jitter_vectors
from metaphase.stain.masks import stained_mask
from metaphase.stain.reinhard import Reinhard
from metaphase.stain.vectors import RUIFROK
from tests.slides.pictures import stained_tissue

VECTORS = np.array([[0.66, 0.68, 0.32], [0.10, 0.93, 0.36]])


def mixed_image() -> Pixels:
    """Tissue with glass, black and green ink above."""
    image = stained_tissue(96, 96, 2)
    image[:20], image[20:26], image[26:34] = 250, 0, (20, 160, 60)
    return image


def tissue() -> Pixels:
    return stained_tissue(96, 96, 1, vectors=VECTORS, strength=1.2)


def sums(pixels: Pixels) -> tuple[int, int]:
    """Return the sum of all values, and a sum that depends on their places."""
    values = pixels.astype(np.int64).ravel()
    return int(values.sum()), int((values * (np.arange(values.size) % 9973)).sum())


def near(pixels: Pixels, total: int, weighted: int) -> None:
    """The sums are equal but for a few values at the edge of rounding on other processors."""
    found = sums(pixels)
    assert found[0] == pytest.approx(total, abs=20)
    assert found[1] == pytest.approx(weighted, abs=20 * 9973)


def test_the_vectors_of_macenko() -> None:
    stain = Macenko.estimate(mixed_image())
    assert stain is not None
    expected = [[0.48214194, 0.80338567, 0.34944335], [0.27456543, 0.89654732, 0.34758705]]
    np.testing.assert_allclose(stain.vectors, expected, atol=1e-6)
    np.testing.assert_allclose(stain.amounts, [1.18587554, 1.16072762], atol=1e-6)


def test_the_stain_of_a_slide_in_a_file() -> None:
    stain = stain_of_tiles([tissue()] * 8)
    assert stain is not None
    assert stain.to_json() == {
        "vectors": [[0.48092, 0.80377, 0.35026], [0.2294, 0.90297, 0.36334]],
        "amounts": [1.35374, 1.27553],
    }


def test_stain_transfer() -> None:
    source, target = Macenko.estimate(mixed_image()), Macenko.estimate(tissue())
    assert source is not None
    assert target is not None
    near(target.transfer(mixed_image(), source), 4004557, 16584003199)


def test_the_stained_pixels() -> None:
    assert int(stained_mask(mixed_image())[0].sum()) == 5952


def test_reinhard() -> None:
    reference = Reinhard.estimate(tissue())
    assert reference is not None
    np.testing.assert_allclose(reference.means, [45.066853, 40.7537, -26.339161], atol=1e-4)
    np.testing.assert_allclose(reference.deviations, [2.844956, 4.067495, 2.066961], atol=1e-4)
    near(reference(mixed_image()).image, 3900422, 16103330663)


def test_colour_transfer() -> None:
    source, target = colour_statistics(mixed_image()), colour_statistics(tissue())
    np.testing.assert_allclose(target.mean, [0.52308659, 1.16860191, 0.52336566], atol=1e-6)
    np.testing.assert_allclose(target.std, [0.08459394, 0.08662969, 0.03639315], atol=1e-6)
    near(transfer_colours(mixed_image(), source, target, 0.7), 4152745, 17415312872)


def test_the_vectors_of_jitter() -> None:
    expected = [
        [0.48584819, 0.80150771, 0.34862155],
        [0.26507849, 0.89371347, 0.3619525],
        [-0.09020762, -0.35074902, 0.93211466],
    ]
    np.testing.assert_allclose(estimate_jitter_vectors(tissue()), expected, atol=1e-6)


def test_jitter() -> None:
    factors = np.array([1.2, 0.8, 1.1], np.float32)
    shifts = np.array([0.05, -0.1, 0.02], np.float32)
    image = mixed_image()
    near(change_stains(image, RUIFROK, factors, shifts), 3881931, 15619172866)
    vectors = estimate_jitter_vectors(tissue())
    near(change_stains(tissue(), vectors, factors, 0 * shifts), 3493788, 16326535235)
    rng = np.random.default_rng(3)
    near(jitter_stains(image, RUIFROK, rng, multiply=0.2, shift=0.1), 4335443, 18213488012)
    own, rng = estimate_jitter_vectors(image), np.random.default_rng(3)
    jittered = jitter_stains(image, own, rng, multiply=0.2 * 0.7, shift=0.1 * 0.7)
    near(jittered, 4344748, 18210375217)
