"""Array types of the whole package, and the rounding of values to 8-bit pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""8-bit pixels; RGB images are [height, width, 3]."""

FloatArray = NDArray[np.float64]
Float32Array = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
CodeArray = NDArray[np.int8]
"""Label codes (``Label.code``)."""

Rng = np.random.Generator


def to_uint8(values: NDArray[np.floating]) -> Pixels:
    """Round values to the nearest grey level, 0 to 255. Overwrites ``values``."""
    np.clip(values, 0, 255, out=values)
    values += 0.5
    return values.astype(np.uint8)
