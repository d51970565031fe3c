"""What both normalisations promise."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.arrays import Pixels
from metaphase.stain.macenko import Macenko
from metaphase.stain.reinhard import Reinhard
from tests.stain.images import OTHER, mean_difference, tissue


def references() -> list[Macenko | Reinhard]:
    references = [Macenko.estimate(tissue(1, OTHER)), Reinhard.estimate(tissue(1, OTHER))]
    return [reference for reference in references if reference is not None]


REFERENCES = pytest.mark.parametrize("reference", references(), ids=lambda r: r.name)


@REFERENCES
def test_an_image_gets_the_statistics_of_the_reference(reference: Macenko | Reinhard) -> None:
    result = reference(tissue(2))
    again = type(reference).estimate(result.image)
    assert again is not None
    if isinstance(reference, Macenko) and isinstance(again, Macenko):
        np.testing.assert_allclose(again.vectors, reference.vectors, atol=0.03)
        np.testing.assert_allclose(again.amounts, reference.amounts, rtol=0.1)
    elif isinstance(reference, Reinhard) and isinstance(again, Reinhard):
        np.testing.assert_allclose(again.means, reference.means, atol=1.5)
        np.testing.assert_allclose(again.deviations, reference.deviations, atol=1.5)


@REFERENCES
def test_an_image_normalised_to_itself_hardly_changes(reference: Macenko | Reinhard) -> None:
    itself = type(reference).estimate(tissue(3))
    assert itself is not None
    assert mean_difference(itself(tissue(3)).image, tissue(3)) < 2


PEN = np.zeros((64, 64, 3), np.uint8) + np.array([20, 160, 60], np.uint8)


@REFERENCES
@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (np.full((64, 64, 3), 255, np.uint8), "stained"),
        (np.full((64, 64, 3), 243, np.uint8), "stained"),
        (np.zeros((64, 64, 3), np.uint8), "black"),
        (PEN, "stained"),
        (np.full((64, 64, 3), 120, np.uint8), "one"),
    ],
    ids=["white", "glass", "black", "pen", "one colour"],
)
def test_an_image_that_cannot_be_normalised_is_unchanged(
    reference: Macenko | Reinhard, image: Pixels, reason: str
) -> None:
    result = reference(image)
    assert np.array_equal(result.image, image)
    assert reason in result.skip_reason


@REFERENCES
def test_glass_black_and_pen_beside_tissue_are_kept(reference: Macenko | Reinhard) -> None:
    image = tissue(2, side=128)
    image[:40], image[40:60], image[60:70] = 250, 0, (20, 160, 60)
    result = reference(image)
    assert result.skip_reason == ""
    assert np.abs(result.image[:70].astype(int) - image[:70]).max() <= 1
    assert mean_difference(result.image[70:], image[70:]) > 1.5
    # And they do not influence the estimate.
    alone = reference(image[70:])
    assert mean_difference(result.image[70:], alone.image) < 1
