"""The eight symmetries of a square patch, of its points and of its boxes."""

from __future__ import annotations

import numpy as np

from metaphase.arrays import FloatArray, Pixels


def symmetry(image: Pixels, turn: int) -> Pixels:
    """Return one of the eight symmetries of a square: mirrored along x if turn >= 4, then turned
    by ``turn % 4`` quarters, anticlockwise."""
    mirrored = image[:, ::-1] if turn >= 4 else image
    return np.ascontiguousarray(np.rot90(mirrored, turn % 4))


def symmetry_points(points: FloatArray, turn: int, size: float) -> FloatArray:
    """Return points [n, 2] where ``symmetry`` puts them; ``size`` is the image's side in pixels."""
    x, y = points[:, 0], points[:, 1]
    if turn >= 4:
        x = size - x
    for _ in range(turn % 4):
        x, y = y, size - x
    return np.stack([x, y], axis=1)


def symmetry_boxes(boxes: FloatArray, turn: int, size: float) -> FloatArray:
    """Return boxes [n, 4] where ``symmetry`` puts them."""
    a = symmetry_points(boxes[:, :2], turn, size)
    b = symmetry_points(boxes[:, 2:], turn, size)
    return np.concatenate([np.minimum(a, b), np.maximum(a, b)], axis=1)
