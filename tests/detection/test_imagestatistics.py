"""Statistics of images: stain and sharpness are independent, and tissue is needed."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.detection.imagestatistics import (
    MIDDLE_PX,
    mean_statistics,
    response_statistics,
    sample_tiles,
    tile_statistics,
)


def picture(gain: float = 1.0, blur: float = 0.0) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(0)
    od = gaussian_filter(rng.uniform(0, 1, (128, 128)), 1 + blur)[..., None] * [1.0, 1.4, 0.7]
    return (255 * np.exp(-gain * od)).astype(np.uint8)


def test_stain_and_sharpness_are_separate() -> None:
    plain, darker, blurred = (
        tile_statistics(picture()),
        tile_statistics(picture(1.5)),
        tile_statistics(picture(blur=1.0)),
    )
    assert plain is not None
    assert darker is not None
    assert blurred is not None
    assert darker["density_green"] == pytest.approx(1.5 * plain["density_green"], rel=0.05)
    assert blurred["density_green"] == pytest.approx(plain["density_green"], rel=0.05)
    assert blurred["fine"] < plain["fine"] - 0.5
    assert abs(darker["fine_to_middle"] - plain["fine_to_middle"]) < 0.2


@pytest.mark.parametrize("value", [0, 255], ids=["black", "white"])
def test_no_tissue_no_statistics(value: int) -> None:
    assert tile_statistics(np.full((64, 64, 3), value, np.uint8)) is None
    assert mean_statistics([]) is None


def test_of_a_large_tile_the_middle_is_measured_unless_it_is_empty() -> None:
    large = np.full((512, 512, 3), 255, np.uint8)
    middle = np.tile(picture(), (3, 3, 1))[:MIDDLE_PX, :MIDDLE_PX]
    large[96:416, 96:416] = middle
    assert tile_statistics(large) == tile_statistics(middle)
    empty = np.full((512, 512, 3), 255, np.uint8)
    empty[:128] = np.tile(picture(), (1, 4, 1))
    assert tile_statistics(empty) is not None


def test_response_is_of_the_score_map() -> None:
    logits = np.full((1, 2, 40, 40), -5.0, np.float32)
    logits[0, 0, 3, 3], logits[0, 1] = 3.0, 9.0
    found = response_statistics([logits, np.zeros((1, 2, 40, 40), np.float32)])
    assert found["score_top"] == 3.0
    assert found["score_mean"] == pytest.approx(-5 + 8 / 1600)


@pytest.mark.parametrize(
    ("tiles", "wanted"), [(0, 0), (1, 1), (3, 3), (25, 4), (64, 8), (9999, 12)]
)
def test_few_tiles_are_sampled(tiles: int, wanted: int) -> None:
    chosen = sample_tiles(np.arange(tiles))
    assert len(chosen) == len(set(chosen.tolist())) == wanted
