from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.labels.dataset import Case
from metaphase.training.patches.patch import CaseTargets, SlidePool
from metaphase.training.patches.sampling import PatchSpec
from tests.training.helpers import figure, small_dataset


@pytest.fixture
def dataset(tmp_path):
    return small_dataset(tmp_path).labelled()


@given(
    x=st.floats(-200, 200),
    y=st.floats(-200, 200),
    mpp=st.sampled_from([0.25, 0.2, 0.5]),
)
def test_targets_lie_where_the_figures_are(x, y, mpp):
    figures = tuple(figure(i, 40 * i, 30 * i) for i in range(6))
    targets = CaseTargets(Case("a", figures=figures), 0.25)
    points, boxes, labels, ignore = targets.inside(PatchSpec("a", x, y, 64, mpp, "random"))
    expected = [
        ((f.x_px - x) * 0.25 / mpp, (f.y_px - y) * 0.25 / mpp)
        for f in figures
        # The tiniest negative differences become 0 where they are multiplied.
        if f.x_px >= x and (f.x_px - x) * 0.25 / mpp < 64
        if f.y_px >= y and (f.y_px - y) * 0.25 / mpp < 64
    ]
    np.testing.assert_allclose(points, np.reshape(expected, (-1, 2)), atol=1e-9)
    np.testing.assert_allclose((boxes[:, :2] + boxes[:, 2:]) / 2, points, atol=1e-9)
    assert len(labels) == len(points)
    for box in ignore:
        assert (box[:2] < 64).all()
        assert (box[2:] > 0).all()


def test_a_figure_that_is_cut_is_ignored_not_denied():
    targets = CaseTargets(Case("a", figures=(figure(1, 70, 30), figure(2, 300, 30))), 0.25)
    points, _, _, ignore = targets.inside(PatchSpec("a", 0, 0, 64, 0.25, "random"))
    assert len(points) == 0
    assert ignore.tolist() == [[45, 5, 95, 55]]


def test_boxes_are_the_labels_own_unless_asked_otherwise():
    case = Case("a", figures=(figure(1, 40, 40, side=30), replace(figure(2, 20, 20), box=None)))
    spec = PatchSpec("a", 0, 0, 64, 0.25, "random")
    own = CaseTargets(case, 0.25).inside(spec)[1]
    asked = CaseTargets(case, 0.25, box_um=10).inside(spec)[1]
    assert (own[:, 2] - own[:, 0]).tolist() == [30, 50]
    assert (asked[:, 2] - asked[:, 0]).tolist() == [40, 40]


def test_a_pool_keeps_few_slides_open(dataset):
    pool = SlidePool({case.id: case for case in dataset}, limit=2)
    first = pool["a"]
    assert pool["a"] is first
    pool["b"]
    pool["a"]
    pool["c"]  # b was unused for longest
    assert pool["a"] is first
    assert pool.open_slides == 2
    pool.close()
    assert pool["a"].read(0, 0, 4, 4).shape == (4, 4, 3)


def test_a_pool_arrives_empty_where_it_is_sent(dataset):
    pool = SlidePool({case.id: case for case in dataset})
    pool["a"]
    sent = pickle.loads(pickle.dumps(pool))
    assert sent.open_slides == 0
    assert np.array_equal(sent["a"].read(3, 4, 8, 8), pool["a"].read(3, 4, 8, 8))
