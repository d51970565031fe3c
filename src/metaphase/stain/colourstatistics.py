"""Colour statistics in optical density, and colour transfer with them.

After Reinhard et al. 2001 (IEEE Comput. Graph. Appl. 21(5):34), but for the optical density of red,
green and blue instead of L*a*b*. No stains are estimated, so it works on images of any size.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.arrays import FloatArray, Pixels
from metaphase.stain.opticaldensity import JITTER

FADE_DENSITY = 0.3
"""Below this optical density (sum of R, G, B) the shift fades out towards white."""

_GAIN = (0.5, 2.0)
_MIN_DEVIATION = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class ColourStatistics:
    """Mean and standard deviation [3 each] of the optical density of R, G and B."""

    mean: FloatArray
    std: FloatArray


def colour_statistics(image: Pixels) -> ColourStatistics:
    """Return the statistics of an image, uint8 [h, w, 3], from every second row and column."""
    density = JITTER.density(image[::2, ::2].reshape(-1, 3))
    return ColourStatistics(
        density.mean(axis=0, dtype=np.float64), density.std(axis=0, dtype=np.float64)
    )


def transfer_colours(
    image: Pixels, source: ColourStatistics, target: ColourStatistics, amount: float
) -> Pixels:
    """Return the image with its statistics moved from ``source`` towards ``target``.

    ``amount`` is the share of the way, 0 to 1. White stays white.
    """
    gain = np.clip(target.std / np.maximum(source.std, _MIN_DEVIATION), *_GAIN) ** amount
    mean = source.mean + amount * (target.mean - source.mean)
    shift = (mean - gain * source.mean).astype(np.float32)
    density = JITTER.density(image.reshape(-1, 3))
    stained = np.minimum(density.sum(axis=1, keepdims=True) / np.float32(FADE_DENSITY), 1)
    density = density * gain.astype(np.float32) + stained * shift
    return JITTER.pixels(np.maximum(density, 0)).reshape(image.shape)
