"""Stain and colour brought from one image to another: normalisation, and mixing between domains.

- ``Macenko`` (``slides/stain.py``): stains and their amounts (Macenko et al. 2009, ISBI).
- ``Reinhard``: mean and spread in CIE L*a*b* (Reinhard et al. 2001, IEEE CG&A 21:34).
- ``fourier``: low frequencies of the amplitude (Yang and Soatto 2020, CVPR; mixed as by Xu et al.
  2021, CVPR).

Both normalisations look at stained pixels only: glass, black borders and pen take no part in what
is estimated. A tile that holds too little, or one stain only, is left as it is, and told. All take
and return uint8 RGB [height, width, 3], or [n, height, width, 3].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from metaphase.slides.slide import Pixels
from metaphase.slides.stain import Normalised, stained, to_bytes
from metaphase.thin import times

Float = NDArray[np.float32]
Rng = np.random.Generator


class Normaliser(Protocol):
    """Brings images to the look of a reference."""

    def __call__(self, image: Pixels) -> Normalised:
        """Return an image [h, w, 3] normalised, or as it is with the reason."""


def normalise_all(images: Pixels, normaliser: Normaliser) -> tuple[Pixels, list[str]]:
    """Return images [n, h, w, 3] normalised one by one, and why each was left ("": was not)."""
    results = [normaliser(image) for image in images]
    return np.stack([r.image for r in results]), [r.left_because for r in results]


@dataclass(frozen=True, slots=True, eq=False)
class Reinhard:
    """Normalisation to mean and spread of a reference in CIE L*a*b* (Reinhard et al. 2001).

    Of stained pixels only, other than in the paper, so that a tile half of glass keeps its glass;
    ``means`` and ``spreads`` [3] are in units of L*, a*, b*. ``whole`` takes all pixels, as the
    paper and torchstain do.
    """

    means: Float
    spreads: Float
    whole: bool = False
    name: ClassVar[str] = "reinhard"

    @classmethod
    def of(cls, image: Pixels, *, whole: bool = False) -> Reinhard | None:
        """Return the reference that an image is, None where too little of it is stained."""
        return reinhard_of(image, whole=whole)[0]

    def __call__(self, image: Pixels) -> Normalised:
        """Return the image with mean and spread of its stained pixels exchanged."""
        own, reason = reinhard_of(image, whole=self.whole)
        if own is None:
            return Normalised(image, reason)
        return Normalised(self.instead_of(own, image))

    def instead_of(self, own: Reinhard, image: Pixels) -> Pixels:
        """Return an image of known statistics with them exchanged for these."""
        gain = self.spreads / own.spreads
        mask = None if self.whole else stained(image)[0]
        pixels = image.reshape(-1, 3) if mask is None else image[mask]
        changed = from_lab((to_lab(pixels) - own.means) * gain + self.means)
        if mask is None:
            return changed.reshape(image.shape)
        result = image.copy()
        result[mask] = changed
        return result


def reinhard_of(image: Pixels, *, whole: bool = False) -> tuple[Reinhard | None, str]:
    """Return the statistics of an image, or None and why there are none."""
    if whole:
        pixels = image.reshape(-1, 3)
    else:
        mask, reason = stained(image)
        if reason:
            return None, reason
        pixels = image[mask]
    lab = to_lab(pixels)
    spreads = lab.std(axis=0)
    if (spreads < 1e-3).any():
        return None, "it is of one colour"
    return Reinhard(lab.mean(axis=0), spreads, whole), ""


# --- CIE L*a*b* of sRGB, white point D65 --------------------------------------------------------

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


def to_lab(pixels: Pixels) -> Float:
    """Return L* (0 to 100), a*, b* [..., 3] of sRGB."""
    xyz = times(np.take(_LINEAR, pixels), _TO_XYZ)
    f = np.where(xyz > _KNEE, np.cbrt(xyz), _SLOPE * xyz + np.float32(16 / 116))
    x, y, z = f[..., 0], f[..., 1], f[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def from_lab(lab: Float) -> Pixels:
    """Return sRGB of L*, a*, b* [..., 3]; colours that sRGB does not have are cut off."""
    y = (lab[..., 0] + 16) / 116
    f = np.stack([y + lab[..., 1] / 500, y, y - lab[..., 2] / 200], axis=-1)
    xyz = np.where(f > 0.2068966, f**3, (f - np.float32(16 / 116)) / _SLOPE)
    rgb = np.clip(times(xyz.astype(np.float32), _FROM_XYZ), 0, 1)
    grey = np.where(rgb > 0.0031308, 1.055 * rgb ** np.float32(1 / 2.4) - 0.055, 12.92 * rgb)
    return to_bytes(np.asarray(255 * grey, dtype=np.float32))


# --- Fourier amplitude --------------------------------------------------------------------------


def fourier(image: Pixels, partner: Pixels, *, beta: float, amount: float = 1.0) -> Pixels:
    """Return an image [h, w, 3] whose amplitudes of low frequency are mixed with a partner's.

    Phases, where things are, stay. ``beta`` is the half side of the square of frequencies, in parts
    of the image's side (Yang and Soatto 2020 take 0.01 to 0.09); ``amount`` is the partner's part
    in the mixture (1: exchanged, as by Yang and Soatto; drawn anew for each by Xu et al. 2021).
    """
    if image.shape != partner.shape:
        raise ValueError(f"images of one shape are mixed, not {image.shape} and {partner.shape}")
    height, width = image.shape[:2]
    rows, columns = _waves(height, int(beta * height)), _waves(width, int(beta * width))
    columns = columns[int(beta * width) :]  # an image is real: the others are their conjugates
    # Only these frequencies are transformed, there and back: a hundredth of a whole transform.
    own, theirs = (_low(picture, rows, columns) for picture in (image, partner))
    amplitude = np.abs(own)
    wanted = (1 - amount) * amplitude + amount * np.abs(theirs)
    change = own * (wanted / np.maximum(amplitude, 1e-6) - 1) / (height * width)
    change[:, :, 1:] *= 2
    added = np.real(times(times(rows.conj().T, change), columns.conj()))
    return to_bytes(image + np.ascontiguousarray(np.moveaxis(added, 0, -1)))


def _waves(length: int, highest: int) -> NDArray[np.complex64]:
    """Return the rows [2 highest + 1, length] of a Fourier transform from -highest to highest."""
    frequencies = np.arange(-highest, highest + 1)[:, None] * np.arange(length) / length
    return np.asarray(np.exp(-2j * np.pi * frequencies), dtype=np.complex64)


def _low(
    image: Pixels, rows: NDArray[np.complex64], columns: NDArray[np.complex64]
) -> NDArray[np.complex64]:
    planes = np.moveaxis(image, -1, 0).astype(np.float32)
    return np.asarray(times(rows, times(planes, columns.T)))


# --- the camera's colours -----------------------------------------------------------------------


def colour_matrix(rng: Rng, size: float) -> Float:
    """Draw a camera's matrix [3, 3]: the identity ± ``size``, its rows summing to 1.

    Grey stays grey, because every scanner is balanced on glass.
    """
    matrix = np.eye(3) + rng.uniform(-size, size, (3, 3))
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def apply_matrix(image: Pixels, matrix: Float) -> Pixels:
    """Return the image [h, w, 3] with every pixel's RGB multiplied by a matrix."""
    mixed = times(image.reshape(-1, 3).astype(np.float32), matrix.T)
    return to_bytes(mixed).reshape(image.shape)
