"""Peaks of heat maps: every regional maximum once, flat tops at their centre."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metaphase.detection.foreign.heatmap import heat_map, peaks
from metaphase.models.foreign import ForeignInput, ForeignOutput

SPEC = ForeignInput(layout="nchw", number="float32", width_px=64, height_px=32)


def output(**changes):
    values = {
        "decoding": "heat-map",
        "names": ("a",),
        "positions": (0,),
        "batched": (True,),
        "classes": ("mitotic figure", "hard negative"),
        "class_axis": "first",
    }
    return ForeignOutput(**{**values, **changes})


def regional_maxima(values):
    """Return the sets of cells that are flat, connected and higher than all around them."""
    high, wide = values.shape
    left = {(r, c) for r in range(high) for c in range(wide)}
    found = []
    while left:
        start = left.pop()
        region, stack, top = {start}, [start], True
        while stack:
            r, c = stack.pop()
            for near in [(r + i, c + j) for i in (-1, 0, 1) for j in (-1, 0, 1)]:
                if near in region or not (0 <= near[0] < high and 0 <= near[1] < wide):
                    continue
                if values[near] == values[start]:
                    region.add(near)
                    stack.append(near)
                top &= bool(values[near] <= values[start])
        left -= region
        if top:
            found.append(region)
    return found


@given(arrays(np.float64, (5, 7), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])))
def test_peaks_are_the_regional_maxima(values):
    places, index = peaks(values, np.ones_like(values, dtype=bool))
    expected = sorted(
        (float(np.mean([c for _, c in region])), float(np.mean([r for r, _ in region])))
        for region in regional_maxima(values)
    )
    assert sorted(map(tuple, np.round(places, 9).tolist())) == [
        (round(x, 9), round(y, 9)) for x, y in expected
    ]
    assert len(index) == len(places)


@given(
    st.sets(st.tuples(st.integers(0, 7), st.integers(0, 3)), max_size=12),
    st.sampled_from(["first", "last"]),
    st.integers(0, 1),
)
def test_separate_cells_are_found_with_their_class(cells, axis, label):
    maps = np.zeros((2, 8, 16), np.float32)
    for i, (column, row) in enumerate(sorted(cells)):
        maps[label, 2 * row, 2 * column] = 0.5 + i / 100
    values = maps if axis == "first" else maps.transpose(1, 2, 0)
    found = heat_map([values], SPEC, output(class_axis=axis), 0.1)
    assert sorted(zip(found.x, found.y, strict=True)) == sorted(
        (8.0 * c + 2, 8.0 * r + 2) for c, r in cells
    )
    assert set(found.label) <= {label}


def test_a_saturated_disc_is_one_point_at_its_centre():
    y, x = np.mgrid[:32, :64]
    disc = ((x - 20) ** 2 + (y - 11) ** 2 <= 36).astype(np.float32)
    found = heat_map([disc[None]], SPEC, output(classes=("mitotic figure",)), 0.5)
    assert (found.x.tolist(), found.y.tolist(), found.score.tolist()) == ([20.5], [11.5], [1.0])


def test_logits_are_compared_where_their_probabilities_are_equal():
    maps = np.full((1, 32, 64), -9.0, np.float32)
    maps[0, 5, 5:8] = (50, 60, 50)
    one = output(classes=("mitotic figure",), scores="logit")
    found = heat_map([maps], SPEC, one, 0.5)
    assert (found.x.tolist(), found.y.tolist()) == ([6.5], [5.5])


def test_a_map_without_class_axis():
    found = heat_map([np.eye(4, 8, dtype=np.float32)[:, :]], SPEC, output(classes=("mf",)), 0.5)
    assert len(found) == 1  # the diagonal is one flat ridge


def test_softmax_with_a_background():
    maps = np.zeros((3, 32, 64), np.float32)
    maps[0] = 5
    maps[1, 9, 9] = 12
    classes = ("background*", "mitotic figure", "hard negative")
    found = heat_map([maps], SPEC, output(classes=classes, scores="softmax"), 0.5)
    assert (found.x[found.label == 1].tolist(), found.y[found.label == 1].tolist()) == (
        [9.5],
        [9.5],
    )


@pytest.mark.parametrize("value", [0.0, 0.04])
def test_an_empty_map_has_no_points(value):
    maps = np.full((2, 32, 64), value, np.float32)
    assert len(heat_map([maps], SPEC, output(), 0.05)) == 0
