"""Macenko's method: the stain vectors of an image, and stain normalisation with them.

Macenko et al. 2009, "A method for normalizing histology slides for quantitative analysis", ISBI.
The optical densities of stained pixels lie in a plane; the two extreme directions in it are the
stains. Checked against torchstain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from metaphase.arrays import Float32Array, FloatArray, Pixels
from metaphase.matmul import covariance, matmul
from metaphase.stain.masks import BLACK, ink_mask, stained_mask
from metaphase.stain.normaliser import Normalised
from metaphase.stain.opticaldensity import JITTER, NORMALISATION
from metaphase.stain.vectors import RUIFROK

MIN_ANGLE = 0.1
"""Radians between the extreme directions of optical density; below it there is one stain only."""
DECIMALS = 5
"""Decimals of stain vectors and amounts in files."""

_MIN_COMPONENT = 1e-3
_MAX_NEGATIVE = -0.05
_MIN_AMOUNT = 0.05
_MIN_DENSITY_SUM = 0.45
_MIN_PIXELS = 64


@dataclass(frozen=True, slots=True, eq=False)
class Macenko:
    """The stains of an image or slide, and normalisation to them.

    ``vectors`` [2, RGB] are the optical densities of haematoxylin and eosin, of length 1;
    ``amounts`` [2] the 99th percentiles of their concentrations.
    """

    vectors: Float32Array
    amounts: Float32Array
    name: ClassVar[str] = "macenko"

    @classmethod
    def from_values(cls, vectors: Sequence[Sequence[float]], amounts: Sequence[float]) -> Macenko:
        """Return the stains with the given numbers, as read from a file."""
        return cls(np.array(vectors, np.float32), np.array(amounts, np.float32))

    @classmethod
    def estimate(cls, image: Pixels) -> Macenko | None:
        """Return the stains of an image, None where they cannot be estimated."""
        return estimate_macenko(image)[0]

    def to_json(self) -> dict[str, list[Any]]:
        """Return the arguments of ``from_values``, rounded."""
        return {
            "vectors": [[round(float(v), DECIMALS) for v in row] for row in self.vectors],
            "amounts": [round(float(a), DECIMALS) for a in self.amounts],
        }

    def __call__(self, image: Pixels) -> Normalised:
        """Return the image with its stains replaced by these."""
        source, reason = estimate_macenko(image)
        if source is None:
            return Normalised(image, reason)
        return Normalised(self.transfer(image, source))

    def transfer(self, image: Pixels, source: Macenko) -> Pixels:
        """Return the image with its stains, ``source``, replaced by these."""
        # Concentrations, their scale and the new mixture are one matrix [3, 3].
        unmix = np.linalg.pinv(source.vectors)
        matrix = unmix @ np.diag(self.amounts / source.amounts) @ self.vectors
        density = NORMALISATION.density(image.reshape(-1, 3))
        mixed = matmul(density, matrix.astype(np.float32))
        result = NORMALISATION.pixels(mixed).reshape(image.shape)
        unchanged = _not_a_mixture(image)
        result[unchanged] = image[unchanged]
        return result


def _not_a_mixture(image: Pixels) -> Any:
    """Return the mask [h, w] of ink, black and glass, which a change of stains leaves alone."""
    red, green, blue = image[..., 0], image[..., 1], image[..., 2]
    mask = ink_mask(image)
    mask |= np.maximum(np.maximum(red, green), blue) <= BLACK
    mask |= np.minimum(np.minimum(red, green), blue) >= NORMALISATION.light
    return mask


def estimate_macenko(image: Pixels) -> tuple[Macenko | None, str]:
    """Return the stains of an image, or None and the reason why they cannot be estimated."""
    mask, reason = stained_mask(image)
    if reason:
        return None, reason
    density = NORMALISATION.density(image[mask])
    extremes, angle = _extreme_directions(density)
    if angle < MIN_ANGLE:
        return None, "it holds one stain only"
    if (extremes < _MAX_NEGATIVE).any():
        return None, "its colours are not those of two stains"
    vectors = _haematoxylin_first(extremes).astype(np.float32)
    amounts = np.percentile(matmul(density, np.linalg.pinv(vectors)), 99, axis=0)
    if (amounts < _MIN_AMOUNT).any():
        return None, "it holds one stain only"
    return Macenko(vectors, amounts.astype(np.float32)), ""


def estimate_jitter_vectors(image: Pixels) -> Float32Array:
    """Return stain vectors [3, RGB] for jitter: both stains, and the direction that is neither.

    Unlike ``estimate_macenko`` it never fails: where there is too little stain, or one stain only,
    the vectors are Ruifrok's. Every second row and column is enough.
    """
    density = JITTER.density(image[::2, ::2].reshape(-1, 3))
    density = density[density.sum(axis=1) > _MIN_DENSITY_SUM]
    if len(density) < _MIN_PIXELS:
        return RUIFROK
    extremes, angle = _extreme_directions(density)
    if angle < MIN_ANGLE:
        return RUIFROK
    first, second = _haematoxylin_first(extremes)
    residual = np.cross(first, second)
    return np.stack([first, second, residual / np.linalg.norm(residual)]).astype(np.float32)


def _extreme_directions(density: Float32Array, percentile: float = 1.0) -> tuple[FloatArray, float]:
    """Return the two extreme directions [2, RGB] of densities [n, RGB] in the plane of their two
    largest principal components, and the angle between them in radians."""
    plane = np.linalg.eigh(covariance(density))[1][:, 1:]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    along = matmul(density, plane)
    angles = np.arctan2(along[:, 0], along[:, 1])
    low, high = np.percentile(angles, [percentile, 100 - percentile])
    extremes = np.stack([plane @ [np.sin(angle), np.cos(angle)] for angle in (low, high)])
    return extremes, float(high - low)


def _haematoxylin_first(extremes: FloatArray) -> FloatArray:
    """Return two directions without negative parts, of length 1; haematoxylin absorbs more red."""
    vectors = np.maximum(extremes, _MIN_COMPONENT)
    vectors = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return np.asarray(vectors if vectors[0, 0] > vectors[1, 0] else vectors[::-1])
