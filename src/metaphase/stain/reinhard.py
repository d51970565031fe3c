"""Reinhard's method: colour normalisation by mean and standard deviation in CIE L*a*b*.

Reinhard et al. 2001, "Color transfer between images", IEEE Comput. Graph. Appl. 21(5):34.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from metaphase.arrays import Float32Array, Pixels
from metaphase.stain.lab import from_lab, to_lab
from metaphase.stain.masks import stained_mask
from metaphase.stain.normaliser import Normalised

_MIN_DEVIATION = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Reinhard:
    """Colour statistics of an image, and normalisation to them.

    ``means`` and ``deviations`` [3] are those of L*, a* and b*. Unlike in the paper they are those
    of stained pixels, so that an image that is half glass keeps its glass; ``all_pixels`` takes all
    pixels, as the paper and torchstain do.
    """

    means: Float32Array
    deviations: Float32Array
    all_pixels: bool = False
    name: ClassVar[str] = "reinhard"

    @classmethod
    def estimate(cls, image: Pixels, *, all_pixels: bool = False) -> Reinhard | None:
        """Return the statistics of an image, None where too little of it is stained."""
        return estimate_reinhard(image, all_pixels=all_pixels)[0]

    def __call__(self, image: Pixels) -> Normalised:
        """Return the image with its statistics replaced by these."""
        source, reason = estimate_reinhard(image, all_pixels=self.all_pixels)
        if source is None:
            return Normalised(image, reason)
        return Normalised(self.transfer(image, source))

    def transfer(self, image: Pixels, source: Reinhard) -> Pixels:
        """Return the image with its statistics, ``source``, replaced by these."""
        gain = self.deviations / source.deviations
        mask = None if self.all_pixels else stained_mask(image)[0]
        pixels = image.reshape(-1, 3) if mask is None else image[mask]
        changed = from_lab((to_lab(pixels) - source.means) * gain + self.means)
        if mask is None:
            return changed.reshape(image.shape)
        result = image.copy()
        result[mask] = changed
        return result


def estimate_reinhard(image: Pixels, *, all_pixels: bool = False) -> tuple[Reinhard | None, str]:
    """Return the statistics of an image, or None and the reason why there are none."""
    if all_pixels:
        pixels = image.reshape(-1, 3)
    else:
        mask, reason = stained_mask(image)
        if reason:
            return None, reason
        pixels = image[mask]
    lab = to_lab(pixels)
    deviations = lab.std(axis=0)
    if (deviations < _MIN_DEVIATION).any():
        return None, "it is of one colour"
    return Reinhard(lab.mean(axis=0), deviations, all_pixels), ""
