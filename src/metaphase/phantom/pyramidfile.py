"""Writing of JPEG-tiled pyramids as BigTIFF, tile by tile, without a whole level in memory.

Each level is a page; those after the first are marked as reduced images, as OpenSlide's
"generic-tiff" reader expects. The resolution is in the tags.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from metaphase.arrays import Pixels
from metaphase.files import whole_file

TILE_PX = 512
STEP = 4
"""Downsampling from each level to the next."""

JpegTile = Callable[[int, int, int], bytes]
"""``tile(level, row, column)``: a tile as JPEG of TILE_PX square, YCbCr 4:2:0."""


@dataclass(frozen=True, slots=True)
class PyramidPlan:
    """The sizes of a pyramid of ``levels`` levels, each a quarter of the one before, rounded up."""

    width_px: int
    height_px: int
    levels: int

    def size(self, level: int) -> tuple[int, int]:
        """Return width and height of a level, px."""
        scale = STEP**level
        return -(-self.width_px // scale), -(-self.height_px // scale)

    def grid(self, level: int) -> tuple[int, int]:
        """Return the rows and columns of a level's tiles."""
        width, height = self.size(level)
        return -(-height // TILE_PX), -(-width // TILE_PX)

    @property
    def tiles(self) -> int:
        """The number of tiles of all levels."""
        return sum(rows * columns for rows, columns in map(self.grid, range(self.levels)))


def encode(tile: Pixels, quality: int) -> bytes:
    """Return a tile [s, s, 3] as JPEG in the form that ``write_pyramid`` needs."""
    import imagecodecs

    return bytes(imagecodecs.jpeg8_encode(tile, level=quality, subsampling="420"))


def write_pyramid(
    path: str | Path,
    plan: PyramidPlan,
    tile: JpegTile,
    *,
    mpp: float,
    description: str,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write a pyramid whole or not at all; ``tile`` is called once for each tile, in file order.

    ``progress(done, total)`` counts tiles.
    """
    import tifffile

    done = _TileCounter(plan.tiles, progress)
    with (
        whole_file(path) as temporary,
        tifffile.TiffWriter(temporary, bigtiff=True) as writer,
    ):
        for level in range(plan.levels):
            width, height = plan.size(level)
            per_cm = 1e4 / (mpp * plan.width_px / width)
            writer.write(
                done.counted(_tiles(plan, level, tile)),
                shape=(height, width, 3),
                dtype="uint8",
                tile=(TILE_PX, TILE_PX),
                photometric="ycbcr",
                subsampling=(2, 2),
                compression="jpeg",
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,
                description=description if level == 0 else None,
                software="metaphase",
                metadata=None,
            )


def _tiles(plan: PyramidPlan, level: int, tile: JpegTile) -> Iterator[bytes]:
    rows, columns = plan.grid(level)
    return (tile(level, row, column) for row in range(rows) for column in range(columns))


class _TileCounter:
    """Reports progress about 200 times."""

    def __init__(self, total: int, progress: Callable[[int, int], None] | None) -> None:
        self.done, self.total, self.progress = 0, total, progress
        self.every = max(1, total // 200)

    def counted(self, tiles: Iterator[bytes]) -> Iterator[bytes]:
        for tile in tiles:
            self.done += 1
            if self.progress and (self.done % self.every == 0 or self.done == self.total):
                self.progress(self.done, self.total)
            yield tile


def reduced(block: Pixels) -> Pixels:
    """Return an image [s, s, 3] at the next level: the mean of each STEP by STEP pixels."""
    import numpy as np

    side = block.shape[0] // STEP
    parts = block.reshape(side, STEP, side, STEP, 3).astype(np.float32).mean(axis=(1, 3))
    result: Pixels = (parts + 0.5).astype(np.uint8)
    return result


def pyramid_of(block: Pixels, levels: int) -> Sequence[Pixels]:
    """Return a square image at each level, the first unchanged."""
    images = [block]
    for _ in range(levels - 1):
        images.append(reduced(images[-1]))
    return images
