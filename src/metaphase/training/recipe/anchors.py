"""How well anchors fit the figures, and anchors measured on the labels. Without PyTorch.

RetinaNet learns a figure at a place only if some anchor overlaps its box with an IoU of 0.5 (Lin
et al. 2017); otherwise through one forced match, or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.figures import Label
from metaphase.labels.dataset import Dataset

DEFAULT_BOX_UM = 12.5
"""Side of MIDOG's boxes (50 px at 0.25 um/px); for labels that are points."""

FIRST_STRIDE = 8
ENOUGH_IOU = 0.5
_PLACES = 32  # along each axis of the cell that repeats


def box_sizes(dataset: Dataset, mpp: float, box_um: float | None = None) -> FloatArray:
    """Return the widths and heights [n, 2] of the mitotic figures' boxes in px at ``mpp``.

    Boxes are in their image's pixels; a case without mpp counts as if it were at ``mpp``.
    """
    sizes: list[tuple[float, float]] = []
    for case in dataset:
        scale = (case.mpp or mpp) / mpp
        for figure in case.figures:
            if figure.label != Label.MITOTIC:
                continue
            if box_um or figure.box is None:
                side = (box_um or DEFAULT_BOX_UM) / mpp
                sizes.append((side, side))
            else:
                x1, y1, x2, y2 = figure.box
                sizes.append(((x2 - x1) * scale, (y2 - y1) * scale))
    return np.asarray(sizes, dtype=np.float64).reshape(-1, 2)


def anchor_shapes(sides: Iterable[float], ratios: Iterable[float]) -> FloatArray:
    """Return width and height [n, 2] of a level's anchors, rounded as torchvision rounds them."""
    roots = [(1 / np.sqrt(ratio), np.sqrt(ratio)) for ratio in ratios]
    shapes = [(w * side, h * side) for w, h in roots for side in sides]
    return np.asarray(2 * np.round(np.asarray(shapes) / 2), dtype=np.float64)


def best_iou(size: Sequence[float], levels: Sequence[tuple[float, FloatArray]]) -> FloatArray:
    """Return the best IoU that any anchor has with a box, at places spread evenly over the image.

    ``size`` is the box's width and height; a level is its stride and its anchors' shapes [n, 2],
    centred on the multiples of the stride. All in the same pixels.
    """
    cell = max(stride for stride, _ in levels)
    along = (np.arange(_PLACES) + 0.5) * cell / _PLACES
    best = np.zeros((_PLACES, _PLACES))
    w, h = size
    for stride, shapes in levels:
        # Anchors of a level are equal, so the nearest is the best.
        away = np.abs((along + stride / 2) % stride - stride / 2)
        for width, height in shapes:
            shared_x = np.clip((w + width) / 2 - away, 0, min(w, width))
            shared_y = np.clip((h + height) / 2 - away, 0, min(h, height))
            shared = shared_x[None, :] * shared_y[:, None]
            best = np.maximum(best, shared / (w * h + width * height - shared))
    return best.ravel()


def coverage(
    sizes: FloatArray,
    anchors: Sequence[Sequence[float]],
    ratios: Sequence[float] = (1.0,),
    *,
    scale: float = 1.0,
) -> float:
    """Return the part of (figure, place) pairs that have an anchor with IoU >= 0.5.

    ``sizes`` [n, 2] are the boxes in the network's input pixels, ``scale`` is what a resize inside
    the network does to them.
    """
    levels = [
        (float(FIRST_STRIDE * 2**level), anchor_shapes(sides, ratios))
        for level, sides in enumerate(anchors)
    ]
    shapes, times = np.unique(np.round(sizes * scale, 1), axis=0, return_counts=True)
    if not len(shapes):
        return 0.0
    covered = [(best_iou(shape, levels) >= ENOUGH_IOU).mean() for shape in shapes]
    return float(np.average(covered, weights=times))


def from_labels(sizes: FloatArray) -> tuple[tuple[float, ...], ...]:
    """Return anchors at stride 8 of the labels' size: one for labels of similar size, else three.

    ``sizes`` are the boxes [n, 2] in the network's input pixels; without any, MIDOG's 50 px.
    """
    if not len(sizes):
        return ((50.0,),)
    sides = np.sqrt(sizes.prod(axis=1))
    low, middle, high = np.percentile(sides, [10, 50, 90])
    chosen = [middle] if high / low < 1.5 else [low, middle, high]
    return (tuple(float(round(side)) for side in chosen),)
