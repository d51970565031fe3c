"""Decoders of the raw outputs of RetinaNet and FCOS, with the anchors of torchvision.

An anchor of row i, column j of a level with stride s is centred on (j s, i s). RetinaNet (Lin et
al. 2017) gives the shift of the centre in units of the anchor's sides, FCOS (Tian et al. 2019) the
distances to the left, top, right and bottom in units of the stride, and how central the place is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.detection.foreign.points import Output, Points, points_of_classes, probability
from metaphase.models.cardbase import Level
from metaphase.models.foreign import ForeignInput, ForeignOutput

STRIDES = (8.0, 16.0, 32.0, 64.0, 128.0)
"""Those of torchvision's feature pyramids."""

RETINANET_RATIOS = (0.5, 1.0, 2.0)


def retinanet_sizes(stride: float) -> tuple[float, ...]:
    """Return the anchor sizes of torchvision's RetinaNet at a stride."""
    side = 4 * stride
    return tuple(float(int(side * 2 ** (step / 3))) for step in range(3))


def anchor_levels(
    strides: Sequence[float],
    sizes: Sequence[Sequence[float]],
    ratios: Sequence[float],
) -> tuple[Level, ...]:
    """Return levels with torchvision's anchors: every size at every ratio of height to width."""
    return tuple(
        Level(stride=stride, anchors=_anchors(side, ratios))
        for stride, side in zip(strides, sizes, strict=True)
    )


def cells(spec: ForeignInput, level: Level) -> tuple[int, int]:
    """Return the rows and columns of a level's map."""
    return math.ceil(spec.height_px / level.stride), math.ceil(spec.width_px / level.stride)


def anchor_count(spec: ForeignInput, levels: Sequence[Level]) -> int:
    """Return the number of anchors of all levels."""
    return sum(math.prod(cells(spec, level)) * len(level.anchors) for level in levels)


def anchors_of(spec: ForeignInput, levels: Sequence[Level]) -> FloatArray:
    """Return all anchors [n, 4] as x, y of the centre, width, height, in torchvision's order."""
    parts = []
    for level in levels:
        rows, columns = cells(spec, level)
        # As in torchvision: a side that the stride does not divide has narrower cells.
        y = np.arange(rows) * (spec.height_px // rows)
        x = np.arange(columns) * (spec.width_px // columns)
        part = np.empty((rows, columns, len(level.anchors), 4))
        part[..., 0], part[..., 1] = x[None, :, None], y[:, None, None]
        part[..., 2:] = np.array(level.anchors)
        parts.append(part.reshape(-1, 4))
    return np.concatenate(parts)


def retinanet(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode logits [anchors, classes] and regression [anchors, 4] of all levels together."""
    logits, regression = outputs
    scores = _scores(logits, output)
    keep = (scores >= min_score).any(axis=1)
    anchors = anchors_of(spec, output.levels)[keep]
    shift = np.asarray(regression[keep, :2], dtype=np.float64)
    points = anchors[:, :2] + shift * anchors[:, 2:]
    return points_of_classes(points, scores[keep], min_score)


def retinanet_levels(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode two maps for each level: [anchors * classes, h, w] and [anchors * 4, h, w]."""
    count = len(output.classes) + output.first_label
    logits = [_flat(values, count) for values in outputs[::2]]
    regression = [_flat(values, 4) for values in outputs[1::2]]
    joined = (np.concatenate(logits), np.concatenate(regression))
    return retinanet(joined, spec, output, min_score)


def fcos(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode logits [places, classes], distances [places, 4] and centrality [places, 1]."""
    logits, distances, centrality = outputs
    central = probability(centrality.reshape(-1, 1), output.scores)
    scores = np.sqrt(_scores(logits, output) * central)
    keep = (scores >= min_score).any(axis=1)
    anchors = anchors_of(spec, output.levels)[keep]
    left, top, right, bottom = np.asarray(distances[keep], dtype=np.float64).T
    shift = np.stack([right - left, bottom - top], axis=1) / 2
    return points_of_classes(anchors[:, :2] + shift * anchors[:, 2:], scores[keep], min_score)


def _scores(logits: Output, output: ForeignOutput) -> FloatArray:
    return probability(logits[:, output.first_label :], output.scores)


def _flat(values: Output, each: int) -> Output:
    """Return a map [anchors * each, h, w] as rows [h * w * anchors, each]."""
    channels, rows, columns = values.shape
    split = values.reshape(channels // each, each, rows, columns)
    return split.transpose(2, 3, 0, 1).reshape(-1, each)


def _anchors(sides: Sequence[float], ratios: Sequence[float]) -> tuple[tuple[float, float], ...]:
    height_ratios = np.sqrt(np.asarray(ratios, dtype=np.float32))
    side = np.asarray(sides, dtype=np.float32)
    width = ((1 / height_ratios)[:, None] * side[None]).reshape(-1)
    height = (height_ratios[:, None] * side[None]).reshape(-1)
    # torchvision rounds half the sides.
    pairs = zip(2 * np.round(width / 2), 2 * np.round(height / 2), strict=True)
    return tuple((float(w), float(h)) for w, h in pairs)
