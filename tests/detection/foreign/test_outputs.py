"""Which decodings the shapes of outputs allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from metaphase.detection.foreign.choices import Choices
from metaphase.detection.foreign.graph import Port
from metaphase.detection.foreign.outputs import RECOGNISERS, Question, levels_of, trials
from metaphase.errors import InputError
from tests.detection.foreign.scene import SPEC, encode

STATED = Choices(
    kind="retinanet",
    mpp=0.25,
    strides=(8, 16),
    anchor_sizes=((24, 32), (48,)),
    aspect_ratios=(1.0,),
)
ONE_EACH = replace(STATED, anchor_sizes=((8,), (16,)))
POINTS = [(20.0, 30.0, 0, 0.9), (90.0, 100.0, 1, 0.7), (200.0, 100.0, 2, 0.6)]


def port(name, array):
    return Port(name, (None,) * array.ndim, str(array.dtype))


def trials_of(arrays, names=None, spec=SPEC, batched=True):
    arrays = [array[None] if batched else array for array in arrays]
    names = names or [f"output{i}" for i in range(len(arrays))]
    return trials([port(n, a) for n, a in zip(names, arrays, strict=True)], [arrays], spec)


def question(classes=3, choices=STATED):
    return Question(classes, SPEC, choices)


@pytest.mark.parametrize(
    "decoding", [n for n in RECOGNISERS if n not in ("retinanet-levels", "heat-map", "batch-rows")]
)
def test_outputs_are_recognised(decoding):
    outputs, output = encode(POINTS, decoding, scores="probability")
    choices = ONE_EACH if decoding == "fcos" else STATED
    fit = RECOGNISERS[decoding](trials_of(outputs), question(choices=choices))
    assert fit is not None
    assert fit.decoding == decoding
    assert fit.class_axis == output.class_axis
    assert [trial.position for trial in fit.used] == list(output.positions)
    assert all(trial.batched for trial in fit.used)


def test_rows_with_the_number_of_the_image_have_no_batch_axis():
    outputs, _ = encode(POINTS, "batch-rows")
    alone = trials_of(outputs, batched=False)
    assert not alone[0].batched
    assert RECOGNISERS["batch-rows"](alone, question()) is not None
    assert RECOGNISERS["batch-rows"](trials_of(outputs), question()) is None


def test_one_row_alone_is_no_batch():
    outputs, _ = encode(POINTS[:1], "boxes")
    alone = trials_of(outputs, batched=False)
    assert [trial.shape for trial in alone] == [(1, 4), (1,), (1,)]
    assert RECOGNISERS["boxes"](alone, question()) is not None


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
@pytest.mark.parametrize("hint", ["integers", "names", "values"])
def test_scores_and_labels_are_distinguished(order, hint):
    outputs, _ = encode(POINTS, "boxes")
    names = ["a", "b", "c"]
    if hint == "integers":
        outputs[2] = outputs[2].astype(np.int64)
    elif hint == "names":
        names = ["boxes", "scores", "labels"]
    shuffled = trials_of([outputs[i] for i in order], [names[i] for i in order])
    fit = RECOGNISERS["boxes"](shuffled, question())
    assert fit is not None
    assert [order[trial.position] for trial in fit.used] == [0, 1, 2]


def test_a_count_of_the_rows_is_used():
    outputs, _ = encode(POINTS, "boxes")
    names = ["num_dets", "boxes", "scores", "classes"]
    fit = RECOGNISERS["boxes"](trials_of([np.int32([3]), *outputs], names), question())
    assert fit is not None
    assert [trial.port.name for trial in fit.used] == [*names[1:], "num_dets"]


def test_raw_scores_are_no_finished_rows():
    """[boxes, 6] may be boxes with two classes, or with an object and one class."""
    random = np.random.default_rng(0)
    for low, high in ((0.01, 0.9), (-9, -1), (-9, 9)):
        table = random.uniform(low, high, (40, 6)).astype(np.float32)
        assert RECOGNISERS["rows"](trials_of([table]), question(2)) is None
        assert RECOGNISERS["yolov8"](trials_of([table]), question(2)) is not None
        assert RECOGNISERS["yolov5"](trials_of([table]), question(1)) is not None


def test_empty_rows_are_finished_ones():
    empty = np.zeros((0, 6), np.float32)
    assert RECOGNISERS["rows"](trials_of([empty]), question(2)) is not None
    assert RECOGNISERS["yolov8"](trials_of([empty]), question(2)) is None


def test_retinanet_with_the_background_of_torchvision():
    for first in (0, 1):
        outputs, _ = encode(POINTS, "retinanet", first=first)
        fit = RECOGNISERS["retinanet"](trials_of(outputs), question())
        assert fit is not None
        assert fit.first_label == first


def test_regression_is_not_taken_for_logits():
    """With three classes and a background both have four columns."""
    outputs, _ = encode(POINTS, "retinanet", first=1)
    names = ["bbox_regression", "cls_logits"]
    fit = RECOGNISERS["retinanet"](trials_of(outputs[::-1], names), question())
    assert fit is not None
    assert [trial.port.name for trial in fit.used] == names[::-1]


@pytest.mark.parametrize("first", [0, 1])
def test_maps_of_levels(first):
    maps = []
    for side, each in ((32, 2), (16, 1)):
        maps += [np.zeros((each * (3 + first), side, side)), np.ones((each * 4, side, side))]
    fit = RECOGNISERS["retinanet-levels"](trials_of(maps[::-1]), question())
    assert fit is not None
    assert (fit.first_label, [t.shape for t in fit.used]) == (first, [m.shape for m in maps])
    assert RECOGNISERS["retinanet-levels"](trials_of(maps[:-1]), question()) is None


@pytest.mark.parametrize(
    ("shape", "classes", "axis"),
    [
        ((3, 32, 32), 3, "first"),
        ((32, 32, 3), 3, "last"),
        ((32, 32), 1, "first"),
        ((1, 32, 32), 1, "first"),
        ((4, 32, 32), 3, None),
        ((6, 1024), 1, None),  # rows of a YOLO, not a map of the tile
        ((32, 64), 1, None),
        ((512, 512), 1, None),
        ((1, 1), 1, None),
    ],
)
def test_heat_maps(shape, classes, axis):
    fit = RECOGNISERS["heat-map"](trials_of([np.zeros(shape)]), question(classes))
    assert (fit and fit.class_axis) == axis


def test_strides_and_sizes_are_of_one_number():
    with pytest.raises(InputError, match="3 strides, but anchor sizes of 2 levels"):
        levels_of(replace(STATED, strides=(8, 16, 32)), "retinanet")
