"""Arithmetic on boxes and points, in pixels. Boxes are rows of x1, y1, x2, y2."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from metaphase.arrays import FloatArray


def as_boxes(boxes: ArrayLike) -> FloatArray:
    """Return boxes as a float array of shape [n, 4]; the empty list is n = 0."""
    return np.asarray(boxes, dtype=np.float64).reshape(-1, 4)


def as_points(points: ArrayLike) -> FloatArray:
    """Return points as a float array of shape [n, 2]; the empty list is n = 0."""
    return np.asarray(points, dtype=np.float64).reshape(-1, 2)


def xywh_to_xyxy(boxes: ArrayLike) -> FloatArray:
    """Convert COCO's x, y, width, height to x1, y1, x2, y2."""
    b = as_boxes(boxes)
    return np.concatenate([b[:, :2], b[:, :2] + b[:, 2:]], axis=1)


def xyxy_to_xywh(boxes: ArrayLike) -> FloatArray:
    """Convert x1, y1, x2, y2 to COCO's x, y, width, height."""
    b = as_boxes(boxes)
    return np.concatenate([b[:, :2], b[:, 2:] - b[:, :2]], axis=1)


def centres(boxes: ArrayLike) -> FloatArray:
    """Return the centres [n, 2] of boxes."""
    b = as_boxes(boxes)
    return (b[:, :2] + b[:, 2:]) / 2


def around(points: ArrayLike, size_px: float) -> FloatArray:
    """Return square boxes of side ``size_px`` centred on points."""
    p = as_points(points)
    return np.concatenate([p - size_px / 2, p + size_px / 2], axis=1)


def distances(a: ArrayLike, b: ArrayLike) -> FloatArray:
    """Return the Euclidean distances [n, m] between two sets of points."""
    a, b = as_points(a), as_points(b)
    return np.asarray(np.hypot(a[:, None, 0] - b[None, :, 0], a[:, None, 1] - b[None, :, 1]))
