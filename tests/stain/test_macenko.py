from __future__ import annotations

import json

import numpy as np
import pytest

from metaphase.arrays import Pixels
from metaphase.stain.macenko import Macenko, estimate_jitter_vectors, estimate_macenko
from metaphase.stain.opticaldensity import NORMALISATION
from metaphase.stain.vectors import RUIFROK
from tests.slides.pictures import STAINS
from tests.stain.images import OTHER, mean_difference, tissue

PUBLISHED = Macenko.from_values(
    [[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]], [1.9705, 1.0308]
)
"""The reference in the authors' published code."""


def test_normalisation_is_that_of_torchstain() -> None:
    torchstain = pytest.importorskip("torchstain")
    theirs = torchstain.normalizers.MacenkoNormalizer(backend="numpy")
    target, source = tissue(1, OTHER, 1.2), tissue(2)
    theirs.fit(target)
    expected = theirs.normalize(source, stains=False)[0]
    reference = Macenko.estimate(target)
    assert reference is not None
    np.testing.assert_allclose(reference.vectors, theirs.HERef.T, atol=0.01)
    np.testing.assert_allclose(reference.amounts, theirs.maxCRef, rtol=0.03)
    result = reference(source)
    assert result.skip_reason == ""
    assert mean_difference(result.image, expected) < 1.5  # they cut off, we round
    assert mean_difference(result.image, source) > 5


def test_the_published_reference_is_that_of_torchstain() -> None:
    torchstain = pytest.importorskip("torchstain")
    theirs = torchstain.normalizers.MacenkoNormalizer(backend="numpy")
    expected = theirs.normalize(tissue(2), stains=False)[0]
    assert mean_difference(PUBLISHED(tissue(2)).image, expected) < 1.5


def test_one_stain_is_not_enough() -> None:
    densities = np.linspace(0.3, 1.2, 64 * 64)[:, None] * STAINS[1]
    image = (NORMALISATION.light * np.exp(-densities)).astype(np.uint8).reshape(64, 64, 3)
    assert estimate_macenko(image) == (None, "it holds one stain only")
    assert np.array_equal(PUBLISHED(image).image, image)


def test_numbers_read_from_a_file_give_the_same_stains() -> None:
    stain = Macenko.estimate(tissue(1))
    assert stain is not None
    rounded = Macenko.from_values(**stain.to_json())
    again = Macenko.from_values(**json.loads(json.dumps(rounded.to_json())))
    assert np.array_equal(again.vectors, rounded.vectors)
    assert np.array_equal(again.amounts, rounded.amounts)
    np.testing.assert_allclose(rounded.vectors, stain.vectors, atol=1e-5)


def test_jitter_vectors_are_the_stains_that_were_mixed() -> None:
    h = np.array([0.55, 0.76, 0.35]) / np.linalg.norm([0.55, 0.76, 0.35])
    e = np.array([0.10, 0.95, 0.20]) / np.linalg.norm([0.10, 0.95, 0.20])
    amounts = np.random.default_rng(0).random((128, 128, 2)) * [1.2, 0.8]
    # Some pixels are of one stain alone, as in tissue.
    amounts[:40, :, 1], amounts[90:, :, 0] = 0, 0
    density = amounts @ np.stack([h, e])
    vectors = estimate_jitter_vectors(np.round(255 * np.exp(-density)).astype(np.uint8))
    assert vectors[0] @ h > 0.995
    assert vectors[1] @ e > 0.995
    np.testing.assert_allclose(vectors[:2] @ vectors[2], 0, atol=1e-6)


@pytest.mark.parametrize(
    "image",
    [
        np.full((32, 32, 3), 255, np.uint8),
        np.zeros((32, 32, 3), np.uint8),
        np.full((32, 32, 3), (150, 60, 140), np.uint8),
    ],
    ids=["white", "black", "one colour"],
)
def test_jitter_vectors_are_ruifroks_where_nothing_can_be_estimated(image: Pixels) -> None:
    assert np.array_equal(estimate_jitter_vectors(image), RUIFROK)
