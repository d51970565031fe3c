"""Optical density: how much light each channel loses (Beer and Lambert), and back to pixels.

The density of a pixel is ``-log((value + offset) / light)``. Published codes differ in ``light``
and ``offset``, and results depend on them, so each use names its scale:

- ``NORMALISATION``: natural logarithm, light 240, offset 1, as in Macenko's published code.
- ``JITTER``: natural logarithm, light 255; value 0 counts as 1. White pixels have density 0.
- ``DECADIC``: decadic logarithm, light 256, offset 1, for the detection of tissue.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from metaphase.arrays import Float32Array, Pixels, to_uint8


@dataclass(frozen=True, slots=True, eq=False)
class DensityScale:
    """One definition of optical density. ``table`` [256] holds the density of each pixel value."""

    light: float
    offset: int
    decadic: bool = False
    table: Float32Array = field(init=False, repr=False)

    def __post_init__(self) -> None:
        logarithm = np.log10 if self.decadic else np.log
        values = np.maximum(np.arange(256) + self.offset, 1)
        table = -logarithm(values / self.light)
        object.__setattr__(self, "table", table.astype(np.float32))

    def density(self, pixels: Pixels) -> Float32Array:
        """Return the optical density of pixels, of the same shape."""
        return np.asarray(np.take(self.table, pixels))

    def pixels(self, density: Float32Array) -> Pixels:
        """Return the pixels of a density on a natural scale. Overwrites ``density``."""
        np.negative(density, out=density)
        np.exp(density, out=density)
        density *= np.float32(self.light)
        return to_uint8(density)


NORMALISATION = DensityScale(240.0, 1)
JITTER = DensityScale(255.0, 0)
DECADIC = DensityScale(256.0, 1, decadic=True)
