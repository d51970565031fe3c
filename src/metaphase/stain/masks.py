"""Which pixels of an image are stained, and which are pen or paint."""

from __future__ import annotations

import numpy as np

from metaphase.arrays import BoolArray, Pixels
from metaphase.stain.opticaldensity import NORMALISATION

MIN_DENSITY = 0.15
"""A pixel is stained where the optical density of every channel is at least this."""
MIN_STAINED_SHARE = 0.02
"""Share of an image that must be stained before anything is estimated from it."""
BLACK = 8
"""Pixels with all channels at or below this are borders or holes."""

_MIN_STAINED_PIXELS = 64
_BRIGHTEST_STAINED = np.uint8(np.searchsorted(-NORMALISATION.table, -MIN_DENSITY, side="right") - 1)


def stained_mask(image: Pixels) -> tuple[BoolArray, str]:
    """Return the mask [h, w] of the stained pixels of an image [h, w, 3].

    The second value says why nothing can be estimated from the image; it is empty where there is
    enough stain. Glass, black and pen are not stained.
    """
    # In 8 or 16 bits, and channel by channel (reductions over an axis of three take ten times as
    # long), because this is done to every training patch.
    brightest = np.maximum(np.maximum(image[..., 0], image[..., 1]), image[..., 2])
    black = brightest <= BLACK
    mask = (brightest <= _BRIGHTEST_STAINED) & ~black & ~ink_mask(image)
    if black.mean() > 1 - MIN_STAINED_SHARE:
        return mask, "it is black"
    if mask.sum() < max(_MIN_STAINED_PIXELS, MIN_STAINED_SHARE * mask.size):
        return mask, "too little of it is stained"
    return mask, ""


def ink_mask(image: Pixels) -> BoolArray:
    """Return the mask [h, w] of pen and paint: colours that no mixture of the stains has.

    Haematoxylin and eosin absorb green most. Ink is where green is the brightest channel by far,
    blue the darkest by far, or red the darkest by far beside a bright blue.
    """
    red, green, blue = (image[..., channel].astype(np.int16) for channel in range(3))
    is_green = green > np.maximum(red, blue) + 20
    is_yellow = np.minimum(red, green) > blue + 60
    is_blue = blue > np.maximum(red + 90, green + 60)
    return np.asarray(is_green | is_yellow | is_blue)
