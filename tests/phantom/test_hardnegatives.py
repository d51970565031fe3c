"""Hard negatives are as dark as mitotic figures and lack their shapes."""

from __future__ import annotations

import numpy as np
import pytest

from metaphase.phantom.cell import Cell
from metaphase.phantom.hardnegatives import HARD_NEGATIVE_TYPES, hard_negative
from metaphase.phantom.mitoses import mitotic_figure
from tests.phantom.cells import dark_um2, offset_um
from tests.phantom.shapes import (
    MPP,
    area_um2,
    border,
    check_cell,
    principal_axis,
    same_bytes,
    seeds,
)

COUNT = 15


@pytest.fixture(scope="module")
def cells() -> dict[str, list[Cell]]:
    return {
        kind: seeds(COUNT, lambda rng, kind=kind: hard_negative(rng, kind, MPP))
        for kind in HARD_NEGATIVE_TYPES
    }


def steepest(cell: Cell) -> float:
    """Return the steepest edge of the haematoxylin, relative to its darkest pixel."""
    dy, dx = np.gradient(cell.h_add)
    return float(np.hypot(dx, dy).max() / cell.h_add.max())


def test_the_frequencies_of_the_kinds_are_parts_of_one() -> None:
    assert sum(HARD_NEGATIVE_TYPES.values()) == pytest.approx(1)
    assert min(HARD_NEGATIVE_TYPES.values()) > 0


@pytest.mark.parametrize("kind", HARD_NEGATIVE_TYPES)
def test_a_kind_is_a_whole_dark_nucleus(cells: dict[str, list[Cell]], kind: str) -> None:
    for cell in cells[kind]:
        check_cell(cell)
        assert cell.h_add.max() > 1
        assert border(cell.h_add).max() < 0.2
        assert border(cell.h_keep).min() > 0.9
        assert 5 < area_um2(cell) < 200


@pytest.mark.parametrize("kind", HARD_NEGATIVE_TYPES)
def test_the_same_seed_gives_the_same_nucleus(cells: dict[str, list[Cell]], kind: str) -> None:
    again = hard_negative(np.random.default_rng(2), kind, MPP)
    assert same_bytes(cells[kind][2], again)
    assert not same_bytes(cells[kind][1], again)


def test_they_are_as_dark_as_mitotic_figures(cells: dict[str, list[Cell]]) -> None:
    """Otherwise darkness alone would tell a mitotic figure."""
    mitotic = seeds(COUNT, lambda rng: mitotic_figure(rng, "metaphase", MPP))
    dark = np.mean([cell.h_add.max() for cell in mitotic])
    for kind in HARD_NEGATIVE_TYPES:
        assert np.mean([cell.h_add.max() for cell in cells[kind]]) > 0.6 * dark, kind


def test_a_dark_spindle_is_long_and_a_pyknotic_nucleus_round(cells: dict[str, list[Cell]]) -> None:
    lengths = {
        kind: np.median([principal_axis(cell)[0] for cell in cells[kind]])
        for kind in ("dark spindle", "pyknotic")
    }
    assert lengths["dark spindle"] > 2
    assert lengths["pyknotic"] < 1.8  # radii are drawn up to 1.35 times longer and shorter


def test_out_of_focus_nuclei_have_soft_edges(cells: dict[str, list[Cell]]) -> None:
    soft = np.mean([steepest(cell) for cell in cells["out of focus"]])
    for kind in ("pyknotic", "dark spindle", "smudged"):
        assert soft < 0.7 * np.mean([steepest(cell) for cell in cells[kind]]), kind


def test_dying_cells_have_pink_cytoplasm(cells: dict[str, list[Cell]]) -> None:
    def pink(kind: str) -> float:
        return float(np.mean([cell.e_add.max() for cell in cells[kind]]))

    for kind in ("pyknotic", "apoptotic", "smudged"):
        assert pink(kind) > pink("dark spindle")
        assert pink(kind) > 0.2


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(KeyError, match="metaphase"):
        hard_negative(np.random.default_rng(0), "metaphase", MPP)


@pytest.mark.parametrize("mpp", [0.23, 0.26])
@pytest.mark.parametrize("kind", HARD_NEGATIVE_TYPES)
def test_chromatin_is_dark_and_around_the_centre(kind: str, mpp: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(4):
        cell = hard_negative(rng, kind, mpp)
        assert offset_um(cell, mpp) < 2.0
        assert cell.h_add.max() > 0.9
        assert 5 < dark_um2(cell, mpp) < 150
