"""A synthetic whole slide: pieces of tissue on glass, up to gigapixels, in bounded memory.

A set of blocks is drawn once. The slide is composed of them, cut to an irregular outline, and
written tile by tile. Inside the tissue a tile is a part of a block, whose JPEG is reused; only
tiles at the edge are composed and encoded separately.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.errors import InputError
from metaphase.figures import Label
from metaphase.files import write_json
from metaphase.phantom.blocks import BLOCK_PX, VISIBLE_SHARE, Block, BlockRenderer
from metaphase.phantom.dataset import TUMOUR, annotation, label_file, remove_synthetic_labels
from metaphase.phantom.noise import Field, smooth_noise
from metaphase.phantom.pyramidfile import (
    STEP,
    TILE_PX,
    PyramidPlan,
    encode,
    pyramid_of,
    write_pyramid,
)
from metaphase.phantom.region import SyntheticFigure
from metaphase.phantom.scanners import SCANNERS, Scanner
from metaphase.phantom.slideplan import EDGE_PX, NODE_PX, SlidePlan, plan_slide

MIN_SIZE_PX = 2048
LEVELS = 4
FIGURE_FREE_BLOCKS = 4
"""Number of blocks without figures, for the edge of the tissue."""

_HOTSPOT_FACTOR = 3.0  # density of the densest block over the mean; the sparsest has none


def make_slide(
    path: str | Path,
    width_px: int,
    height_px: int,
    *,
    seed: int = 0,
    scanner: Scanner = SCANNERS[0],
    tissue_mm2: float | None = None,
    mitotic_per_mm2: float = 12.0,
    hard_negative_per_mm2: float = 20.0,
    blocks: int = 28,
    progress: Callable[[int, int], None] | None = None,
) -> Path:
    """Write a synthetic slide as a pyramidal BigTIFF and return the path of its labels.

    The slide is a tiled JPEG pyramid of four levels, each a quarter of the one before, with its
    resolution in the tags. The labels are written beside it (``slide.json`` for ``slide.tiff``)
    in the format of MIDOG. ``tissue_mm2`` is the area of tissue, by default a little more than
    half of the slide. Densities are per mm2 of tissue, as approximate means: there are hotspots,
    and no figures at the edge of the tissue. ``blocks`` different images of 1024 px each appear
    many times: the slide is for tests of speed, memory and coordinates, not for training. The
    same arguments give the same bytes.
    ``progress(done, total)`` counts blocks and tiles.

    Raises InputError for sizes below 2048 px, for tissue that does not fit, and if there are labels
    of that name which are not synthetic.
    """
    path = Path(path)
    _check(path, width_px, height_px, blocks)
    plan = PyramidPlan(width_px, height_px, LEVELS)
    steps = _JointProgress(blocks, plan.tiles, progress)
    # The outline is checked first: drawing the blocks takes seconds.
    rng = np.random.default_rng([seed, 3])
    layout = plan_slide(
        rng, width_px, height_px, scanner.mpp, tissue_mm2, blocks, FIGURE_FREE_BLOCKS
    )
    labels = path.with_suffix(".json")
    remove_synthetic_labels(labels)
    maker = BlockRenderer(seed, scanner)
    library = _library(maker, blocks, mitotic_per_mm2, hard_negative_per_mm2, steps)
    renderer = TileRenderer(layout, library, maker.glass(), scanner.jpeg, seed)
    write_pyramid(
        path,
        plan,
        renderer.tile,
        mpp=scanner.mpp,
        description=f"Synthetic slide, drawn by metaphase; {scanner.name}",
        progress=steps.tiles,
    )
    figures = slide_figures(layout, library, width_px, height_px)
    write_json(labels, _labels(path.name, width_px, height_px, scanner, figures, seed))
    return labels


def _check(path: Path, width_px: int, height_px: int, blocks: int) -> None:
    if min(width_px, height_px) < MIN_SIZE_PX:
        raise InputError.of(
            path,
            f"{width_px} x {height_px} px is too small for a slide",
            way_out=f"at least {MIN_SIZE_PX} px either way; a data set has smaller regions",
        )
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise InputError.of(
            path, "is no name for a TIFF", way_out="end it in .tiff, such as slide.tiff"
        )
    if blocks <= FIGURE_FREE_BLOCKS:
        raise InputError.of(
            path, f"{blocks} blocks are too few", way_out=f"take {FIGURE_FREE_BLOCKS + 1} or more"
        )


class _JointProgress:
    """The progress of drawing blocks and writing tiles together; a block counts as ten tiles."""

    def __init__(
        self, blocks: int, tiles: int, progress: Callable[[int, int], None] | None
    ) -> None:
        self.before, self.total, self.progress = 10 * blocks, 10 * blocks + tiles, progress

    def blocks(self, done: int) -> None:
        if self.progress:
            self.progress(10 * done, self.total)

    def tiles(self, done: int, _: int) -> None:
        if self.progress:
            self.progress(self.before + done, self.total)


def _library(
    maker: BlockRenderer, count: int, mitotic: float, negative: float, steps: _JointProgress
) -> list[Block]:
    """Draw the blocks: first those without figures, then in order of their mitotic figures."""
    with_figures = count - FIGURE_FREE_BLOCKS
    blocks = []
    for number in range(count):
        # Squares of evenly spaced numbers: most blocks have few figures, and the mean is 1.
        rank = (number - FIGURE_FREE_BLOCKS + 0.5) / with_figures
        factor = _HOTSPOT_FACTOR * rank**2 / VISIBLE_SHARE
        figure_free = number < FIGURE_FREE_BLOCKS
        densities = (0.0, 0.0) if figure_free else (mitotic * factor, negative / VISIBLE_SHARE)
        blocks.append(maker.block(number, *densities))
        steps.blocks(number + 1)
    rest = sorted(
        blocks[FIGURE_FREE_BLOCKS:], key=lambda b: sum(f.label is Label.MITOTIC for f in b.figures)
    )
    return [*blocks[:FIGURE_FREE_BLOCKS], *rest]


class TileRenderer:
    """Renders the tiles of a slide from blocks and glass."""

    def __init__(
        self, plan: SlidePlan, library: list[Block], glass: Pixels, quality: int, seed: int
    ) -> None:
        self.plan, self.quality = plan, quality
        levels = [pyramid_of(block.pixels, LEVELS) for block in library]
        self.blocks = [np.stack(pictures) for pictures in zip(*levels, strict=True)]
        self.glass = pyramid_of(glass, LEVELS)
        rng = np.random.default_rng([seed, 4])
        rough = smooth_noise(rng, BLOCK_PX, BLOCK_PX, 24.0)
        rough = 14 * rough + 5 * smooth_noise(rng, BLOCK_PX, BLOCK_PX, 6.0)
        self.rough = np.clip(rough, -EDGE_PX, EDGE_PX)
        self.encoded: dict[tuple[int, ...], bytes] = {}

    def tile(self, level: int, row: int, column: int) -> bytes:
        """Return a tile as JPEG."""
        key = self._key(level, row, column)
        if key is None:
            return encode(self.pixels(level, row, column), self.quality)
        if key not in self.encoded:
            self.encoded[key] = encode(self.pixels(level, row, column), self.quality)
        return self.encoded[key]

    def _key(self, level: int, row: int, column: int) -> tuple[int, ...] | None:
        """Return a key that equal tiles share: those of glass only, or of one part of a block."""
        distance = self._distance(level, row, column, coarse=True)
        if distance.max() < -EDGE_PX:
            return (level, row % 2, column % 2) if level == 0 else (level,)
        if level > 0 or distance.min() <= EDGE_PX:
            return None
        block = self.plan.block[row * TILE_PX // BLOCK_PX, column * TILE_PX // BLOCK_PX]
        return (0, row % 2, column % 2, int(block))

    def pixels(self, level: int, row: int, column: int) -> Pixels:
        """Return a tile's pixels [512, 512, 3]; beyond the slide's border there is glass."""
        side = BLOCK_PX // STEP**level
        glass: Pixels = _tiled(self.glass[level], row, column)
        distance = self._distance(level, row, column)
        if distance.max() < -EDGE_PX:
            return glass
        tissue = self._tissue(level, row, column, side)
        if distance.min() > EDGE_PX:
            return tissue
        step = STEP**level
        rough = _tiled(self.rough[step // 2 :: step, step // 2 :: step], row, column)
        cover = np.clip((distance + rough) / max(3.0, step) + 0.5, 0, 1)[..., None]
        mixed = glass + cover * (tissue.astype(np.float32) - glass)
        result: Pixels = (mixed + 0.5).astype(np.uint8)
        return result

    def _tissue(self, level: int, row: int, column: int, side: int) -> Pixels:
        """Return a tile's part of the blocks, side by side."""
        first_y, first_x = row * TILE_PX, column * TILE_PX
        rows = np.arange(first_y // side, (first_y + TILE_PX - 1) // side + 1)
        columns = np.arange(first_x // side, (first_x + TILE_PX - 1) // side + 1)
        places = self.plan.block
        inside = places[
            np.minimum(rows, len(places) - 1)[:, None],
            np.minimum(columns, places.shape[1] - 1)[None, :],
        ]
        laid = self.blocks[level][inside].transpose(0, 2, 1, 3, 4)
        picture = laid.reshape(len(rows) * side, len(columns) * side, 3)
        y, x = first_y % side, first_x % side
        result: Pixels = np.ascontiguousarray(picture[y : y + TILE_PX, x : x + TILE_PX])
        return result

    def _distance(self, level: int, row: int, column: int, *, coarse: bool = False) -> Field:
        """Return the distance to the outline at the pixels of a tile, or only at its nodes."""
        step = NODE_PX // STEP**level
        nodes = TILE_PX // step
        grid = self.plan.distance_px
        rows = np.minimum(np.arange(nodes + 1) + row * nodes, grid.shape[0] - 1)
        columns = np.minimum(np.arange(nodes + 1) + column * nodes, grid.shape[1] - 1)
        part = grid[rows[:, None], columns[None, :]]
        return part if coarse else _interpolated_nodes(_interpolated_nodes(part, step).T, step).T


def _interpolated_nodes(values: Field, step: int) -> Field:
    """Interpolate rows linearly, ``step`` to each of the given ones but the last."""
    t = (np.arange(step, dtype=np.float32) + np.float32(0.5)) / np.float32(step)
    low, high = values[:-1, None, :], values[1:, None, :]
    result: Field = (low + t[None, :, None] * (high - low)).reshape(-1, values.shape[1])
    return result


def _tiled(picture: Any, row: int, column: int) -> Any:
    """Return a tile of an image that is repeated over the whole level."""
    side = picture.shape[0]
    rows = (row * TILE_PX + np.arange(TILE_PX)) % side
    columns = (column * TILE_PX + np.arange(TILE_PX)) % side
    return picture[rows[:, None], columns[None, :]]


def slide_figures(
    plan: SlidePlan, library: list[Block], width_px: int, height_px: int
) -> list[SyntheticFigure]:
    """Return the figures of a slide, block by block; there are none at the edge of the tissue."""
    found = []
    for (row, column), number in np.ndenumerate(plan.block):
        if plan.distance_range(row, column)[0] <= EDGE_PX:
            continue
        for figure in library[number].figures:
            x, y = figure.x_px + column * BLOCK_PX, figure.y_px + row * BLOCK_PX
            if x < width_px and y < height_px:
                found.append(replace(figure, x_px=x, y_px=y))
    return found


def _labels(
    name: str,
    width_px: int,
    height_px: int,
    scanner: Scanner,
    figures: list[SyntheticFigure],
    seed: int,
) -> dict[str, Any]:
    image = {
        "id": 1,
        "file_name": name,
        "width": width_px,
        "height": height_px,
        "license": 1,
        "scanner": scanner.name,
        "mpp": scanner.mpp,
        "tumor_type": TUMOUR,
        "labelled": True,
    }
    records = [annotation(number, 1, figure) for number, figure in enumerate(figures, 1)]
    return label_file([image], records, seed)
