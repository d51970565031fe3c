"""Scores become probabilities, boxes become centres, class numbers become classes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from metaphase.detection.foreign.points import (
    centres,
    points_of_best,
    points_of_classes,
    points_of_rows,
    probability,
)
from metaphase.errors import ModelFileError
from metaphase.models.foreign import ForeignInput, ForeignOutput

SPEC = ForeignInput(layout="nchw", number="float32", width_px=200, height_px=100)
COORDINATES = st.floats(-500, 500, width=32)


def output(**changes):
    values = {"decoding": "rows", "names": ("a",), "positions": (0,), "batched": (True,)}
    return ForeignOutput(**{**values, "classes": ("mitotic figure", "hard negative"), **changes})


@given(x=COORDINATES, y=COORDINATES, w=st.floats(1, 80), h=st.floats(1, 80), unit=st.booleans())
def test_every_format_has_the_same_centre(x, y, w, h, unit):
    forms = {
        "cxcywh": [x, y, w, h],
        "xywh": [x - w / 2, y - h / 2, w, h],
        "xyxy": [x - w / 2, y - h / 2, x + w / 2, y + h / 2],
        "yxyx": [y - h / 2, x - w / 2, y + h / 2, x + w / 2],
    }
    factor = np.array([200, 100]) if unit else 1
    for name, box in forms.items():
        found = centres(np.array([box]), SPEC, output(box_format=name, unit_boxes=unit))
        np.testing.assert_allclose(found, np.array([[x, y]]) * factor, atol=1e-3)


@given(arrays(np.float32, (5, 3), elements=st.floats(-1e4, 1e4, width=32)))
def test_logits_and_softmax_are_probabilities(values):
    for kind in ("logit", "softmax"):
        found = probability(values, kind)
        assert found.dtype == np.float64
        assert ((found >= 0) & (found <= 1)).all()
    np.testing.assert_allclose(probability(values, "softmax").sum(axis=1), 1)


def test_softmax_is_over_the_named_axis():
    values = np.random.default_rng(0).normal(size=(3, 4, 5))
    np.testing.assert_allclose(probability(values, "softmax", axis=0).sum(axis=0), 1)


def test_probabilities_above_one_are_refused_but_rounding_is_not():
    assert probability(np.float16([1.001, 0.5]), "probability").tolist() == [1.0, 0.5]
    with pytest.raises(ModelFileError, match=r"a score is 7.*--scores logit"):
        probability(np.array([7.0, -2.0]), "probability")
    with pytest.raises(ModelFileError, match="a score is inf"):
        probability(np.array([np.inf]), "probability")


@pytest.mark.parametrize("kind", ["probability", "logit", "softmax"])
def test_nan_is_refused(kind):
    with pytest.raises(ModelFileError, match="NaN"):
        probability(np.array([[0.1, np.nan]]), kind)


@pytest.mark.parametrize("kind", ["probability", "logit", "softmax"])
def test_nothing_is_no_error(kind):
    assert probability(np.zeros((0, 2), np.float32), kind).shape == (0, 2)


def test_every_class_or_the_best_one():
    points, scores = np.array([[1.0, 2], [3, 4]]), np.array([[0.6, 0.3], [0.1, 0.2]])
    every = points_of_classes(points, scores, 0.2)
    assert list(zip(every.x, every.score, every.label, strict=True)) == [
        (1, 0.6, 0),
        (1, 0.3, 1),
        (3, 0.2, 1),
    ]
    best = points_of_best(points, scores, 0.2)
    assert list(zip(best.x, best.score, best.label, strict=True)) == [(1, 0.6, 0), (3, 0.2, 1)]


@pytest.mark.parametrize("first", [0, 1])
def test_class_numbers_start_at_the_first_label(first):
    points, score = np.zeros((3, 2)), np.array([0.9, 0.8, 0.0])
    label = np.array([first, first + 1, -1])  # the last row fills the output up
    found = points_of_rows(points, score, label, output(first_label=first), 0.0)
    assert found.label.tolist() == [0, 1]
    with pytest.raises(ModelFileError, match="--classes"):
        points_of_rows(points, score, label + 1, output(first_label=first), 0.0)
    with pytest.raises(ModelFileError, match=r"the class 0\.5"):
        points_of_rows(points, score, label * 0 + 0.5, output(first_label=0), 0.0)
