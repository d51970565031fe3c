from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.counting.density import density_map


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 999), st.floats(0, 499)), max_size=30),
    st.sampled_from([50.0, 100.0, 170.0]),
)
def test_cells_hold_every_point(points, cell_um):
    grid = density_map(points, (1000, 500), 0.5, cell_um=cell_um, bandwidth_um=None)
    rows, columns = grid.per_mm2.shape
    edge = grid.cell_px
    tall = np.clip(500 - np.arange(rows) * edge, 0, edge)
    wide = np.clip(1000 - np.arange(columns) * edge, 0, edge)
    assert (grid.per_mm2 * np.outer(tall, wide) * 0.25e-6).sum() == pytest.approx(len(points))


def test_an_even_field_is_as_dense_at_the_border():
    step = np.arange(5, 1000, 10.0)
    points = np.stack(np.meshgrid(step, step), axis=-1).reshape(-1, 2)
    grid = density_map(points, (1000, 1000), 1.0, cell_um=100, bandwidth_um=200)
    assert grid.per_mm2 == pytest.approx(np.full((10, 10), 10_000))


def test_the_peak_is_where_the_figures_are():
    grid = density_map([[1550.0, 2450.0]] * 3, (4000, 4000), 1.0)
    assert np.unravel_index(grid.per_mm2.argmax(), grid.per_mm2.shape) == (24, 15)
    assert grid.at(1550, 2450) > grid.at(3950, 50)
    assert grid.at(-1, 0) == grid.at(0, 4000) == 0
