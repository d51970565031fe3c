"""Changes of an image of known kind and size: the sweeps of ``metaphase stress``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from metaphase.arrays import Float32Array, Pixels
from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.slide import Slide
from metaphase.stain.jitter import change_stains
from metaphase.stain.vectors import RUIFROK
from metaphase.training.patches.augment import compressed, gaussian
from metaphase.training.patches.colour import change_hue

_ONES = np.ones(3, np.float32)


def hue(image: Pixels, degrees: float) -> Pixels:
    """Turn the hue, in the plane of YIQ's I and Q."""
    return change_hue(image, degrees, 1.0)


def saturation(image: Pixels, factor: float) -> Pixels:
    """Multiply the saturation, the length in the plane of YIQ's I and Q."""
    return change_hue(image, 0.0, factor)


def brightness(image: Pixels, factor: float) -> Pixels:
    """Multiply the light, as a lamp or an exposure does; what is brighter than white is white."""
    table = np.clip(np.arange(256) * factor + 0.5, 0, 255).astype(np.uint8)
    return np.asarray(np.take(table, image))


def haematoxylin(image: Pixels, factor: float) -> Pixels:
    """Multiply the haematoxylin (Ruifrok and Johnston's vectors)."""
    return _stained(image, np.array([factor, 1, 1], np.float32))


def eosin(image: Pixels, factor: float) -> Pixels:
    """Multiply the eosin (Ruifrok and Johnston's vectors)."""
    return _stained(image, np.array([1, factor, 1], np.float32))


def blur(image: Pixels, sigma_px: float) -> Pixels:
    """Put out of focus by a Gaussian; in pixels of the image's own resolution."""
    return gaussian(image, sigma_px)


def jpeg(image: Pixels, quality: float) -> Pixels:
    """Compress once more as JPEG, 4:2:0. Quality 100 stands for not at all."""
    return image if quality >= 100 else compressed(image, round(quality), 2)


def _stained(image: Pixels, factors: Float32Array) -> Pixels:
    parts = [change_stains(part, RUIFROK, factors, 0 * _ONES) for part in _rows(image)]
    return np.concatenate(parts)


def _rows(image: Pixels, rows: int = 512) -> list[Pixels]:
    """Return an image in strips: what is done in floats takes twelve times its memory."""
    return [image[start : start + rows] for start in range(0, len(image), rows)]


@dataclass(frozen=True)
class Sweep:
    """One kind of change. ``neutral`` changes nothing; ``shift`` is the size of a change on the
    scale in which the differences between scanners were measured."""

    name: str
    unit: str
    levels: tuple[float, ...]
    neutral: float
    change: Callable[[Pixels, float], Pixels] | None

    def shift(self, level: float) -> float:
        """Return how far a level is from the neutral one: a difference, or a ratio's logarithm."""
        if self.neutral == 1.0:
            return float(abs(np.log(level)))
        return abs(level - self.neutral)

    def reaching(self, shift: float | None) -> Sweep:
        """Return the sweep with the two levels that lie exactly ``shift`` away from neutral."""
        if shift is None or shift <= 0:
            return self
        ends = [float(f"{end:.4g}") for end in self.ends(shift)]
        levels = sorted({*map(float, self.levels), *ends}, reverse=self.neutral == 100.0)
        return replace(self, levels=tuple(levels))

    def ends(self, shift: float) -> tuple[float, float]:
        """Return the levels that lie ``shift`` away from neutral."""
        if self.neutral == 1.0:
            return float(np.exp(-shift)), float(np.exp(shift))
        return self.neutral - shift, self.neutral + shift


MPP_ERROR = "mpp error"

SWEEPS: tuple[Sweep, ...] = (
    Sweep("hue", "degrees", (-30, -20, -10, -5, 0, 5, 10, 20, 30), 0.0, hue),
    Sweep("saturation", "times", (0.5, 0.65, 0.8, 0.9, 1.0, 1.1, 1.25, 1.5, 1.8), 1.0, saturation),
    Sweep("brightness", "times", (0.7, 0.8, 0.87, 0.94, 1.0, 1.06, 1.13, 1.2), 1.0, brightness),
    Sweep("haematoxylin", "times", (0.6, 0.75, 0.9, 1.0, 1.1, 1.3, 1.6), 1.0, haematoxylin),
    Sweep("eosin", "times", (0.6, 0.75, 0.9, 1.0, 1.1, 1.3, 1.6), 1.0, eosin),
    Sweep("blur", "px", (0.0, 0.5, 1.0, 1.5, 2.0, 3.0), 0.0, blur),
    Sweep("JPEG quality", "", (100, 90, 80, 60, 40, 20, 10), 100.0, jpeg),
    Sweep(MPP_ERROR, "times", (0.7, 0.8, 0.9, 0.95, 1.0, 1.05, 1.1, 1.25, 1.4), 1.0, None),
)


class Changed(ArraySlide):
    """A slide with changed pixels, in memory, and a resolution ``mpp`` that may be wrong."""

    def __init__(self, slide: Slide, change: Callable[[Pixels], Pixels], mpp: float) -> None:
        pixels = change(slide.read(0, 0, slide.width_px, slide.height_px))
        super().__init__(pixels, slide.path, MppHints(user=mpp))
        self.mpp_source = slide.mpp_source
