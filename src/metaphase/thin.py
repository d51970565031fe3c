"""Products of tall, thin matrices, such as all pixels times a matrix of colours.

BLAS shares such a product out to threads as soon as it is long enough, though it takes less time
than waking them: 256 px square took 16 ms of CPU on two cores instead of 0.1, and far longer where
the cores were busy, as they are in training. Cut into pieces below its limit (OpenBLAS: rows *
columns * inner length of 262,144, a quarter of it for complex numbers) it stays in one thread; the
result is the same, for colours to the bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_MOST = 60_000
Array = NDArray[Any]


def times(tall: Array, small: Array) -> Array:
    """Return ``tall @ small`` for [..., n, k] and [..., k, m], however large n is."""
    inner, columns = small.shape[-2:]
    rows = max(_MOST // (inner * columns), 1)
    if tall.ndim < 2 or tall.shape[-2] <= rows:
        return np.asarray(tall @ small)
    stacked = np.broadcast_shapes(tall.shape[:-2], small.shape[:-2])
    shape = (*stacked, tall.shape[-2], columns)
    result = np.empty(shape, np.result_type(tall, small))
    for rows_of in _equal(tall.shape[-2], rows):
        part = (..., rows_of, slice(None))
        np.matmul(tall[part], small, out=result[part])
    return result


def _equal(length: int, most: int) -> Iterator[slice]:
    """Yield slices of nearly equal length, at most ``most``: a single row left over at the end
    would be computed in another way."""
    count = -(-length // most)
    ends = [length * (i + 1) // count for i in range(count)]
    yield from (slice(a, b) for a, b in zip([0, *ends], ends, strict=False))


def covariance(tall: Array) -> NDArray[np.float64]:
    """Return the covariance [k, k] of the columns of [n, k], as ``np.cov``."""
    away = tall - tall.mean(axis=0, dtype=np.float64)
    parts = (away[part] for part in _equal(len(away), max(_MOST // away.shape[1] ** 2, 1)))
    total = sum(part.T @ part for part in parts)
    return np.asarray(total / (len(away) - 1), dtype=np.float64)
