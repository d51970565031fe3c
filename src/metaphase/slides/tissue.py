"""Detection of tissue at low resolution, by the colour of haematoxylin and eosin.

The measure is the chroma of optical density, ``max(OD) - min(OD)`` over the channels, relative to
the glass: about 0 for glass, shadow and black fill at any brightness, 0.03 to 0.05 for the palest
stroma and 0.1 to 0.4 for other tissue. Otsu's threshold (IEEE Trans. SMC 9, 1979) is used within
limits, because in an image of tissue only, or of glass only, it would divide tissue from tissue or
glass from glass. Ink is recognised by its hue: the stains absorb green most, blue and green ink
absorb red most.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import BoolArray, Float32Array, Pixels
from metaphase.slides.mask import TissueMask, coarse_enough
from metaphase.slides.slide import Slide
from metaphase.stain.opticaldensity import DECADIC

TISSUE_MPP = 8.0
"""Resolution of the search: a nucleus is one pixel."""

CHROMA = (0.02, 0.03)
"""Limits of the threshold: values above are always tissue, values below always glass."""

HOLE_MM2 = 0.02
SPECK_MM2 = 0.004
RIM_UM = 16.0
INK_MM2 = 0.01

_BLACK = 50
_GREY = 120
_NEUTRAL = 20
_GLASS = 200
_APART = 0.05
_GLASS_CHROMA = 0.025


def find_tissue(slide: Slide, mpp: float = TISSUE_MPP) -> TissueMask:
    """Return the tissue of a slide. White, black, ink and empty glass are excluded.

    Reads the whole slide once at ``mpp`` (coarser for slides above 537 mm2), in parts; a slide
    without a pyramid is decoded completely.
    """
    mpp = max(
        mpp, slide.mpp, coarse_enough(slide.width_px * slide.mpp, slide.height_px * slide.mpp)
    )
    cell = mpp / slide.mpp
    columns, rows = int(np.ceil(slide.width_px / cell)), int(np.ceil(slide.height_px / cell))
    pixels = slide.read(0, 0, columns, rows, mpp)
    return TissueMask(tissue_in(pixels, mpp), mpp, slide.mpp, slide.width_px, slide.height_px)


def tissue_in(pixels: Pixels, mpp: float) -> BoolArray:
    """Return the mask [h, w] of tissue in an image uint8 [h, w, 3] at low resolution."""
    from scipy import ndimage

    void = _void(pixels)
    usable = ~void & ~_ink(pixels, mpp)
    chroma = ndimage.uniform_filter(_chroma(pixels, usable), 3, mode="nearest")
    tissue: BoolArray = usable & (chroma > _threshold(chroma[usable]))
    return _clean(tissue, usable, mpp)


def _void(pixels: Pixels) -> BoolArray:
    """Return where it is black or dark grey: scanner fill, marker, frame. Tissue has a colour."""
    high, low = pixels.max(axis=2), pixels.min(axis=2)
    neutral = (high - low) < _NEUTRAL
    return np.asarray((high < _BLACK) | (neutral & (high < _GREY)), dtype=np.bool_)


def _chroma(pixels: Pixels, usable: BoolArray) -> Float32Array:
    density = DECADIC.density(pixels)
    density -= _glass(pixels, density, usable)
    chroma = density.max(axis=2) - density.min(axis=2)
    return np.asarray(np.where(usable, chroma, 0))  # ink must not affect its surroundings


def _glass(pixels: Pixels, density: Float32Array, usable: BoolArray) -> Float32Array:
    """Return the density [3] of the glass: the median of bright, almost colourless pixels."""
    from scipy import ndimage

    colour = ndimage.uniform_filter(density.max(axis=2) - density.min(axis=2), 3)
    glass = usable & (pixels.min(axis=2) >= _GLASS) & (colour < _GLASS_CHROMA)
    if glass.sum() < max(16, 0.01 * usable.sum()):
        return np.zeros(3, np.float32)
    bright = pixels.min(axis=2) >= np.percentile(pixels.min(axis=2)[glass], 50)
    return np.asarray(np.median(density[glass & bright], axis=0))


def _ink(pixels: Pixels, mpp: float) -> BoolArray:
    """Return the strokes of blue, green and red pens, with their rims."""
    from scipy import ndimage

    red, green, blue = (pixels[..., channel].astype(np.int16) for channel in range(3))
    high, low = pixels.max(axis=2).astype(np.int16), pixels.min(axis=2).astype(np.int16)
    saturation = (high - low) / np.maximum(high, 1)
    cool = (green - red > 20) & (saturation > 0.2)
    violet = (blue >= high) & (saturation > 0.65)
    scarlet = (red >= high) & (saturation > 0.75) & (red > 120) & (abs(green - blue) < 50)
    strokes = ndimage.binary_opening(cool | violet | scarlet, iterations=1)
    strokes = _without_specks(strokes, INK_MM2, mpp)
    return np.asarray(ndimage.binary_dilation(strokes, iterations=2))


def _threshold(chroma: Float32Array) -> float:
    """Return Otsu's threshold of the values, within the limits."""
    if chroma.size == 0:
        return CHROMA[1]
    counts, edges = np.histogram(chroma, bins=256, range=(0.0, 0.4))
    weights = counts / max(1, counts.sum())
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(weights)
    mean_below = np.cumsum(weights * middles)
    spread = below * (1 - below)
    between = np.divide(
        (mean_below[-1] * below - mean_below) ** 2, spread, out=np.zeros(256), where=spread > 0
    )
    cut = int(between.argmax())
    apart = _mean(middles, counts, slice(cut + 1, None)) - _mean(middles, counts, slice(cut + 1))
    if apart < _APART:  # glass only or tissue only: the lower limit decides
        return CHROMA[0]
    return float(np.clip(edges[1 + cut], *CHROMA))


def _mean(values: NDArray[np.float64], counts: NDArray[np.int64], part: slice) -> float:
    total = counts[part].sum()
    return float((values[part] * counts[part]).sum() / total) if total else 0.0


def _clean(tissue: BoolArray, usable: BoolArray, mpp: float) -> BoolArray:
    """Close gaps, remove specks, fill small holes and add a rim, except in void or ink."""
    from scipy import ndimage

    closed = ndimage.binary_closing(np.pad(tissue, 2, mode="edge"), iterations=2)[2:-2, 2:-2]
    kept = _without_specks(closed, min(SPECK_MM2, 0.05 * tissue.size * mpp**2 * 1e-6), mpp)
    filled = ~_without_specks(~kept, HOLE_MM2, mpp, keep_border=True)
    rim = round(RIM_UM / mpp)
    grown = ndimage.binary_dilation(filled, iterations=rim) if rim else filled
    return np.asarray(grown & usable)


def _without_specks(
    mask: BoolArray, area_mm2: float, mpp: float, *, keep_border: bool = False
) -> BoolArray:
    """Return a mask without its parts (8-connected) smaller than an area."""
    from scipy import ndimage

    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    keep = sizes * mpp**2 * 1e-6 >= area_mm2
    if keep_border:  # a part cut by the border may be larger
        edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
        keep[edge] = True
    keep[0] = False
    kept: BoolArray = keep[labels]
    return kept
