"""Linear changes of colour: camera matrices, and hue and saturation in YIQ."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import Float32Array, Pixels, Rng, to_uint8
from metaphase.matmul import matmul

YIQ = np.array([[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]])
"""From R, G, B to Y (brightness), I and Q (the plane of hue and saturation)."""


def camera_matrix(rng: Rng, size: float) -> Float32Array:
    """Draw a camera's colour matrix [3, 3]: the identity ± ``size``, with rows that sum to 1.

    Grey stays grey, because every scanner is white-balanced on glass.
    """
    matrix = np.eye(3) + rng.uniform(-size, size, (3, 3))
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def change_hue(image: Pixels, degrees: float, saturation: float) -> Pixels:
    """Return the image with its hue rotated and its saturation multiplied, in the plane of I, Q."""
    angle = np.deg2rad(degrees)
    c, s = saturation * np.cos(angle), saturation * np.sin(angle)
    matrix = np.linalg.inv(YIQ) @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ YIQ
    return apply_matrix(image, matrix.astype(np.float32))


def apply_matrix(image: Pixels, matrix: NDArray[np.float32]) -> Pixels:
    """Return the image [h, w, 3] with the RGB of every pixel multiplied by a matrix."""
    mixed = matmul(image.reshape(-1, 3).astype(np.float32), matrix.T)
    return to_uint8(mixed).reshape(image.shape)
