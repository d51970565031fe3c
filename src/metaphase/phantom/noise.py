"""Random fields: smooth noise of any scale, and fibres along a curved direction.

All arithmetic is elementwise, so a generator gives the same bytes with any number of threads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating[Any]]
Generator = np.random.Generator

_SPLINE_SD = 151 / 315  # of white noise after a cubic B-spline in two dimensions
_BANK = 1024  # side of the periodic texture of fibres; a power of two, so that & wraps around
_BANK_MPP = 0.25


def smooth_noise(rng: Generator, height: int, width: int, scale_px: float) -> Field:
    """Return noise [height, width] of mean 0 and variance 1 that changes over ``scale_px``.

    White noise on a grid ``scale_px`` apart, interpolated by cubic B-splines.
    """
    scale = max(1.0, scale_px)
    rows, cols = int(height / scale) + 5, int(width / scale) + 5
    coarse = rng.standard_normal((rows, cols), dtype=np.float32)
    shift_y, shift_x = rng.random(2)
    across = _interpolated(coarse.T, width, scale, float(shift_x)).T
    return _interpolated(np.ascontiguousarray(across), height, scale, float(shift_y))


def _interpolated(rows: Field, length: int, scale: float, shift: float) -> Field:
    """Interpolate along the first axis to ``length`` rows."""
    at = np.arange(length) / scale + shift
    start = at.astype(np.int64)
    t = (at - start).astype(np.float32)
    weights = (
        (1 - t) ** 3 / 6,
        (3 * t**3 - 6 * t**2 + 4) / 6,
        (-3 * t**3 + 3 * t**2 + 3 * t + 1) / 6,
        t**3 / 6,
    )
    result: Field = np.zeros((length, rows.shape[1]), np.float32)
    for tap, weight in enumerate(weights):
        result += rows[start + tap] * weight[:, None]
    result /= np.float32(_SPLINE_SD**0.5)
    return result


@lru_cache(maxsize=1)
def _fibre_bank() -> Field:
    """Return a periodic texture of strands along x: mean 0, variance 1."""
    from scipy import fft

    rng = np.random.default_rng(1872)  # one fixed texture; only its position is random
    fy = fft.fftfreq(_BANK)[:, None]
    fx = fft.rfftfreq(_BANK)[None, :]
    total = np.zeros((_BANK, _BANK))
    for thick, long_, weight in ((2.0, 30.0, 1.0), (5.0, 70.0, 1.2), (1.2, 6.0, 0.5)):
        white = fft.rfft2(rng.standard_normal((_BANK, _BANK)), workers=1)
        kept = np.exp(-2 * np.pi**2 * ((fy * thick) ** 2 + (fx * long_) ** 2))
        band = fft.irfft2(white * kept, s=(_BANK, _BANK), workers=1)
        total += weight * (
            0.8 - np.abs(band / band.std())
        )  # ridges: strands with gaps between them
    bank: Field = ((total - total.mean()) / total.std()).astype(np.float32)
    return bank


def fibres(rng: Generator, height: int, width: int, mpp: float) -> tuple[Field, float]:
    """Return wavy strands [height, width], mean 0 and variance 1, and their direction (radians)."""
    angle = float(rng.uniform(0, np.pi))
    ratio = mpp / _BANK_MPP
    offset = rng.integers(0, _BANK, 2)
    bend = smooth_noise(rng, height, width, 30 / mpp)
    x = (np.arange(width, dtype=np.float32) * np.float32(ratio))[None, :]
    y = (np.arange(height, dtype=np.float32) * np.float32(ratio))[:, None]
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    along = (x * cos + float(offset[0])) + y * sin
    across = (float(offset[1]) + 3 * _BANK - x * sin) + (y * cos + bend * np.float32(22))
    bank = _fibre_bank().ravel()
    flat = (across.astype(np.int32) & (_BANK - 1)) * _BANK + (along.astype(np.int32) & (_BANK - 1))
    return bank[flat], angle
