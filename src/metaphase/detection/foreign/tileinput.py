"""From uint8 RGB tiles to the input of an imported graph, and positions from there to the tile."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray, Pixels
from metaphase.models.foreign import ForeignInput


def graph_input(tiles: Pixels, spec: ForeignInput) -> NDArray[Any]:
    """Return the input of a graph for uint8 RGB tiles [n, side, side, 3].

    A graph without a batch axis takes one tile.
    """
    values = _resized(tiles, spec)
    if spec.number != "uint8":
        values = _normalised(values, spec)
    if spec.colour == "bgr":
        values = values[..., ::-1]
    if spec.layout in ("nchw", "chw"):
        values = values.transpose(0, 3, 1, 2)
    if spec.layout in ("chw", "hwc"):
        values = values[0]
    return np.ascontiguousarray(values, dtype=spec.number)


def to_tile(
    x: FloatArray, y: FloatArray, side: int, spec: ForeignInput
) -> tuple[FloatArray, FloatArray]:
    """Return positions [n] in pixels of a tile, for positions in pixels of the input."""
    if spec.resize == "none":
        return x, y
    if spec.resize == "stretch":
        return x * (side / spec.width_px), y * (side / spec.height_px)
    size, left, top = letterbox(side, spec)
    return (x - left) * (side / size), (y - top) * (side / size)


def letterbox(side: int, spec: ForeignInput) -> tuple[int, int, int]:
    """Return the side, left and top in pixels of the input, of a tile between two equal borders."""
    size = max(1, round(side * min(spec.width_px / side, spec.height_px / side)))
    return size, (spec.width_px - size) // 2, (spec.height_px - size) // 2


def _normalised(values: NDArray[Any], spec: ForeignInput) -> NDArray[Any]:
    number: Any = np.float64 if spec.number == "float64" else np.float32
    scaled: NDArray[Any] = values.astype(number) / number(spec.divisor)
    if any(spec.mean) or spec.std != (1.0, 1.0, 1.0):
        scaled = (scaled - np.array(spec.mean, number)) / np.array(spec.std, number)
    return np.asarray(scaled)


def _resized(tiles: Pixels, spec: ForeignInput) -> Pixels:
    side = tiles.shape[1]
    if spec.resize == "none":
        return tiles
    if spec.resize == "stretch":
        return np.stack([_resize(tile, spec.width_px, spec.height_px) for tile in tiles])
    size, left, top = letterbox(side, spec)
    shape = (len(tiles), spec.height_px, spec.width_px, 3)
    whole = np.full(shape, spec.border, dtype=np.uint8)
    for place, tile in zip(whole, tiles, strict=True):
        place[top : top + size, left : left + size] = _resize(tile, size, size)
    return whole


def _resize(tile: Pixels, width: int, height: int) -> Pixels:
    from PIL import Image

    resized = Image.fromarray(tile).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized, dtype=np.uint8)
