from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.figures import Detections, Figure, Label, points_of
from metaphase.provenance import Provenance

MADE = Provenance(image="a.tif", width_px=1000, height_px=800, mpp=0.25, threshold=0.5)

rows = st.lists(
    st.tuples(
        st.floats(-100, 2000),
        st.floats(-100, 2000),
        st.floats(0, 1),
        st.integers(0, 1),
    ),
    max_size=20,
)


def made(values: list[tuple[float, float, float, int]]) -> Detections:
    columns = list(zip(*values, strict=True)) if values else [[], [], [], []]
    return Detections(*columns, provenance=MADE)


def test_nothing_found_is_a_result() -> None:
    empty = Detections.empty(MADE)
    assert len(empty) == 0
    assert empty.points.shape == (0, 2)
    assert empty.labels == []
    assert empty == empty.above(0.5) == empty.rounded() == empty.with_label()
    assert empty.provenance is MADE


@given(rows, st.randoms())
def test_equal_sets_are_equal_in_any_order(values: list, random: object) -> None:
    shuffled = list(values)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert made(values) == made(shuffled)


@given(rows)
def test_rows_are_ordered_by_falling_score(values: list) -> None:
    found = made(values)
    assert (np.diff(found.score) <= 0).all()
    assert len(found) == len(values)


@given(rows)
def test_columns_stay_together(values: list) -> None:
    found = made(values)
    columns = (found.x_px, found.y_px, found.score, found.label)
    back = sorted(zip(*(column.tolist() for column in columns), strict=True))
    assert back == sorted((x, y, s, c) for x, y, s, c in values)


@given(rows)
def test_rounding_twice_changes_nothing_more(values: list) -> None:
    once = made(values).rounded()
    assert once == once.rounded()
    assert len(once) == len(values)


def test_the_threshold_itself_counts() -> None:
    found = made([(1, 1, 0.5, 0), (2, 2, 0.49, 0), (3, 3, 0.9, 0)])
    assert found.above_threshold().score.tolist() == [0.9, 0.5]
    assert found.above(0.6).score.tolist() == [0.9]


def test_labels_are_told_apart() -> None:
    found = made([(1, 1, 0.5, 0), (2, 2, 0.4, 1)])
    assert found.labels == [Label.MITOTIC, Label.HARD_NEGATIVE]
    assert found.with_label(Label.HARD_NEGATIVE).x_px.tolist() == [2]
    assert found.with_label().x_px.tolist() == [1]


def test_labels_default_to_mitotic() -> None:
    found = Detections([1], [2], [0.3], provenance=MADE)
    assert found.labels == [Label.MITOTIC]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (([1, 2], [1], [0.5]), "vectors of one length"),
        (([np.nan], [1], [0.5]), "finite"),
        (([1], [np.inf], [0.5]), "finite"),
        (([1], [1], [1.01]), r"\[0, 1\]"),
        (([1], [1], [np.nan]), r"\[0, 1\]"),
        (([1], [1], [0.5], [2]), "codes"),
        (([1], [1], [0.5], [-1]), "codes"),
        (([[1]], [[1]], [[0.5]]), "vectors"),
    ],
)
def test_impossible_values_are_refused(columns: tuple, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detections(*columns, provenance=MADE)


def test_a_mask_must_fit() -> None:
    with pytest.raises(ValueError, match="mask"):
        made([(1, 1, 0.5, 0)]).where([True, False])


def test_with_provenance_replaces_only_what_it_names() -> None:
    found = made([(1, 1, 0.5, 0)])
    other = found.with_provenance(threshold=0.1)
    assert other.provenance.threshold == 0.1
    assert other.provenance.image == "a.tif"
    assert found != other
    assert found.provenance.threshold == 0.5


def test_points_of_figures() -> None:
    figures = [Figure("1", 3, 4), Figure("2", 5, 6, Label.HARD_NEGATIVE)]
    assert points_of(figures).tolist() == [[3, 4]]
    assert points_of(figures, Label.HARD_NEGATIVE).tolist() == [[5, 6]]
    assert points_of(figures, None).tolist() == [[3, 4], [5, 6]]
    assert points_of([]).shape == (0, 2)


def test_label_codes_are_fixed() -> None:
    assert [label.code for label in Label] == [0, 1]
    assert str(Label.MITOTIC) == "mitotic figure"


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 2), st.integers(0, 1)),
        max_size=12,
    )
)
def test_rows_are_sorted_by_score_y_x_and_label_whatever_their_order(rows):
    x, y, score, code = ([row[k] / (4 if k == 2 else 1) for row in rows] for k in range(4))
    detections = Detections(x, y, score, code, provenance=MADE)
    again = Detections(
        detections.x_px, detections.y_px, detections.score, detections.label, provenance=MADE
    )
    assert again == detections
    keys = list(
        zip(-detections.score, detections.y_px, detections.x_px, detections.label, strict=True)
    )
    assert keys == sorted(keys)
    if len(rows):
        again.x_px[0] = -1
        assert detections.x_px[0] != -1, "arrays are not shared"


def test_probabilities_of_atypical_follow_their_rows() -> None:
    found = Detections(
        [1, 2, 3], [1, 2, 3], [0.2, 0.9, 0.5], provenance=MADE, atypical=[0.1, 0.9, np.nan]
    )
    np.testing.assert_array_equal(found.atypical_or_nan, [0.9, np.nan, 0.1])
    np.testing.assert_array_equal(found.where([True, False, True]).atypical_or_nan, [0.9, 0.1])
    assert found.where([False, True, False]).atypical is None  # none is known
    assert found.with_parameters(min_score=0.1).atypical is not None
    assert found == found.with_atypical([0.9, np.nan, 0.1])
    assert found != found.with_atypical([0.9, 0.5, 0.1])
    assert found != found.with_atypical(None)
    for wrong in ([0.5], [0.5, 2, 0.1], [0.5, np.inf, 0.1]):
        with pytest.raises(ValueError, match="atypical"):
            found.with_atypical(wrong)
