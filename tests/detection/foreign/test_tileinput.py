"""Tiles become the input that a card describes, and positions come back to the tile."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.foreign.tileinput import graph_input, letterbox, to_tile
from metaphase.models.foreign import ForeignInput


def spec_of(layout="nchw", number="float32", width=8, height=8, **changes):
    return ForeignInput(layout=layout, number=number, width_px=width, height_px=height, **changes)


def tiles(n=2, side=8):
    return np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8)


def test_scaling_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    values = torch.from_numpy(tiles()).permute(0, 3, 1, 2).float() / 255
    expected = (values - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    found = graph_input(tiles(), spec_of(mean=mean, std=std))
    np.testing.assert_array_equal(found, expected.numpy())


@pytest.mark.parametrize(("layout", "axes"), [("nchw", (0, 3, 1, 2)), ("nhwc", (0, 1, 2, 3))])
@pytest.mark.parametrize("number", ["float32", "float16", "float64", "uint8"])
@pytest.mark.parametrize("colour", ["rgb", "bgr"])
def test_layouts_numbers_and_colours(layout, axes, number, colour):
    found = graph_input(tiles(), spec_of(layout, number, colour=colour, divisor=1.0))
    expected = tiles() if colour == "rgb" else tiles()[..., ::-1]
    assert found.dtype == number
    assert found.flags.c_contiguous
    np.testing.assert_array_equal(found, expected.transpose(axes).astype(number))


@pytest.mark.parametrize(("layout", "shape"), [("chw", (3, 8, 8)), ("hwc", (8, 8, 3))])
def test_a_graph_without_batch_gets_one_tile(layout, shape):
    assert graph_input(tiles(1), spec_of(layout)).shape == shape


def test_mean_and_std_are_those_of_red_green_blue_also_for_bgr():
    red = np.zeros((1, 8, 8, 3), np.uint8)
    red[..., 0] = 255
    found = graph_input(red, spec_of(colour="bgr", mean=(1.0, 0.0, 0.0), std=(0.5, 1.0, 1.0)))
    assert (found == 0).all()
    found = graph_input(red, spec_of("nhwc", colour="bgr"))
    assert found[0, 0, 0].tolist() == [0, 0, 1]


def test_a_letterbox_has_grey_borders_and_the_whole_tile():
    spec = spec_of("nhwc", "uint8", 16, 10, divisor=1.0, resize="letterbox", border=114)
    white = np.full((1, 20, 20, 3), 255, np.uint8)
    found = graph_input(white, spec)
    assert found.shape == (1, 10, 16, 3)
    assert (found[0, :, 3:13] == 255).all()
    assert (found[0, :, :3] == 114).all()
    assert (found[0, :, 13:] == 114).all()


@given(
    side=st.integers(32, 900),
    width=st.integers(32, 900),
    height=st.integers(32, 900),
    resize=st.sampled_from(["stretch", "letterbox"]),
    share=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_the_corners_and_every_place_come_back(side, width, height, resize, share):
    """A place at a share of the tile's side lies at that share of the resized tile."""
    spec = spec_of(width=width, height=height, resize=resize)
    if resize == "stretch":
        (left, top), (wide, high) = (0, 0), (width, height)
    else:
        wide, left, top = letterbox(side, spec)
        high = wide
        assert max(wide / width, high / height) == pytest.approx(1, abs=0.51 / min(width, height))
    x, y = np.array([left + share[0] * wide]), np.array([top + share[1] * high])
    found = to_tile(x, y, side, spec)
    np.testing.assert_allclose(found, np.array(share)[:, None] * side, atol=1e-6)


@pytest.mark.parametrize("resize", ["stretch", "letterbox"])
def test_a_dot_is_where_it_was(resize):
    tile = np.full((1, 60, 60, 3), 255, np.uint8)
    tile[0, 30:42, 9:21] = 0  # centre 15, 36
    spec = spec_of("nhwc", "uint8", 150, 90, divisor=1.0, resize=resize)
    rows, columns = np.nonzero(graph_input(tile, spec)[0, ..., 0] < 50)
    x, y = to_tile(np.array([columns.mean() + 0.5]), np.array([rows.mean() + 0.5]), 60, spec)
    np.testing.assert_allclose([x[0], y[0]], [15, 36], atol=0.3)
