"""Whatever the outputs of a network look like, the same points come out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.detection.foreign import decode as decode_module
from metaphase.detection.foreign.decode import DECODERS, class_codes, decode_foreign
from metaphase.errors import ModelFileError
from metaphase.models.foreign import ForeignInput
from tests.detection.foreign.scene import SIDE, SPEC, encode, graph_of

POINTS = st.lists(
    st.tuples(
        st.floats(8, 248, width=16),
        st.floats(8, 248, width=16),
        st.integers(0, 2),
        st.floats(0.01, 0.99),
    ),
    max_size=8,
)
BY_BOX = [name for name in DECODERS if name not in ("heat-map", "retinanet-levels")]


def expected(points, min_score):
    """Return the points that count: not those of the class that is left out."""
    kept = [(x, y, s, label) for x, y, label, s in points if label < 2 and s >= min_score]
    return sorted(kept, key=lambda row: (-round(row[2], 4), row[1], row[0], row[3]))


def found_in(tile):
    return list(zip(tile.x, tile.y, tile.score, tile.label, strict=True))


@given(points=POINTS, decoding=st.sampled_from(BY_BOX), first=st.integers(0, 1))
def test_points_come_back(points, decoding, first):
    if any(abs(s - 0.2) < 1e-3 for *_, s in points):
        return  # rounding decides
    outputs, output = encode(points, decoding, first=first)
    (tile,) = decode_foreign(
        [values[None] for values in outputs], graph_of(output), SIDE, min_score=0.2
    )
    found = sorted(found_in(tile), key=lambda row: (-round(row[2], 4), row[1], row[0], row[3]))
    assert len(found) == len(expected(points, 0.2))
    by_place = sorted(found, key=lambda row: tuple(np.round(row, 2)))
    target = sorted(expected(points, 0.2), key=lambda row: tuple(np.round(row, 2)))
    for a, b in zip(by_place, target, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-2)


@given(points=POINTS, axis=st.sampled_from(["first", "last"]))
def test_the_axis_of_the_classes_does_not_matter(points, axis):
    for decoding in ("yolov5", "yolov8", "class-boxes"):
        outputs, output = encode(points, decoding, axis=axis, scores="probability")
        (tile,) = decode_foreign(
            [values[None] for values in outputs], graph_of(output), SIDE, min_score=0.2
        )
        assert len(tile) == len(expected(points, 0.2 - 1e-7))


@given(points=POINTS, side=st.sampled_from([100, 256, 300]))
def test_positions_are_in_pixels_of_the_tile(points, side):
    resized = SPEC.model_copy(update={"resize": "stretch"})
    outputs, output = encode(points, "boxes")
    (tile,) = decode_foreign(
        [v[None] for v in outputs], graph_of(output, resized), side, min_score=0.05
    )
    (same,) = decode_foreign([v[None] for v in outputs], graph_of(output), SIDE, min_score=0.05)
    np.testing.assert_allclose(np.sort(tile.x), np.sort(same.x) * side / SIDE, atol=1e-6)


def test_tiles_of_a_batch_do_not_mix():
    batches = [[(20.0, 30.0, 0, 0.9)], [], [(50.0, 60.0, 1, 0.8), (9.0, 9.0, 0, 0.3)]]
    parts = [encode(points, "boxes")[0] for points in batches]
    most = max(len(part[0]) for part in parts)
    outputs = [
        np.stack(
            [
                np.pad(
                    part[i],
                    [(0, most - len(part[i]))] + [(0, 0)] * (part[i].ndim - 1),
                    constant_values=-1,
                )
                for part in parts
            ]
        )
        for i in range(3)
    ]
    _, output = encode(batches[0], "boxes")
    found = decode_foreign(outputs, graph_of(output), SIDE, min_score=0.0)
    assert [len(tile) for tile in found] == [1, 0, 2]
    assert found[2].score.tolist() == pytest.approx([0.8, 0.3])


@pytest.mark.parametrize("name", sorted(DECODERS))
def test_a_result_without_detections(name):
    """Zero-size outputs, as suppression inside of a graph gives for white tiles."""
    if name in ("heat-map", "retinanet-levels", "retinanet", "fcos"):
        return
    outputs, output = encode([], name)
    (tile,) = decode_foreign([v[None] for v in outputs], graph_of(output), SIDE, min_score=0.0)
    assert len(tile) == 0


def test_the_count_of_valid_rows_is_kept_to():
    outputs, output = encode([(20.0, 30.0, 0, 0.9), (50.0, 60.0, 0, 0.8)], "boxes")
    values = {**output.model_dump(), "names": ("b", "s", "l", "n"), "positions": (0, 1, 2, 3)}
    counted = type(output)(**{**values, "batched": (True,) * 4})
    outputs.append(np.float32([1]))
    (tile,) = decode_foreign([v[None] for v in outputs], graph_of(counted), SIDE, min_score=0.1)
    assert tile.score.tolist() == pytest.approx([0.9])


@pytest.mark.parametrize("column", [0, 4])
def test_nan_is_refused(column):
    outputs, output = encode([(20.0, 30.0, 0, 0.9)], "yolov8")
    outputs[0][column] = np.nan
    with pytest.raises(ModelFileError, match="NaN"):
        decode_foreign([v[None] for v in outputs], graph_of(output), SIDE, min_score=0.1)


def test_a_box_at_infinity_is_refused():
    outputs, output = encode([(20.0, 30.0, 0, 0.9)], "boxes")
    outputs[0][0, 0] = np.inf
    with pytest.raises(ModelFileError, match="NaN"):
        decode_foreign([v[None] for v in outputs], graph_of(output), SIDE, min_score=0.1)


def test_shapes_that_do_not_fit_the_card_are_refused():
    outputs, output = encode([(20.0, 30.0, 0, 0.9)], "retinanet")
    with pytest.raises(ModelFileError, match="which is not retinanet"):
        decode_foreign([v[None, :-3] for v in outputs], graph_of(output), SIDE, min_score=0.1)


def test_too_many_candidates_are_cut_at_the_lowest_scores(monkeypatch):
    monkeypatch.setattr(decode_module, "MAX_PER_TILE", 3)
    points = [(20.0 * i + 10, 30.0, 0, 0.9 - i / 10) for i in range(5)]
    outputs, output = encode(points, "rows")
    (tile,) = decode_foreign([v[None] for v in outputs], graph_of(output), SIDE, min_score=0.1)
    assert tile.capped
    assert tile.score.tolist() == pytest.approx([0.9, 0.8, 0.7])


def test_classes_are_labels_or_left_out():
    assert class_codes(("Mitosis", "non-mitotic", "mitosis*", "something")) == [0, 1, -1, -1]


def test_points_in_the_border_of_a_letterbox_lie_outside_of_the_tile():
    spec = ForeignInput(
        layout="nchw", number="float32", width_px=300, height_px=100, resize="letterbox"
    )
    outputs, output = encode([(50.0, 30.0, 0, 0.9), (150.0, 50.0, 0, 0.8)], "rows")
    (tile,) = decode_foreign([v[None] for v in outputs], graph_of(output, spec), 200, min_score=0)
    assert (tile.x.tolist(), tile.y.tolist()) == ([-100.0, 100.0], [60.0, 100.0])
