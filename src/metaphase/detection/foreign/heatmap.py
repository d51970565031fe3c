"""Decoder of heat maps of points: a candidate is a cell that no neighbour exceeds.

Saturated maps have flat tops: one candidate at their centre of mass. A flat part of a slope is no
candidate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.detection.foreign.points import Output, Points, probability
from metaphase.models.foreign import ForeignInput, ForeignOutput


def heat_map(
    outputs: Sequence[Output], spec: ForeignInput, output: ForeignOutput, min_score: float
) -> Points:
    """Decode a map [classes, h, w] or [h, w, classes]; a cell is as large as the input / map."""
    maps = outputs[0] if outputs[0].ndim == 3 else outputs[0][None]
    if output.class_axis == "last":
        maps = maps.transpose(2, 0, 1)
    scores = probability(maps, output.scores, axis=0)
    # Logits are compared: high ones have equal probabilities.
    ranked = scores if output.scores == "softmax" else np.asarray(maps, dtype=np.float64)
    rows, columns = maps.shape[1:]
    scale = np.array([spec.width_px / columns, spec.height_px / rows])
    parts = []
    for number, (rank, score) in enumerate(zip(ranked, scores, strict=True)):
        places, value = peaks(rank, score >= min_score)
        label = np.full(len(places), number - output.first_label)
        parts.append((places, score.reshape(-1)[value], label))
    kept = parts[output.first_label :]
    points = (np.concatenate([places for places, _, _ in kept]) + 0.5) * scale
    return Points(
        points[:, 0],
        points[:, 1],
        np.concatenate([score for _, score, _ in kept]),
        np.concatenate([label for _, _, label in kept]).astype(np.int64),
    )


def peaks(values: FloatArray, mask: BoolArray) -> tuple[FloatArray, IntArray]:
    """Return the local maxima of values [h, w] inside of a mask: column, row [n, 2] and index [n].

    Equal cells that touch are one maximum, at their mean place.
    """
    from scipy import ndimage

    nothing = np.zeros((0, 2)), np.zeros(0, dtype=np.int64)
    if not mask.any():
        return nothing
    lowest = {"mode": "constant", "cval": -np.inf, "size": 3}
    top = mask & (values == ndimage.maximum_filter(values, **lowest))
    numbers, count = ndimage.label(top, structure=np.ones((3, 3)))
    if not count:
        return nothing
    beside = ndimage.maximum_filter(np.where(top, -np.inf, values), **lowest)
    on_slopes = np.unique(numbers[top & (beside == values)])
    flat = np.flatnonzero(top)
    of_cell = numbers.reshape(-1)[flat]
    sizes = np.bincount(of_cell, minlength=count + 1)[1:]
    row, column = np.divmod(flat, values.shape[1])
    centre = [
        np.bincount(of_cell, weights=axis, minlength=count + 1)[1:] / sizes
        for axis in (column, row)
    ]
    _, first = np.unique(of_cell, return_index=True)
    keep = ~np.isin(np.arange(1, count + 1), on_slopes)
    return np.stack(centre, axis=1)[keep], flat[first][keep]
