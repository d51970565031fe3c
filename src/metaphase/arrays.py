"""Array types of the whole package, rounding to 8-bit pixels, and errors of damaged archives."""

from __future__ import annotations

from tokenize import TokenError
from zipfile import BadZipFile
from zlib import error as DeflateError

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

ARCHIVE_ERRORS = (
    *(OSError, ValueError, KeyError, EOFError, TypeError, OverflowError),
    *(MemoryError, RecursionError, BadZipFile, DeflateError),
    RuntimeError,  # an encrypted member, a compression that Python does not know
    *(TokenError, SyntaxError),  # of a member's header, which NumPy parses as Python
)
"""What reading a damaged NPZ file raises."""


def to_uint8(values: NDArray[np.floating]) -> Pixels:
    """Round values to the nearest grey level, 0 to 255. Overwrites ``values``."""
    np.clip(values, 0, 255, out=values)
    values += 0.5
    return values.astype(np.uint8)
