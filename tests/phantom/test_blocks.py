"""Blocks: they close, they fit beside each other, and they cut no figure."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.phantom.blocks import BLOCK_PX, BlockRenderer, cheapest_path
from metaphase.phantom.scanners import SCANNERS


@pytest.fixture(scope="module")
def maker():
    return BlockRenderer(0, SCANNERS[0])


@pytest.fixture(scope="module")
def blocks(maker):
    return [maker.block(n, 60.0, 60.0) for n in range(2)]


def roughness(pixels, axis):
    """Return the mean step from each row (or column) to the next."""
    return np.abs(np.diff(pixels.astype(float), axis=axis)).mean(axis=(1 - axis, 2))


@pytest.mark.parametrize("axis", [0, 1])
def test_blocks_side_by_side_show_no_seam(blocks, axis):
    steps = roughness(np.concatenate([b.pixels for b in blocks], axis=axis), axis)
    usual = np.delete(steps, BLOCK_PX - 1)
    assert steps[BLOCK_PX - 1] < usual.mean() + 4 * usual.std()


def test_the_middle_of_blocks_differs_and_their_border_does_not(blocks):
    a, b = (block.pixels.astype(float) for block in blocks)
    difference = np.abs(a - b).mean(axis=2)
    noise = difference[:12].mean()
    assert noise < 5
    assert difference[300:700, 300:700].mean() > 4 * noise


def test_a_block_is_the_same_again(maker, blocks):
    again = maker.block(1, 60.0, 60.0)
    assert np.array_equal(again.pixels, blocks[1].pixels)
    assert again.figures == blocks[1].figures


def test_figures_of_a_block_are_dark_where_they_are_said(blocks):
    for block in blocks:
        assert block.figures
        usual = np.median(block.pixels.astype(float).sum(axis=2))
        for figure in block.figures:
            x, y = int(figure.x_px), int(figure.y_px)
            assert block.pixels[y - 20 : y + 20, x - 20 : x + 20].sum(axis=2).min() < 0.75 * usual


def test_glass_is_even_and_bright(maker):
    glass = maker.glass()
    assert glass.shape == (BLOCK_PX, BLOCK_PX, 3)
    assert glass.mean() > 225
    assert glass.std(axis=(0, 1)).max() < 8


@given(st.integers(3, 12), st.integers(2, 20), st.integers(0, 1000), st.booleans())
def test_the_cheapest_path_is_connected_and_not_dearer_than_straight_ones(rows, n, seed, closed):
    cost = np.random.default_rng(seed).random((rows, n)).astype(np.float32)
    line = cheapest_path(cost, closed=closed)
    assert np.abs(np.diff(line)).max() <= 1
    assert line.min() >= 0
    assert line.max() < rows
    paid = cost[line, np.arange(n)].sum()
    if closed:
        assert line[0] == line[-1] == rows // 2
        assert paid <= cost[rows // 2].sum() + 1e-4
    else:
        assert paid <= cost.sum(axis=1).min() + 1e-4
