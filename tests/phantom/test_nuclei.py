"""The background of nuclei: where tissue is, as dense as its kind, away from figures."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.phantom.nuclei import draw_nuclei
from metaphase.phantom.tissue import Tissue, draw_tissue

SIDE, MPP = 512, 0.5


def blank(epithelium: float, glass: float = 0.0) -> Tissue:
    """Tissue of one kind without any dye, so that all dye is of nuclei."""

    def field(value: float) -> np.ndarray:
        return np.full((SIDE, SIDE), value, np.float32)

    return Tissue(MPP, field(0), field(0.5), field(epithelium), field(glass), 0.4)


def drawn(tissue: Tissue, figures: object = (), seed: int = 0) -> Tissue:
    points = np.asarray(figures, dtype=float).reshape(-1, 2)
    draw_nuclei(np.random.default_rng(seed), tissue, points)
    return tissue


def covered(tissue: Tissue) -> float:
    """Return the part of the area that nuclei cover."""
    return float((tissue.haematoxylin > 0.2).mean())


def test_glass_has_no_nuclei() -> None:
    empty = drawn(blank(1.0, glass=1.0))
    assert not empty.haematoxylin.any()
    assert (empty.eosin == 0.5).all()


def test_half_a_slide_of_glass_has_nuclei_in_the_other_half_only() -> None:
    tissue = blank(1.0)
    tissue.glass[:, : SIDE // 2] = 1
    drawn(tissue)
    reach = int(12 / MPP)  # a nucleus whose centre lies on tissue may reach a little over
    assert not tissue.haematoxylin[:, : SIDE // 2 - reach].any()
    assert (tissue.haematoxylin[:, SIDE // 2 + reach :] > 0.2).mean() > 0.2


def test_epithelium_is_denser_than_stroma() -> None:
    nests, stroma = covered(drawn(blank(1.0))), covered(drawn(blank(0.0)))
    assert nests > 2 * stroma > 0.02


def test_nuclei_replace_some_of_the_pink() -> None:
    tissue = drawn(blank(1.0))
    dark = tissue.haematoxylin > 0.3
    assert tissue.eosin[dark].mean() < 0.35
    assert tissue.eosin.max() <= 0.5


def test_figures_are_left_free() -> None:
    figures = [(x, y) for x in range(64, SIDE, 96) for y in range(64, SIDE, 96)]
    crowded, spaced = drawn(blank(1.0)), drawn(blank(1.0), figures)
    y, x = np.mgrid[:SIDE, :SIDE] + 0.5
    near = np.zeros((SIDE, SIDE), bool)
    for fx, fy in figures:
        near |= np.hypot(x - fx, y - fy) * MPP < 2
    assert crowded.haematoxylin[near].mean() > 0.2
    assert spaced.haematoxylin[near].mean() < 0.25 * crowded.haematoxylin[near].mean()
    # Everywhere else they are as dense as before.
    assert covered(spaced) == pytest.approx(covered(crowded), rel=0.35)


def test_the_same_seed_draws_the_same_nuclei() -> None:
    first, second, other = (drawn(blank(0.6), [(100, 100)], seed) for seed in (5, 5, 6))
    assert first.haematoxylin.tobytes() == second.haematoxylin.tobytes()
    assert first.eosin.tobytes() == second.eosin.tobytes()
    assert first.haematoxylin.tobytes() != other.haematoxylin.tobytes()


def test_nuclei_are_drawn_around_figures_and_not_on_them() -> None:
    mpp, side = 0.25, 400
    tissue = draw_tissue(np.random.default_rng(3), side, side, mpp)
    before = tissue.haematoxylin.copy()
    figures = np.array([[100.0, 100.0], [300.0, 250.0]])
    draw_nuclei(np.random.default_rng(4), tissue, figures)
    changed = np.abs(tissue.haematoxylin - before) > 0.2
    assert 0.05 < changed.mean() < 0.7
    y, x = np.mgrid[:side, :side] + 0.5
    for figure_x, figure_y in figures:
        near = np.hypot(x - figure_x, y - figure_y) * mpp < 1.0
        assert changed[near].mean() < 0.3
