"""Pieces of images with their figures: cut out of crops and pasted into patches."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray, Pixels
from metaphase.stain.colourstatistics import ColourStatistics


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A piece of an image: pixels [h, w, 3] at the patch's resolution, and the figures in it.

    ``centre`` [2] is the place that windows are cut around: a figure, or a place without one.
    """

    image: Pixels
    colours: ColourStatistics
    points: FloatArray
    boxes: FloatArray
    labels: NDArray[np.int64]
    centre: FloatArray

    def symmetric(self, number: int) -> Picture:
        """Return one of the eight symmetries: bit 0 mirrors x, bit 1 mirrors y, bit 2 swaps."""
        image, points, centre = self.image, self.points, self.centre[None]
        low, high = self.boxes[:, :2], self.boxes[:, 2:]
        places = [points, centre, low, high]
        for bit in (0, 1):
            if number >> bit & 1:
                size = image.shape[1 - bit]
                image = image[:, ::-1] if bit == 0 else image[::-1]
                places = [_mirrored(place, bit, size) for place in places]
        if number >> 2 & 1:
            image = image.swapaxes(0, 1)
            places = [place[:, ::-1] for place in places]
        points, centre, low, high = places
        boxes = np.concatenate([np.minimum(low, high), np.maximum(low, high)], axis=1)
        return replace(self, image=image, points=points, boxes=boxes, centre=centre[0])


def _mirrored(places: FloatArray, axis: int, size: float) -> FloatArray:
    places = places.copy()
    places[:, axis] = size - places[:, axis]
    return places


def valid_part(image: Pixels) -> tuple[int, int, int, int]:
    """Return the part x1, y1, x2, y2 of a crop without the pure black lines along its sides."""
    there = image.max(axis=2) > 0
    columns, rows = np.flatnonzero(there.any(axis=0)), np.flatnonzero(there.any(axis=1))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def darkest(image: Pixels, places: FloatArray, radius: int) -> FloatArray:
    """Return the darkest [2] of some places [n, 2], each the mean over a square around it."""
    spots = [
        image[int(y) - radius : int(y) + radius, int(x) - radius : int(x) + radius]
        for x, y in places
    ]
    return np.asarray(places[int(np.argmin([spot.mean() for spot in spots]))])
