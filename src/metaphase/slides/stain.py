"""The stains of an image, and their exchange for others (Macenko et al. 2009, ISBI).

Only stained pixels are looked at: glass, black borders and pen take no part in what is estimated.
What holds too little, or one stain only, is left as it is, and told. Images are uint8 RGB
[height, width, 3].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from metaphase.slides.slide import Pixels, Slide
from metaphase.thin import covariance, times

Float = NDArray[np.float32]

LIGHT = 240.0
"""Grey level of glass that Macenko's optical density starts from, as the published codes take."""
FAINT = 0.15
"""A pixel is stained where the optical density of every channel is at least this."""
LEAST_STAINED = 0.02
"""Part of a tile that must be stained for anything to be estimated of it."""
LEAST_ANGLE = 0.1
"""Radians between the extreme directions of optical density: less is one stain only."""
BLACK = 8
"""A border or a hole, where all channels are at or below."""
DECIMALS = 5
"""Of stains in files."""
TILE_PX, TILE_MPP = 64, 1.0
MOST_PLACES = 16, 32
"""Along each side of a slide: the second where the first hit too little tissue, as of a biopsy."""
LEAST_STAINED_TILE = 0.1
LEAST_MM2 = 0.05
"""Less stained area tells of a few cells, not of a laboratory: one dark figure would change it."""
_LEAST_PIXELS = 64
_OD = -np.log((np.arange(256) + 1) / LIGHT).astype(np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Normalised:
    """An image and why it was left as it was ("" where it was normalised)."""

    image: Pixels
    left_because: str = ""


def stained(image: Pixels) -> tuple[NDArray[np.bool_], str]:
    """Return the mask [h, w] of stained pixels, and why it cannot be used ("" where it can).

    Not stained are glass, black, and pen: saturated green or blue ink, and yellow paint, which no
    mixture of haematoxylin and eosin makes.
    """
    # All in 8 or 16 bits: this is done to every patch.
    faint = np.uint8(np.searchsorted(-_OD, -FAINT, side="right") - 1)
    channels = image[..., 0], image[..., 1], image[..., 2]
    red, green, blue = channels
    dark = np.maximum(np.maximum(red, green), blue) <= faint
    black = np.maximum(np.maximum(red, green), blue) <= BLACK
    mask = dark & ~black & ~inked(image)
    if black.mean() > 1 - LEAST_STAINED:
        return mask, "it is black"
    if mask.sum() < max(_LEAST_PIXELS, LEAST_STAINED * mask.size):
        return mask, "too little of it is stained"
    return mask, ""


def inked(image: Pixels) -> NDArray[np.bool_]:
    """Return the mask [h, w] of what is pen or paint: colours that H&E does not make.

    Haematoxylin and eosin take green most of all. Where green is the brightest channel by far, or
    blue the darkest by far, or red by far the darkest in a bright blue, it is ink.
    """
    red, green, blue = (image[..., c].astype(np.int16) for c in range(3))
    of_green = green > np.maximum(red, blue) + 20
    of_yellow = np.minimum(red, green) > blue + 60
    of_blue = blue > np.maximum(red + 90, green + 60)
    return np.asarray(of_green | of_yellow | of_blue)


@dataclass(frozen=True, slots=True, eq=False)
class Macenko:
    """Normalisation to the stains of a reference (Macenko et al. 2009).

    ``vectors`` [2, 3] are optical densities of haematoxylin and eosin of length 1, ``amounts`` [2]
    the 99th percentiles of their concentration. The defaults are those of the authors' published
    code. Checked against torchstain.
    """

    vectors: Float
    amounts: Float
    name: ClassVar[str] = "macenko"

    @classmethod
    def published(cls) -> Macenko:
        """Return the reference that the authors' code carries."""
        vectors = [[0.5626, 0.7201, 0.4062], [0.2159, 0.8012, 0.5581]]
        return cls(np.array(vectors, np.float32), np.array([1.9705, 1.0308], np.float32))

    @classmethod
    def told(cls, vectors: Sequence[Sequence[float]], amounts: Sequence[float]) -> Macenko:
        """Return the stains that a file tells of."""
        return cls(np.array(vectors, np.float32), np.array(amounts, np.float32))

    def to_json(self) -> dict[str, list[Any]]:
        """Return what ``told`` takes."""
        return {
            "vectors": [[round(float(v), DECIMALS) for v in row] for row in self.vectors],
            "amounts": [round(float(a), DECIMALS) for a in self.amounts],
        }

    @classmethod
    def of(cls, image: Pixels) -> Macenko | None:
        """Return the reference that an image is, None where its stains cannot be told."""
        return macenko_of(image)[0]

    def __call__(self, image: Pixels) -> Normalised:
        """Return the image with its stains and their amounts exchanged for the reference's."""
        own, reason = macenko_of(image)
        if own is None:
            return Normalised(image, reason)
        return Normalised(self.instead_of(own, image))

    def instead_of(self, own: Macenko, image: Pixels) -> Pixels:
        """Return an image whose stains are known with them exchanged for these."""
        # Concentrations, their scale and the new mixture are one matrix [3, 3].
        unmix = np.linalg.pinv(own.vectors)
        matrix = unmix @ np.diag(self.amounts / own.amounts) @ self.vectors
        mixed = times(np.take(_OD, image.reshape(-1, 3)), matrix.astype(np.float32))
        np.negative(mixed, out=mixed)
        np.exp(mixed, out=mixed)
        mixed *= np.float32(LIGHT)
        result = to_bytes(mixed).reshape(image.shape)
        # Ink and black are no mixture of the stains, and what is not is not to be changed to one;
        # nor is glass, which is nearly white in the reference too: clear stays as clear as it was.
        # (Channel by channel: reductions over an axis of three take ten times as long.)
        red, green, blue = image[..., 0], image[..., 1], image[..., 2]
        kept = inked(image)
        kept |= np.maximum(np.maximum(red, green), blue) <= BLACK
        kept |= np.minimum(np.minimum(red, green), blue) >= LIGHT
        result[kept] = image[kept]
        return result


def macenko_of(image: Pixels, *, percentile: float = 1.0) -> tuple[Macenko | None, str]:
    """Return the stains of an image with their amounts, or None and why they cannot be told."""
    mask, reason = stained(image)
    if reason:
        return None, reason
    od = np.take(_OD, image[mask])
    plane = np.linalg.eigh(covariance(od))[1][:, 1:]
    plane = plane * np.where(plane.sum(axis=0) < 0, -1, 1)
    along = times(od, plane)
    angle = np.arctan2(along[:, 0], along[:, 1])
    low, high = np.percentile(angle, [percentile, 100 - percentile])
    if high - low < LEAST_ANGLE:
        return None, "it holds one stain only"
    found = np.stack([plane @ [np.sin(a), np.cos(a)] for a in (low, high)])
    if (found < -0.05).any():
        return None, "its colours are not those of two stains"
    found = np.maximum(found, 1e-3)
    found /= np.linalg.norm(found, axis=1)[:, None]
    vectors = (found if found[0, 0] > found[1, 0] else found[::-1]).astype(np.float32)
    amounts = np.percentile(times(od, np.linalg.pinv(vectors)), 99, axis=0)
    if (amounts < 0.05).any():
        return None, "it holds one stain only"
    return Macenko(vectors, amounts.astype(np.float32)), ""


def to_bytes(values: Float) -> Pixels:
    """Round to the nearest grey level in 0..255. Changes ``values``."""
    np.clip(values, 0, 255, out=values)
    values += np.float32(0.5)
    return values.astype(np.uint8)


def slide_stain(slide: Slide) -> Macenko | None:
    """Return the stains of a whole slide; None where too little of it is stained to tell them.

    They are rounded as in files, so that what is read back gives the same pixels. What is looked
    at does not depend on the part of the slide that is asked for later.
    """
    return stain_of(stain_tiles(slide))


def stain_of(tiles: Sequence[Pixels]) -> Macenko | None:
    """Return the stains of ``stain_tiles`` of one slide, or of several together."""
    if not _enough(tiles):
        return None
    found = Macenko.of(np.concatenate(tiles))
    return None if found is None else Macenko.told(**found.to_json())


def stain_tiles(slide: Slide) -> list[Pixels]:
    """Return tiles [64, 64, 3] at 1 um/px that lie evenly over a slide, those with tissue on them.

    Few places are looked at (``MOST_PLACES``), so that a slide without small copies is not decoded
    whole.
    """
    tiles: list[Pixels] = []
    before = 0
    for most in MOST_PLACES:
        places = _places(slide, most)
        if len(places) == before:  # no room for more
            break
        before = len(places)
        read = (slide.read(x, y, TILE_PX, TILE_PX, TILE_MPP) for y, x in places)
        tiles = [tile for tile in read if _stained(tile).mean() >= LEAST_STAINED_TILE]
        if _enough(tiles):
            break
    return tiles


def _places(slide: Slide, most: int) -> list[tuple[float, float]]:
    """Return the corners (y, x) of tiles."""
    step = TILE_PX * TILE_MPP / slide.mpp
    sides = (_corners(length, step, most) for length in (slide.height_px, slide.width_px))
    return list(product(*sides))  # type: ignore[arg-type]  # of two


def _corners(length_px: int, step: float, most: int) -> list[float]:
    """Return where tiles begin along a side of a slide."""
    count = max(1, min(int(length_px / step), most))
    return [(i + 0.5) * length_px / count - step / 2 for i in range(count)]


def _enough(tiles: Sequence[Pixels]) -> bool:
    stained_px = sum(int(_stained(tile).sum()) for tile in tiles)
    return stained_px * TILE_MPP**2 * 1e-6 >= LEAST_MM2


def _stained(tile: Pixels) -> NDArray[np.bool_]:
    return stained(tile)[0]
