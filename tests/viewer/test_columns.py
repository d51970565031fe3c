from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from metaphase.figures import Figure, Label
from metaphase.viewer.columns import MAGIC, Columns, Source

from .conftest import found


@given(st.lists(st.tuples(st.floats(0, 2e5), st.floats(0, 2e5)), max_size=20))
def test_ids_come_from_places_to_a_hundredth_of_a_pixel(places):
    x, y = [p[0] for p in places], [p[1] for p in places]
    columns = Columns.of(x, y, [0.5] * len(x), [0] * len(x), Source.DETECTION)
    again = Columns.of(*columns.points.T, columns.score, columns.label, Source.DETECTION)
    assert list(columns.index) == list(again.index)
    for (px, py), (qx, qy) in zip(places, columns.points.tolist(), strict=True):
        assert abs(px - qx) <= 0.0051
        assert abs(py - qy) <= 0.0051


def test_labels_follow_detections_and_are_certain():
    both = Columns.of_detections(found("a.png", 3)) + Columns.of_figures(
        [Figure("1", 5.0, 6.0, Label.HARD_NEGATIVE)]
    )
    assert both.source.tolist() == [0, 0, 0, 1]
    assert both.score[-1] == 1
    assert both.label_of(3) == Label.HARD_NEGATIVE
    assert list(both.index)[-1] == "l500_600_1"


def test_no_figures_are_eight_bytes():
    empty = Columns.of_figures([])
    assert len(empty) == 0
    assert empty.to_bytes() == MAGIC + bytes(4)
    assert np.shape(empty.points) == (0, 2)


def test_probabilities_of_atypical_follow():
    detections = found("a.png", 3).with_atypical([0.75, np.nan, 0.25])
    both = Columns.of_detections(detections) + Columns.of_figures([Figure("1", 5, 6, atypical=1.0)])
    np.testing.assert_array_equal(both.atypical, np.float32([0.75, np.nan, 0.25, 1.0]))
    n = len(both)
    sent = np.frombuffer(both.to_bytes(), "<f4", n, 8 + 12 * n)
    np.testing.assert_array_equal(sent, both.atypical)
    assert np.isnan(Columns.of_detections(found("a.png", 3)).atypical).all()
