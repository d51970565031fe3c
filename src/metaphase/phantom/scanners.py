"""The synthetic scanners: from amounts of two dyes to pixels.

Both dyes absorb light (Beer and Lambert: ``I = I0 exp(-H h - E e)``, with one vector of optical
densities for each dye). Then follow optical blur, sharpening, noise, a tone curve and JPEG
compression. All steps apply to the whole image after everything is drawn, so that none of them
reveals the place of a figure.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.arrays import Pixels
from metaphase.errors import InputError
from metaphase.phantom.noise import Field, Generator

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Scanner:
    """One synthetic scanner with the staining of its laboratory.

    ``haematoxylin`` and ``eosin`` are optical densities (natural logarithm) of red, green and blue
    for one unit of dye; ``white`` the values of glass, 0 to 255; ``gamma`` the tone curve;
    ``blur_px`` the standard deviation of the optical blur; ``sharpen`` the weight of unsharp
    masking; ``noise`` the standard deviation in grey levels; ``jpeg`` the quality.
    """

    name: str
    mpp: float
    haematoxylin: Vector
    eosin: Vector
    white: Vector = (242.0, 240.0, 243.0)
    gamma: float = 1.0
    blur_px: float = 0.7
    sharpen: float = 0.0
    noise: float = 2.0
    jpeg: int = 85
    labelled: bool = True


SCANNERS: tuple[Scanner, ...] = (
    Scanner(
        *("Synthetic A", 0.23, (0.66, 0.72, 0.30), (0.08, 0.95, 0.30)),
        white=(243.0, 241.0, 244.0),
        blur_px=0.75,
    ),
    Scanner(
        *("Synthetic B", 0.2456, (0.56, 0.86, 0.46), (0.16, 0.98, 0.52)),
        white=(246.0, 238.0, 240.0),
        gamma=1.08,
        blur_px=1.05,
        noise=3.0,
        jpeg=75,
    ),
    Scanner(
        *("Synthetic C", 0.2533, (0.72, 0.58, 0.20), (0.07, 0.72, 0.17)),
        white=(236.0, 240.0, 246.0),
        gamma=0.92,
        blur_px=0.6,
        sharpen=0.7,
        noise=2.5,
        jpeg=80,
    ),
    Scanner(
        *("Synthetic D", 0.26, (0.50, 0.70, 0.22), (0.12, 0.78, 0.42)),
        white=(240.0, 236.0, 226.0),
        gamma=1.12,
        blur_px=1.35,
        noise=1.5,
        jpeg=90,
        labelled=False,
    ),
)
"""The four scanners of the synthetic data set. Images of the last one have no labels."""


def find_scanner(name: str) -> Scanner:
    """Return the scanner of a name, or of the last letter of a name. Raises InputError."""
    for scanner in SCANNERS:
        if name.strip().lower() in (scanner.name.lower(), scanner.name[-1].lower()):
            return scanner
    raise InputError.of(
        "scanner",
        f"there is no synthetic scanner {name!r}",
        way_out="one of " + ", ".join(scanner.name for scanner in SCANNERS),
    )


def scan(rng: Generator, haematoxylin: Field, eosin: Field, scanner: Scanner) -> Pixels:
    """Return the image, uint8 [h, w, 3], of the maps of both dyes [h, w]."""
    light = np.empty((3, *haematoxylin.shape), np.float32)
    for channel in range(3):
        density = haematoxylin * np.float32(-scanner.haematoxylin[channel])
        density -= eosin * np.float32(scanner.eosin[channel])
        np.exp(density, out=light[channel])
    light = _optics(light, scanner)
    light += rng.standard_normal(light.shape, dtype=np.float32) * np.float32(scanner.noise / 255)
    np.clip(light, 0, 1, out=light)
    if scanner.gamma != 1:
        np.power(light, np.float32(scanner.gamma), out=light)
    light *= np.asarray(scanner.white, np.float32)[:, None, None]
    light += np.float32(0.5)
    pixels = np.ascontiguousarray(light.astype(np.uint8).transpose(1, 2, 0))
    return recompressed(pixels, scanner.jpeg)


def recompressed(pixels: Pixels, quality: int) -> Pixels:
    """Return pixels after one pass through JPEG with halved colour resolution."""
    import imagecodecs

    data = imagecodecs.jpeg8_encode(pixels, level=quality, subsampling="420")
    result: Pixels = imagecodecs.jpeg8_decode(data)
    return result


def _optics(light: Field, scanner: Scanner) -> Field:
    blurred = _blurred(light, scanner.blur_px)
    if scanner.sharpen:
        blurred += np.float32(scanner.sharpen) * (blurred - _blurred(blurred, 1.5))
    return blurred


def _blurred(light: Field, sigma: float) -> Field:
    """Blur every channel [c, h, w] with a Gaussian cut off at three standard deviations."""
    from scipy.ndimage import correlate1d

    reach = int(np.ceil(3 * sigma))
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    taps = (taps / taps.sum()).astype(np.float32)
    result: Field = correlate1d(light, taps, axis=1, mode="nearest")
    result = correlate1d(result, taps, axis=2, mode="nearest")
    return result
