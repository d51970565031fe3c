"""A region holds the figures that it says, where it says; telling them apart takes more than
darkness."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from scipy import ndimage

from metaphase.arrays import Pixels
from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.phantom.hardnegatives import HARD_NEGATIVE_TYPES, hard_negative
from metaphase.phantom.mitoses import PHASES, mitotic_figure
from metaphase.phantom.region import MARGIN_PX, SyntheticFigure, render_region
from metaphase.phantom.scanners import SCANNERS, Scanner
from metaphase.radii import MATCH_RADIUS_UM

Drawn = tuple[Pixels, list[SyntheticFigure], Scanner]


@pytest.fixture(scope="module")
def regions() -> list[Drawn]:
    """Two dense regions of each scanner."""
    drawn = []
    for seed in range(8):
        scanner = SCANNERS[seed % 4]
        pixels, figures = render_region(
            seed, 768, 768, scanner, mitotic_per_mm2=200, hard_negative_per_mm2=240
        )
        drawn.append((pixels, figures, scanner))
    return drawn


def test_the_same_seed_gives_the_same_bytes() -> None:
    first, again, other = (render_region(seed, 256, 256, "B") for seed in (7, 7, 8))
    assert hashlib.sha256(first[0]).digest() == hashlib.sha256(again[0]).digest()
    assert first[1] == again[1]
    assert not np.array_equal(first[0], other[0])


def test_a_generator_and_a_list_are_seeds_too() -> None:
    plain, _ = render_region([1, 2], 128, 128)
    generator, _ = render_region(np.random.default_rng([1, 2]), 128, 128)
    assert np.array_equal(plain, generator)


def test_all_phases_and_kinds_of_hard_negatives_are_drawn(regions: list[Drawn]) -> None:
    kinds = {(f.label, f.kind) for _, figures, _ in regions for f in figures}
    assert {k for label, k in kinds if label is Label.MITOTIC} == set(PHASES)
    assert {k for label, k in kinds if label is Label.HARD_NEGATIVE} == set(HARD_NEGATIVE_TYPES)


def test_figures_are_apart_and_inside(regions: list[Drawn]) -> None:
    for _, figures, scanner in regions:
        points = np.array([(f.x_px, f.y_px) for f in figures])
        assert (points >= MARGIN_PX).all()
        assert (points <= 768 - MARGIN_PX).all()
        far = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
        far[np.diag_indices(len(far))] = np.inf
        assert far.min() > 3 * MATCH_RADIUS_UM / scanner.mpp


def test_a_figure_is_really_where_it_is_said(regions: list[Drawn]) -> None:
    """Around a figure it is darker than a little further out, and it lies around its point."""
    dark = []
    for pixels, figures, scanner in regions:
        grey = pixels.mean(2)
        for f in figures:
            y, x = np.ogrid[:768, :768]
            um = np.hypot(x + 0.5 - f.x_px, y + 0.5 - f.y_px) * scanner.mpp
            near, around = grey[um < 7.5], grey[(um > 7.5) & (um < 20)]
            dark.append(np.percentile(near, 8) < np.median(around) - 15)
    assert len(dark) > 50
    assert np.mean(dark) > 0.98


def test_labels_take_turns(regions: list[Drawn]) -> None:
    """The place, or the order in the list, tells nothing about the label."""
    halves = [[f.label is Label.MITOTIC for f in figures] for _, figures, _ in regions]
    first = np.mean([np.mean(h[: len(h) // 2]) for h in halves])
    second = np.mean([np.mean(h[len(h) // 2 :]) for h in halves])
    assert abs(first - second) < 0.25


def _blobs(pixels: Pixels, mpp: float) -> tuple[np.ndarray, np.ndarray]:
    """Return points and scores of the darkest blobs of a plausible size."""
    grey = ndimage.gaussian_filter(pixels.mean(2), 0.4 / mpp)
    found, n = ndimage.label(grey < np.percentile(grey, 3))
    area = ndimage.sum_labels(np.ones_like(grey), found, range(1, n + 1)) * mpp**2
    keep = np.arange(1, n + 1)[(area > 6) & (area < 90)]
    if not len(keep):
        return np.empty((0, 2)), np.empty(0)
    centre = np.array(ndimage.center_of_mass(np.ones_like(grey), found, keep))[:, ::-1]
    return centre + 0.5, -np.array(ndimage.mean(grey, found, keep))


def test_the_darkest_blobs_are_not_the_mitotic_figures(regions: list[Drawn]) -> None:
    """Darkness and size alone are far from perfect, at the best threshold in hindsight."""
    best = 0.0
    scores, hits, total = [], [], 0
    for pixels, figures, scanner in regions:
        points, score = _blobs(pixels, scanner.mpp)
        truth = np.array([(f.x_px, f.y_px) for f in figures if f.label is Label.MITOTIC])
        total += len(truth)
        far = np.hypot(*(points[:, None] - truth[None]).transpose(2, 0, 1)) * scanner.mpp
        hits += (far.min(1) < MATCH_RADIUS_UM).tolist()
        scores += score.tolist()
    order = np.argsort(scores)[::-1]
    found = np.cumsum(np.array(hits)[order])
    f1 = 2 * found / (np.arange(1, len(found) + 1) + total)
    best = float(f1.max())
    assert 0.1 < best < 0.75


def test_hard_negatives_are_as_dark_and_as_large_as_figures() -> None:
    rng = np.random.default_rng(0)
    kinds = [(mitotic_figure, k) for k in PHASES], [(hard_negative, k) for k in HARD_NEGATIVE_TYPES]
    values = []
    for table in kinds:
        dyes = [draw(rng, kind, 0.25).h_add for draw, kind in table for _ in range(12)]
        areas = np.array([(d > 0.8).sum() * 0.25**2 for d in dyes])
        values.append((areas, np.array([np.percentile(d[d > 0.8], 90) for d in dyes])))
    for mitotic, mimic in zip(*values, strict=True):
        low, high = np.percentile(mitotic, [10, 90])
        assert np.mean((mimic > low) & (mimic < high)) > 0.4


def test_no_figures_if_none_are_wanted() -> None:
    assert render_region(0, 256, 256, mitotic_per_mm2=0, hard_negative_per_mm2=0)[1] == []


@pytest.mark.parametrize(
    ("size", "density", "words"), [(64, 10.0, "too small"), (256, -1.0, "do not fit")]
)
def test_impossible_wishes_are_told(size: int, density: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        render_region(0, size, 256, mitotic_per_mm2=density)
