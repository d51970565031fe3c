"""The drawn phases have the shapes that a grader knows them by."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.phantom.cell import Cell, coordinates_um
from metaphase.phantom.mitoses import PHASES, SIDE_UM, Canvas, in_cell, mitotic_figure
from tests.phantom.cells import dark_um2, offset_um
from tests.phantom.shapes import (
    MPP,
    area_um2,
    border,
    check_cell,
    distance_um,
    pieces,
    principal_axis,
    same_bytes,
    seeds,
)

COUNT = 15


@pytest.fixture(scope="module")
def cells() -> dict[str, list[Cell]]:
    return {
        phase: seeds(COUNT, lambda rng, phase=phase: mitotic_figure(rng, phase, MPP))
        for phase in PHASES
    }


def test_the_frequencies_of_the_phases_are_parts_of_one() -> None:
    assert sum(PHASES.values()) == pytest.approx(1)
    assert min(PHASES.values()) > 0


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_is_dark_chromatin_in_the_middle_of_its_square(
    cells: dict[str, list[Cell]], phase: str
) -> None:
    for cell in cells[phase]:
        check_cell(cell)
        assert len(cell.h_add) * MPP >= SIDE_UM
        assert cell.h_add.max() > 1.2
        # Nothing is cut off: at its border the square leaves the tissue as it was.
        assert border(cell.h_add).max() < 0.05
        assert border(cell.h_keep).min() > 0.95
        assert border(cell.e_keep).min() > 0.95
        assert border(cell.e_add).max() < 0.05


@pytest.mark.parametrize("phase", PHASES)
def test_the_same_seed_gives_the_same_cell(cells: dict[str, list[Cell]], phase: str) -> None:
    again = mitotic_figure(np.random.default_rng(3), phase, MPP)
    assert same_bytes(cells[phase][3], again)
    assert not same_bytes(cells[phase][4], again)


def test_a_metaphase_is_a_plate_and_a_ring_is_round(cells: dict[str, list[Cell]]) -> None:
    lengths = {
        phase: np.median([principal_axis(cell)[0] for cell in cells[phase]])
        for phase in ("metaphase", "ring form")
    }
    assert lengths["metaphase"] > 1.8
    assert lengths["ring form"] < 1.5


def test_a_ring_is_open_in_its_centre(cells: dict[str, list[Cell]]) -> None:
    x, y = coordinates_um(len(cells["ring form"][0].h_add), MPP)
    centre = np.hypot(x, y) < 0.8

    def filled(phase: str) -> float:
        return float(np.median([cell.h_add[centre].mean() for cell in cells[phase]]))

    assert filled("ring form") < 0.5 < 1.0 < filled("metaphase")


def test_daughter_plates_move_apart(cells: dict[str, list[Cell]]) -> None:
    apart = [
        np.mean([distance_um(cell) for cell in cells[phase]])
        for phase in ("metaphase", "anaphase", "telophase")
    ]
    assert apart[0] < apart[1] < apart[2]
    assert np.median([pieces(cell) for cell in cells["telophase"]]) == 2
    assert np.median([pieces(cell) for cell in cells["metaphase"]]) == 1


def test_cells_in_mitosis_are_cleared(cells: dict[str, list[Cell]]) -> None:
    """Around the chromatin there is less of the tissue than at the border of the square."""
    x, y = coordinates_um(len(cells["metaphase"][0].h_add), MPP)
    around = np.hypot(x, y) < 6
    kept = [cell.e_keep[around & (cell.h_add < 0.5)].mean() for cell in cells["metaphase"]]
    assert np.mean(kept) < 0.6


def test_the_size_of_a_figure_does_not_depend_on_the_resolution() -> None:
    def mean_area(mpp: float) -> float:
        drawn = seeds(COUNT, lambda rng: mitotic_figure(rng, "metaphase", mpp))
        return float(np.mean([area_um2(cell, mpp) for cell in drawn]))

    assert mean_area(0.5) == pytest.approx(mean_area(0.25), rel=0.15)


def test_an_unknown_phase_is_refused() -> None:
    with pytest.raises(KeyError, match="interphase"):
        mitotic_figure(np.random.default_rng(0), "interphase", MPP)


@given(st.integers(0, 2**32), st.floats(0.1, 2.0))
def test_a_canvas_is_rotated_and_not_stretched(seed: int, mpp: float) -> None:
    canvas = Canvas.rotated(np.random.default_rng(seed), mpp)
    x, y = coordinates_um(len(canvas.x), mpp)
    np.testing.assert_allclose(np.hypot(canvas.x, canvas.y), np.hypot(x, y), atol=1e-4)
    assert len(canvas.x) % 2 == 0
    assert len(canvas.x) * mpp >= SIDE_UM


@given(
    st.floats(-4, 4),
    st.floats(-4, 4),
    st.floats(0.6, 6),
    st.floats(0.6, 6),
)
def test_the_distance_to_an_ellipse_is_negative_inside(
    cx: float, cy: float, a: float, b: float
) -> None:
    canvas = Canvas(*coordinates_um(64, 0.4), 0.4)
    distance = canvas.ellipse(cx, cy, a, b)
    inside = ((canvas.x - cx) / a) ** 2 + ((canvas.y - cy) / b) ** 2
    clear = np.abs(inside - 1) > 1e-3  # of rounding on the outline itself
    assert np.array_equal((distance < 0)[clear], (inside < 1)[clear])
    if a == b:
        np.testing.assert_allclose(distance, np.hypot(canvas.x - cx, canvas.y - cy) - a, atol=1e-3)


def test_a_cell_without_chromatin_that_is_not_cleared_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    canvas = Canvas.rotated(rng, MPP)
    nothing = np.zeros_like(canvas.x)
    outline = canvas.ellipse(0, 0, 7, 7)
    same = in_cell(rng, canvas, nothing, nothing, outline, 0.0)
    assert not same.h_add.any()
    assert not same.e_add.any()
    assert (same.h_keep == 1).all()
    assert (same.e_keep == 1).all()
    cleared = in_cell(rng, canvas, nothing, nothing, outline, 1.0)
    middle = len(canvas.x) // 2
    assert cleared.h_keep[middle, middle] < 0.01
    assert cleared.e_keep[middle, middle] < 0.01


@pytest.mark.parametrize("mpp", [0.23, 0.26])
@pytest.mark.parametrize("kind", PHASES)
def test_chromatin_is_dark_and_around_the_centre(kind: str, mpp: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(4):
        cell = mitotic_figure(rng, kind, mpp)
        assert offset_um(cell, mpp) < 2.0
        assert cell.h_add.max() > 0.9
        assert 5 < dark_um2(cell, mpp) < 150
