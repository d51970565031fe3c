"""Points that are encoded as the outputs of each kind of network, to be decoded again."""

from __future__ import annotations

import numpy as np

from metaphase.detection.foreign import dense
from metaphase.models.foreign import ForeignGraph, ForeignInput, ForeignOutput

SIDE = 256
CLASSES = ("mitotic figure", "hard negative", "apoptosis*")
SPEC = ForeignInput(layout="nchw", number="float32", width_px=SIDE, height_px=SIDE)
LEVELS = dense.anchor_levels((8.0, 16.0), ((24.0, 32.0), (48.0,)), (1.0,))
PLACES = dense.anchor_levels((8.0, 16.0), ((8.0,), (16.0,)), (1.0,))
RNG = np.random.default_rng(0)


def logit(score):
    return np.log(score) - np.log1p(-score)


def table(points, per_class):
    """Return scores [n, classes]: a low one for every class but that of the point."""
    scores = np.full((len(points), len(CLASSES)), 1e-4)
    for row, (_, _, label, score) in enumerate(points):
        scores[row, label] = score
    return per_class(scores)


def boxes(points, form="xyxy"):
    x, y = np.array([(x, y) for x, y, _, _ in points]).reshape(-1, 2).T
    w, h = np.full(len(points), 21.0), np.full(len(points), 17.0)
    if form == "cxcywh":
        return np.stack([x, y, w, h], 1)
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], 1)


def finished(points, columns, first):
    scores = np.array([[score] for *_, score in points]).reshape(-1, 1)
    labels = np.array([[label + first] for _, _, label, _ in points], float).reshape(-1, 1)
    parts = {"b": boxes(points), "s": scores, "l": labels, "i": np.zeros((len(points), 1))}
    return np.concatenate([parts[c] for c in columns], axis=1)


def dense_outputs(points, levels, first):
    """Return shifts in units of the anchors for points, each at an anchor of its own."""
    anchors = dense.anchors_of(SPEC, levels)
    logits = np.full((len(anchors), len(CLASSES) + first), -12.0)
    shift = RNG.normal(0, 0.1, (len(anchors), 2))
    free = np.ones(len(anchors), bool)
    for x, y, label, score in points:
        away = np.hypot(anchors[:, 0] - x, anchors[:, 1] - y)
        row = np.where(free, away, np.inf).argmin()
        free[row] = False
        logits[row, label + first] = logit(score)
        shift[row] = (np.array([x, y]) - anchors[row, :2]) / anchors[row, 2:]
    return anchors, logits, shift


def encode(points, decoding, *, first=0, scores="logit", axis=None):
    """Return the outputs of one tile [k arrays] and their description."""
    axis = axis or ("first" if decoding in ("yolov8", "heat-map") else "last")
    per_class = logit if scores == "logit" else np.asarray
    levels = ()
    if decoding in ("yolov5", "yolov8"):
        parts = [boxes(points, "cxcywh"), table(points, per_class)]
        if decoding == "yolov5":
            certain = 30.0 if scores == "logit" else 1.0
            parts.insert(1, np.full((len(points), 1), certain))
        rows = np.concatenate(parts, axis=1)
        outputs = [rows if axis == "last" else rows.T]
    elif decoding == "rows":
        outputs, scores = [finished(points, "bsl", first)], "probability"
    elif decoding == "batch-rows":
        outputs, scores = [finished(points, "ibls", first)], "probability"
    elif decoding == "boxes":
        rows, scores = finished(points, "bsl", first), "probability"
        outputs = [rows[:, :4], rows[:, 4], rows[:, 5]]
    elif decoding == "class-boxes":
        rows = table(points, per_class)
        outputs = [boxes(points), rows if axis == "last" else rows.T]
    elif decoding == "retinanet":
        levels, scores = LEVELS, "logit"
        _, logits, shift = dense_outputs(points, levels, first)
        outputs = [logits, np.concatenate([shift, np.zeros_like(shift)], 1)]
    else:
        levels, scores = PLACES, "logit"
        _, logits, shift = dense_outputs(points, levels, first)
        # sqrt(sigmoid(logit) * sigmoid(large)): square the score before.
        probability = 1 / (1 + np.exp(-logits))
        sides = np.stack([3 - shift[:, 0], 3 - shift[:, 1], 3 + shift[:, 0], 3 + shift[:, 1]], 1)
        outputs = [logit(probability**2), sides, np.full((len(logits), 1), 40.0)]
    names = tuple(f"output{i}" for i in range(len(outputs)))
    output = ForeignOutput(
        decoding=decoding,
        names=names,
        positions=tuple(range(len(names))),
        batched=(True,) * len(names),
        classes=CLASSES,
        first_label=first if decoding not in ("yolov5", "yolov8", "class-boxes") else 0,
        class_axis=axis,
        scores=scores,
        box_format="cxcywh" if decoding in ("yolov5", "yolov8") else "xyxy",
        levels=levels,
    )
    return [np.asarray(values, np.float32) for values in outputs], output


def graph_of(output, spec=SPEC, kind="yolo"):
    return ForeignGraph(kind=kind, file="a.onnx", input=spec, output=output)
