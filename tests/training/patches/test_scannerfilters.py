"""Filters that translate one scanner's pixels to another's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from metaphase.errors import InputError, RecipeError
from metaphase.training.patches.scannerfilters import (
    SIDE,
    ScannerFilters,
    displacement,
    fit_filter,
    learn_filters,
    load_filters,
)

MIX = np.array([[0.9, 0.1, 0.0], [0.05, 0.8, 0.1], [0.0, 0.1, 0.85]])


def tissue(seed: int = 0, side: int = 360) -> np.ndarray:
    rng = np.random.default_rng(seed)
    rough = gaussian_filter(rng.uniform(0, 255, (side, side, 3)), (2, 2, 0))
    return np.clip((rough - rough.mean()) * 5 + 150, 0, 255).astype(np.uint8)


def second_scanner(image: np.ndarray) -> np.ndarray:
    """The same tissue: blurred a little, other colours, brighter."""
    blurred = gaussian_filter(image.astype(float), (0.7, 0.7, 0))
    return np.clip(blurred @ MIX.T + 12, 0, 255).round().astype(np.uint8)


def applied(filters: ScannerFilters, image: np.ndarray) -> np.ndarray:
    half = SIDE // 2
    height, width = image.shape[:2]
    result = np.zeros((height - 2 * half, width - 2 * half, 3)) + filters.offset[0]
    for dy in range(SIDE):
        for dx in range(SIDE):
            part = image[dy : height - 2 * half + dy, dx : width - 2 * half + dx]
            result += part @ filters.weights[0, :, :, dy, dx].T
    return result


def test_a_filter_gives_the_second_scanners_pixels() -> None:
    first = tissue()
    filters = learn_filters([("S1", first, second_scanner(first))])
    unseen = tissue(seed=1)
    expected = second_scanner(unseen)[2:-2, 2:-2].astype(float)
    before = np.abs(unseen[2:-2, 2:-2] - expected).mean()
    assert np.abs(applied(filters, unseen) - expected).mean() < 0.15 * before
    assert filters.correlation.min() > 0.95


@settings(max_examples=25, deadline=None)
@given(st.integers(-15, 15), st.integers(-15, 15))
def test_displacements_are_found(dy: int, dx: int) -> None:
    image = tissue().mean(axis=2)
    first = image[50:306, 50:306]
    second = image[50 - dy : 306 - dy, 50 - dx : 306 - dx]
    assert displacement(first, second) == (dy, dx)


def test_pairs_that_are_displaced_are_registered() -> None:
    first = tissue()
    second = np.roll(second_scanner(first), (6, -4), axis=(0, 1))
    assert learn_filters([("S1", first, second)]).correlation.min() > 0.95


def test_pairs_of_other_tissue_are_refused() -> None:
    with pytest.raises(InputError, match="same tissue"):
        learn_filters([("S1", tissue(0), tissue(1))])


def test_a_plain_image_has_no_correlation() -> None:
    plain = np.full((300, 300, 3), 200, np.uint8)
    assert fit_filter(plain, plain, np.random.default_rng(0))[2] == 0


def two_slides() -> ScannerFilters:
    first = tissue()
    second = second_scanner(first)
    return learn_filters([("S1", first, second), ("S2", first, second)])


def test_files_give_back_what_was_written(tmp_path: Path) -> None:
    filters = two_slides()
    filters.save(tmp_path / "filters.npz")
    again = load_filters(tmp_path / "filters.npz")
    assert again.group == filters.group == ("S1", "S2")
    assert again.weights == pytest.approx(filters.weights, abs=1e-3)
    assert again.offset == pytest.approx(filters.offset)


def test_filters_of_slides_that_are_left_out_are_not_used(tmp_path: Path) -> None:
    two_slides().save(tmp_path / "filters.npz")
    assert load_filters(tmp_path / "filters.npz", ["S1"]).group == ("S2",)
    with pytest.raises(RecipeError, match="no filter is left"):
        load_filters(tmp_path / "filters.npz", ["S1", "S2"])


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x03\x04 broken"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "filters.npz").write_bytes(content)
    with pytest.raises(InputError, match="scanner filters"):
        load_filters(tmp_path / "filters.npz")
    with pytest.raises(InputError, match="scanner filters"):
        load_filters(tmp_path / "absent.npz")
