"""Reading a JPEG-tiled slide for a network at half its resolution: CPU ms per mm2.

Tiles of 256 px of made-up tissue at 0.25 um/px. Decoding at half size (the DCT scaling of libjpeg)
is compared with decoding whole and averaging 2 x 2 pixels, and averaging with the filters. The
second stage needs whole pixels around each candidate: with so many candidates that half of the
tiles hold one, decoding at half size would have to be less than half as expensive.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.scene import Row, cpu_seconds_of, tissue
from metaphase.slides.resample import Axis, resize
from metaphase.units import area_mm2

SIDE, MPP = 256, 0.25
TILES = {"tiny": 16, "small": 64, "large": 256}
ROUNDS = {"tiny": 1, "small": 5, "large": 15}


def rows(size: str = "small") -> Iterator[Row]:
    import imagecodecs

    across = int(np.sqrt(TILES[size]))
    rng = np.random.default_rng(0)
    tiles = [tissue(rng, SIDE) for _ in range(across**2)]
    files = [bytes(imagecodecs.jpeg8_encode(tile, level=80, subsampling="420")) for tile in tiles]
    whole = np.concatenate(
        [np.concatenate(tiles[i * across : (i + 1) * across], axis=1) for i in range(across)]
    )
    side = len(whole)
    half = Image.fromarray(whole).reduce(2)
    calls: dict[str, Callable[[], Any]] = {
        "decode whole": lambda: [imagecodecs.jpeg8_decode(data) for data in files],
        "decode at half size": lambda: [_half(data) for data in files],
        "average 2 x 2": lambda: _resize(whole, 2.0, side // 2),
        "filter by 2.036": lambda: _resize(whole, 2.036, int(side / 2.036)),
        "filter by 2.198": lambda: _resize(whole, 2.198, int(side / 2.198)),
        "filter by 1.099 after half size": lambda: _resize(
            np.asarray(half), 1.099, int(side / 2.198)
        ),
    }
    mm2 = area_mm2(side, side, MPP)
    cost = {name: _cost(call, ROUNDS[size]) / mm2 for name, call in calls.items()}
    base = cost["decode whole"]
    for name, each in cost.items():
        yield (
            name,
            f"{1000 * each:.0f} ms/mm2",
            f"decode whole: {1000 * base:.0f}",
            _ratio(each, base),
        )
    share = 1 - (cost["decode at half size"] - cost["average 2 x 2"]) / base
    yield (
        "share of tiles with a candidate up to which half size is cheaper",
        f"{max(0.0, share):.2f}",
        "whole decoding and averaging, and nothing decoded twice",
        "-",
    )


def _cost(call: Callable[[], Any], rounds: int) -> float:
    return float(np.median([cpu_seconds_of(call) for _ in range(rounds)]))


def _ratio(value: float, base: float) -> str:
    return f"{value / base:.2f}" if base else "-"


def _half(data: bytes) -> np.ndarray[Any, Any]:
    image = Image.open(io.BytesIO(data), formats=["JPEG"])
    image.draft("RGB", (SIDE // 2, SIDE // 2))
    return np.asarray(image)


def _resize(pixels: np.ndarray[Any, Any], step: float, count: int) -> np.ndarray[Any, Any]:
    side = len(pixels)
    axis = Axis(0, step, count, float(side), side)
    end = axis.span()[1] if axis.factor else side
    return resize(np.ascontiguousarray(pixels[:end, :end]), axis, axis, 0, 0)
