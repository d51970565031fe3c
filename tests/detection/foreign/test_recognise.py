"""Trial runs decide what shapes leave open, and errors name what would fit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from metaphase.detection.foreign.choices import Choices
from metaphase.detection.foreign.graph import Graph
from metaphase.detection.foreign.outputs import Question, trials
from metaphase.detection.foreign.recognise import recognise_outputs
from metaphase.errors import ModelFileError
from tests.detection.foreign.scene import CLASSES, SPEC, encode
from tests.detection.foreign.test_outputs import port

POINTS = [(20.0, 30.0, 0, 0.9), (90.0, 100.0, 1, 0.7), (200.0, 100.0, 0, 0.6)]
RANDOM = np.random.default_rng(0)


def recognise(arrays, kind="yolo", classes=CLASSES, names=None, spec=SPEC, **stated):
    names = names or [f"output{i}" for i in range(len(arrays))]
    batch = [np.repeat(np.asarray(a)[None], spec.batch, axis=0) for a in arrays]
    ports = tuple(port(n, a) for n, a in zip(names, batch, strict=True))
    graph = Graph(Path("a.onnx"), b"", (), ports, {}, "", None)
    question = Question(len(classes), spec, replace(Choices(kind=kind, mpp=0.25), **stated))
    return recognise_outputs(graph, trials(ports, [batch], spec), classes, question)


def refused(message, arrays, kind="yolo", **stated):
    with pytest.raises(ModelFileError, match=message):
        recognise(arrays, kind, **stated)


@pytest.mark.parametrize("decoding", ["yolov5", "yolov8", "class-boxes"])
@pytest.mark.parametrize("scores", ["logit", "probability"])
def test_logits_and_probabilities_are_distinguished(decoding, scores):
    outputs, _ = encode(POINTS, decoding, scores=scores)
    output, _ = recognise(outputs)
    assert (output.decoding, output.scores) == (decoding, scores)
    assert recognise(outputs, scores="softmax")[0].scores == "softmax"


def test_a_background_class_means_softmax():
    maps = RANDOM.normal(0, 3, (3, 32, 32))
    classes = ("background*", "mitotic figure", "hard negative")
    assert recognise([maps], "points", classes)[0].scores == "softmax"
    assert recognise([maps], "points", CLASSES)[0].scores == "logit"
    shares = np.exp(maps) / np.exp(maps).sum(axis=0)
    assert recognise([shares], "points", classes)[0].scores == "probability"


@pytest.mark.parametrize("decoding", ["yolov5", "yolov8", "rows", "boxes", "class-boxes"])
def test_boxes_from_0_to_1_are_recognised(decoding):
    outputs, output = encode(POINTS, decoding, scores="probability")
    assert not recognise(outputs)[0].unit_boxes
    scaled = [values.copy() for values in outputs]
    columns = slice(0, 4)
    if output.class_axis == "last" or decoding == "class-boxes":
        scaled[0][:, columns] /= 256
    else:
        scaled[0][columns] /= 256
    found, _ = recognise(scaled)
    assert found.unit_boxes
    assert found.box_format == ("cxcywh" if decoding.startswith("yolov") else "xyxy")
    assert not recognise(scaled, coordinates="pixels")[0].unit_boxes


@pytest.mark.parametrize("kind", ["yolo", "retinanet", "boxes"])
def test_the_number_of_the_first_class(kind):
    """Seen where class 0 or the last class occurs; else that of the kind's usual program."""
    two = CLASSES[:2]
    for first in (0, 1):
        outputs, _ = encode(POINTS, "boxes", first=first)
        output, assumed = recognise(outputs, kind, two)
        assert (output.first_label, assumed) == (first, ())
    undecided, _ = encode(POINTS[1:2], "boxes", first=0)
    output, assumed = recognise(undecided, kind, two)
    usual = 1 if kind == "retinanet" else 0
    assert output.first_label == usual
    assert assumed == (f"classes numbered from {usual} (--first-label)",)
    assert recognise(undecided, kind, two, first_label=1)[0].first_label == 1


def test_more_classes_than_named_are_refused():
    outputs, _ = encode([(9.0, 9.0, 0, 0.9), (99.0, 99.0, 2, 0.9)], "boxes")
    with pytest.raises(ModelFileError, match="3 classes, but 2 are named"):
        recognise(outputs, "boxes", CLASSES[:2])


def test_outputs_of_another_kind_name_it():
    maps = RANDOM.random((3, 32, 32))
    refused(r"output0 \[n, 3, 32, 32\].*did you mean --kind points\?", [maps], "yolo")
    rows, _ = encode(POINTS, "yolov8")
    refused(r"did you mean --kind yolo\?", rows, "points")
    outputs, _ = encode(POINTS, "rows")
    refused(r"did you mean --kind yolo\?", outputs, "points")


@pytest.mark.parametrize(
    ("shape", "kind", "number"),
    [
        ((84, 8400), "yolo", "80 classes"),
        ((25200, 85), "yolo", "80 classes"),
        ((5, 8400), "yolo", "1 class"),
        ((6, 64, 64), "points", "6 classes"),
    ],
)
def test_another_number_of_classes_is_named(shape, kind, number):
    refused(f"it has {number}: name them all with --classes", [np.full(shape, 0.5)], kind)


def test_raw_anchors_that_are_not_torchvisions_name_the_options():
    logits, regression = np.zeros((500, 3)), np.zeros((500, 4))
    refused(r"--strides, --anchor-sizes and --aspect-ratios", [logits, regression], "retinanet")
    refused(r"logits \[n, 1364, 3\]", [logits, regression], "fcos")


def test_raw_maps_of_yolo_are_refused():
    maps = [np.zeros((3, side, side, 8)) for side in (32, 16, 8)]
    refused("export it with its decoding inside", maps)


def test_a_stated_decoding_is_kept_to():
    outputs, _ = encode(POINTS, "yolov8")
    refused("those of --decoding yolov5", outputs, decoding="yolov5")
    assert recognise(outputs, "points", decoding="yolov8")[0].decoding == "yolov8"


def test_nan_and_unused_outputs_are_named():
    outputs, _ = encode(POINTS, "yolov8")
    broken = [np.full_like(outputs[0], np.nan)]
    refused("output0: gives values that are not numbers", broken)
    _, assumed = recognise([*outputs, np.zeros((3, 8, 8, 2))])
    assert assumed == ("outputs not used: output1",)


def test_a_batch_without_an_axis_for_it_is_refused():
    """Boxes [m, 4] of four tiles cannot be divided."""
    four = SPEC.model_copy(update={"batch": 4})
    outputs, _ = encode(POINTS, "boxes")
    ports = tuple(port(f"o{i}", a) for i, a in enumerate(outputs))
    graph = Graph(Path("a.onnx"), b"", (), ports, {}, "", None)
    question = Question(3, four, Choices(kind="boxes", mpp=0.25))
    with pytest.raises(ModelFileError, match="export it for a batch of 1"):
        recognise_outputs(graph, trials(ports, [outputs], four), CLASSES, question)
    whole, _ = encode(POINTS, "yolov8")
    assert recognise(whole, spec=four)[0].batched == (True,)
