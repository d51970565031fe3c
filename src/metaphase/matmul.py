"""Products of tall, thin matrices, such as all pixels of an image times a matrix of colours.

BLAS distributes such a product over threads as soon as it is long, although the product takes less
time than waking the threads: 256 x 256 px took 16 ms of CPU time on two cores instead of 0.1 ms,
and far longer on busy cores, as in training. Products below its limit (OpenBLAS: rows * columns *
inner length of 262,144; a quarter of that for complex numbers) stay in one thread, so the matrix is
multiplied in pieces. The result is the same; for three colours it is identical to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray

_MAX_SIZE = 60_000
Array = NDArray[Any]


def matmul(tall: Array, small: Array) -> Array:
    """Return ``tall @ small`` for [..., n, k] and [..., k, m], for any n, in one thread."""
    inner, columns = small.shape[-2:]
    rows = max(_MAX_SIZE // (inner * columns), 1)
    if tall.ndim < 2 or tall.shape[-2] <= rows:
        return np.asarray(tall @ small)
    stacked = np.broadcast_shapes(tall.shape[:-2], small.shape[:-2])
    shape = (*stacked, tall.shape[-2], columns)
    result = np.empty(shape, np.result_type(tall, small))
    for piece in _pieces(tall.shape[-2], rows):
        part = (..., piece, slice(None))
        np.matmul(tall[part], small, out=result[part])
    return result


def covariance(tall: Array) -> FloatArray:
    """Return the covariance [k, k] of the columns of [n, k], as ``np.cov``, in one thread."""
    centred = tall - tall.mean(axis=0, dtype=np.float64)
    parts = (
        centred[part] for part in _pieces(len(centred), max(_MAX_SIZE // centred.shape[1] ** 2, 1))
    )
    total = sum(part.T @ part for part in parts)
    return np.asarray(total / (len(centred) - 1), dtype=np.float64)


def _pieces(length: int, longest: int) -> Iterator[slice]:
    """Yield slices of nearly equal length, at most ``longest``.

    Equal, because BLAS computes a single remaining row by another routine.
    """
    count = -(-length // longest)
    ends = [length * (i + 1) // count for i in range(count)]
    yield from (slice(a, b) for a, b in zip([0, *ends], ends, strict=False))
