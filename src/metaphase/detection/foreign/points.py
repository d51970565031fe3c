"""What all decoders of imported graphs share: points, scores, and the centres of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray, IntArray
from metaphase.detection.decode import sigmoid
from metaphase.errors import ModelFileError
from metaphase.models.foreign import ForeignInput, ForeignOutput
from metaphase.models.foreignkinds import ScoreKind

Output = NDArray[Any]
_ROUNDING = 2e-3
"""A probability may be this much above 1: half precision rounds."""


@dataclass(frozen=True, slots=True)
class Points:
    """Points of one tile in pixels of the input, with scores, and the numbers of their classes.

    ``label`` counts from 0 in the order of ``ForeignOutput.classes``.
    """

    x: FloatArray
    y: FloatArray
    score: FloatArray
    label: IntArray

    def __len__(self) -> int:
        return len(self.x)


def probability(values: Output, kind: ScoreKind, axis: int = -1) -> FloatArray:
    """Return scores in [0, 1] in float64. Raises ModelFileError where the card is wrong about them.

    ``axis`` is that of the classes, for softmax.
    """
    if np.isnan(values).any():
        raise not_a_number()
    if kind == "logit":
        return sigmoid(values)
    scores = np.asarray(values, dtype=np.float64)
    if kind == "softmax":
        if np.isposinf(scores).any():
            raise not_a_number()
        powers = np.exp(scores - scores.max(axis=axis, keepdims=True, initial=-np.inf))
        return np.asarray(powers / powers.sum(axis=axis, keepdims=True))
    if scores.size and scores.max() > 1 + _ROUNDING:
        raise ModelFileError.of(
            "outputs",
            f"a score is {scores.max():.4g}, but the card states probabilities from 0 to 1",
            way_out="import the graph again with --scores logit",
        )
    return np.minimum(scores, 1.0)


def centres(boxes: Output, spec: ForeignInput, output: ForeignOutput) -> FloatArray:
    """Return the centres x, y [n, 2] of boxes [n, 4], in pixels of the input."""
    a, b, c, d = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).T
    if output.box_format == "cxcywh":
        x, y = a, b
    elif output.box_format == "xywh":
        x, y = a + c / 2, b + d / 2
    elif output.box_format == "yxyx":
        x, y = (b + d) / 2, (a + c) / 2
    else:
        x, y = (a + c) / 2, (b + d) / 2
    points = np.stack([x, y], axis=1)
    if output.unit_boxes:
        points *= (spec.width_px, spec.height_px)
    return points


def points_of_classes(points: FloatArray, scores: FloatArray, min_score: float) -> Points:
    """Return a point for every class of every place whose score reaches ``min_score``.

    ``points`` are [n, 2], ``scores`` [n, classes].
    """
    row, label = np.nonzero(scores >= min_score)
    return Points(points[row, 0], points[row, 1], scores[row, label], label.astype(np.int64))


def points_of_best(points: FloatArray, scores: FloatArray, min_score: float) -> Points:
    """Return a point for the best class of every place whose score reaches ``min_score``."""
    label = scores.argmax(axis=1).astype(np.int64)
    best = scores[np.arange(len(scores)), label]
    keep = best >= min_score
    return Points(points[keep, 0], points[keep, 1], best[keep], label[keep])


def points_of_rows(
    points: FloatArray,
    score: FloatArray,
    label: FloatArray,
    output: ForeignOutput,
    min_score: float,
) -> Points:
    """Return the points of finished detections: one score and one class number [n] each.

    Rows with a score of 0 or less fill the output up. Raises ModelFileError for class numbers that
    the card does not name.
    """
    keep = (score >= min_score) & (score > 0)
    number = label[keep] - output.first_label
    wrong = (number < 0) | (number >= len(output.classes)) | (number != np.round(number))
    if wrong.any():
        raise ModelFileError.of(
            "outputs",
            f"a detection has the class {label[keep][wrong][0]:g}; the card names "
            f"{len(output.classes)} classes from number {output.first_label}",
            way_out="import the graph again and name all of its classes with --classes; "
            "--first-label says whether they are numbered from 0 or 1",
        )
    return Points(points[keep, 0], points[keep, 1], score[keep], number.astype(np.int64))


def not_a_number() -> ModelFileError:
    """Return the error for NaN."""
    error = ModelFileError.of(
        "outputs",
        "the graph returned values that are not numbers (NaN)",
        way_out="check --scaling; if the graph is in half precision, import one in full precision",
    )
    assert isinstance(error, ModelFileError)
    return error
