"""CIE L*a*b* of sRGB images, white point D65."""

from __future__ import annotations

import numpy as np

from metaphase.arrays import Float32Array, Pixels, to_uint8
from metaphase.matmul import matmul

_XYZ = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
_TO_XYZ = (_XYZ / _WHITE[:, None]).T.astype(np.float32)
_FROM_XYZ = np.linalg.inv(_XYZ / _WHITE[:, None]).T.astype(np.float32)
_GREY = np.arange(256) / 255
_LINEAR = np.where(_GREY > 0.04045, ((_GREY + 0.055) / 1.055) ** 2.4, _GREY / 12.92)
_LINEAR = _LINEAR.astype(np.float32)
_KNEE, _SLOPE = 0.008856, 7.787


def to_lab(pixels: Pixels) -> Float32Array:
    """Return L* (0 to 100), a*, b* [..., 3] of sRGB pixels [..., 3]."""
    xyz = matmul(np.take(_LINEAR, pixels), _TO_XYZ)
    f = np.where(xyz > _KNEE, np.cbrt(xyz), _SLOPE * xyz + np.float32(16 / 116))
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def from_lab(lab: Float32Array) -> Pixels:
    """Return the sRGB pixels of L*, a*, b* [..., 3]; colours outside of sRGB are clipped."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 0.2068966, f**3, (f - np.float32(16 / 116)) / _SLOPE)
    rgb = np.clip(matmul(xyz.astype(np.float32), _FROM_XYZ), 0, 1)
    grey = np.where(rgb > 0.0031308, 1.055 * rgb ** np.float32(1 / 2.4) - 0.055, 12.92 * rgb)
    return to_uint8(np.asarray(255 * grey, dtype=np.float32))
