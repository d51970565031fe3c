from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.boxes import around
from metaphase.figures import Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.recipe.anchors import (
    anchor_shapes,
    best_iou,
    box_sizes,
    coverage,
    from_labels,
)
from tests.training.helpers import figure

EXERCISE = [(s, int(s * 2 ** (1 / 3)), int(s * 2 ** (2 / 3))) for s in (4, 8, 16, 32, 64)]
FIGURE = np.array([[50.0, 50.0]])


def test_one_anchor_of_the_labels_size_covers_every_place():
    assert coverage(FIGURE, [(50,)]) == 1.0


def test_the_reports_anchors_miss_most_places_behind_the_resize():
    ratios = (0.5, 1.0, 2.0)
    behind = coverage(FIGURE, EXERCISE, ratios, scale=800 / 512)
    assert 0.08 < behind < 0.15
    assert coverage(FIGURE, EXERCISE, ratios) > behind


def test_no_labels_no_coverage():
    assert coverage(np.zeros((0, 2)), [(50,)]) == 0.0


def overlaps(boxes, anchors):
    """Return the intersection over union [n, m]."""
    low = np.maximum(boxes[:, None, :2], anchors[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], anchors[None, :, 2:])
    shared = np.clip(high - low, 0, None).prod(axis=2)
    areas = [(b[:, 2:] - b[:, :2]).prod(axis=1) for b in (boxes, anchors)]
    return shared / (areas[0][:, None] + areas[1][None, :] - shared)


@given(
    w=st.floats(5, 90),
    h=st.floats(5, 90),
    sides=st.lists(st.integers(2, 45), min_size=1, max_size=3),
    stride=st.sampled_from([8.0, 16.0, 32.0]),
)
def test_best_iou_is_that_of_all_anchors(w, h, sides, stride):
    shapes = anchor_shapes([2 * s for s in sides], [1.0])
    found = best_iou((w, h), [(stride, shapes)])
    centres = np.arange(-2, 4) * stride
    grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
    anchors = np.concatenate([around(grid, s[0]) for s in shapes])
    along = (np.arange(32) + 0.5) * stride / 32
    places = np.stack(np.meshgrid(along, along), axis=-1).reshape(-1, 2)
    half = np.array([w / 2, h / 2])
    boxes = np.concatenate([places - half, places + half], axis=1)
    np.testing.assert_allclose(found, overlaps(boxes, anchors).max(axis=1), atol=1e-9)


def test_anchor_shapes_are_torchvisions():
    torch = pytest.importorskip("torch")
    utils = pytest.importorskip("torchvision.models.detection.anchor_utils")
    generator = utils.AnchorGenerator((EXERCISE[3],), ((0.5, 1.0, 2.0),))
    cells = generator.cell_anchors[0]
    sizes = (cells[:, 2:] - cells[:, :2]).to(torch.float64).numpy()
    np.testing.assert_allclose(anchor_shapes(EXERCISE[3], (0.5, 1.0, 2.0)), sizes)


def test_box_sizes_are_at_the_networks_resolution():
    cases = [
        Case("a", mpp=0.5, figures=(figure(1, 5, 5), figure(2, 9, 9, Label.HARD_NEGATIVE))),
        Case("b", figures=(figure(1, 5, 5, side=30),)),
    ]
    assert box_sizes(Dataset(cases), 0.25).tolist() == [[100, 100], [30, 30]]
    assert box_sizes(Dataset(cases), 0.25, box_um=10).tolist() == [[40, 40], [40, 40]]


def test_anchors_are_measured_on_the_labels():
    assert from_labels(np.full((9, 2), 50.0)) == ((50.0,),)
    assert from_labels(np.zeros((0, 2))) == ((50.0,),)
    mixed = np.repeat([[20.0, 20.0], [40.0, 40.0], [90.0, 90.0]], 5, axis=0)
    (sides,) = from_labels(mixed)
    assert len(sides) == 3
    assert coverage(mixed, [sides]) > coverage(mixed, [(40,)])
