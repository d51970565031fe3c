"""Decoders of graphs that give boxes: YOLO, heads with suppression inside, boxes with scores.

Only the centre of a box counts. No box is suppressed here: points that are close together are
merged once, for the whole image (``detection/merge.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metaphase.detection.foreign.points import (
    Output,
    Points,
    centres,
    points_of_best,
    points_of_classes,
    points_of_rows,
    probability,
)
from metaphase.models.foreign import ForeignInput, ForeignOutput


def yolov5(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode [boxes, 5 + classes]: box, probability of an object, and those of the classes."""
    rows = _class_last(outputs[0], output)
    scores = probability(rows[:, 4:], output.scores)
    product = scores[:, :1] * scores[:, 1:]
    return points_of_best(centres(rows[:, :4], spec, output), product, min_score)


def yolov8(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode [4 + classes, boxes]: box, and the scores of the classes (YOLOv8, 11 and 12)."""
    rows = _class_last(outputs[0], output)
    scores = probability(rows[:, 4:], output.scores)
    return points_of_best(centres(rows[:, :4], spec, output), scores, min_score)


def rows(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode finished detections [m, 6]: box, score, class."""
    table = np.asarray(outputs[0], dtype=np.float64)
    return _finished(table[:, :4], table[:, 4], table[:, 5], spec, output, min_score)


def batch_rows(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode finished detections [m, 7]: number of the image, box, class, score (YOLOv7)."""
    table = np.asarray(outputs[0], dtype=np.float64)
    return _finished(table[:, 1:5], table[:, 6], table[:, 5], spec, output, min_score)


def boxes(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode boxes [m, 4], scores [m], labels [m], and perhaps the number of those that count."""
    box, score, label, *count = (np.asarray(values, dtype=np.float64) for values in outputs)
    valid = len(box) if not count else int(count[0].reshape(-1)[0])
    return _finished(
        box[:valid], score.reshape(-1)[:valid], label.reshape(-1)[:valid], spec, output, min_score
    )


def class_boxes(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode boxes [m, 4] with the scores of all classes [m, classes]."""
    scores = probability(_class_last(outputs[1], output), output.scores)
    box = outputs[0]
    keep = (scores >= min_score).any(axis=1)
    return points_of_classes(centres(box[keep], spec, output), scores[keep], min_score)


def _finished(
    box: Output,
    score: Output,
    label: Output,
    spec: ForeignInput,
    output: ForeignOutput,
    min_score: float,
) -> Points:
    scores = probability(score, output.scores)
    return points_of_rows(centres(box, spec, output), scores, label, output, min_score)


def _class_last(values: Output, output: ForeignOutput) -> Output:
    return values if output.class_axis == "last" else values.T
