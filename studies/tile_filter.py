"""What a tile filter saves, and what recall it costs: tiles without dark nuclei are left out.

    python -m studies.tile_filter $METAPHASE_DATA/icpr2012 --slide slide.tiff

The chromatin of a mitotic figure is condensed: it takes at least as much haematoxylin as the nuclei
around it. The filter reads the slide at 2 um/px, where a figure is a few pixels, and separates
haematoxylin from eosin by colour deconvolution (Ruifrok and Johnston 2001, Anal Quant Cytol Histol
23). The slide's own nuclei are the reference, whatever the strength of the stain.

For several cuts the study prints the share of tiles that are left out, and the share of labelled
figures that are lost with their tiles. On dense fields a figure is never alone in its tile: its
neighbours keep it. So it also prints the share of figures that would not keep their tile alone, as
in loose tissue, which is the honest cost of the cut. ``--slide`` names a slide, such as a synthetic
one (``metaphase phantom --out slide.tiff --slide --width 30000 --height 20000``), with its labels
beside it; there the time of the filter is measured. Prints Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray, Pixels
from metaphase.detection.grid import Grid
from metaphase.figures import Label, points_of
from metaphase.labels.read import load_dataset
from metaphase.slides.open import open_case, open_slide
from metaphase.slides.slide import Slide
from metaphase.slides.tissue import find_tissue

FILTER_MPP = 2.0

CUT = 0.6
"""A tile is kept where its darkest place has this share of the slide's reference."""

REFERENCE_PERCENTILE = 99.0
"""The reference is the haematoxylin that one percent of the slide's pixels exceeds: its nuclei."""

WINDOW_UM = 6.0
"""Haematoxylin is averaged over a square of this side: about the smallest plate of a metaphase."""

REACH_UM = 6.0
"""The filter reads this far around what a tile owns: a figure on the border belongs to either."""

_GROUP = 12  # tiles a side that are read at once: 4 MB at 2 um/px
_BINS, _DENSEST = 2000, 2.0


# Optical densities of haematoxylin and eosin in red, green and blue, and what is neither.
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True))[:, 0]


@dataclass(frozen=True)
class FilteredTiles:
    """The darkest haematoxylin [tiles] of each tile, and the reference of the slide."""

    darkest: FloatArray
    reference: float

    def kept(self, cut: float = CUT) -> NDArray[np.bool_]:
        """Return which tiles can hold a figure."""
        return np.asarray(self.darkest >= cut * self.reference)


def filter_tiles(slide: Slide, grid: Grid, tiles: NDArray[np.int64]) -> FilteredTiles:
    """Read what the tiles of a slide own, and a little around it.

    About a sixtieth of the pixels of a slide at 0.25 um/px. A slide without a pyramid is decoded
    whole.
    """
    darkest = np.zeros(len(tiles))
    histogram = np.zeros(_BINS, np.int64)
    mpp = max(FILTER_MPP, slide.mpp)
    for members in _groups(grid, tiles):
        boxes = _reached(slide, grid.owned_px[tiles[members]])
        x, y = boxes[:, 0].min(), boxes[:, 1].min()
        width, height = (boxes[:, 2:].max(axis=0) - (x, y)) * slide.mpp / mpp
        pixels = slide.read(x, y, int(np.ceil(width)), int(np.ceil(height)), mpp)
        density = haematoxylin(pixels, mpp)
        counts, _ = np.histogram(density, bins=_BINS, range=(0.0, _DENSEST))
        histogram += counts
        cells = (boxes - (x, y, x, y)) * slide.mpp / mpp
        for member, (x1, y1, x2, y2) in zip(members, cells, strict=True):
            part = density[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))]
            darkest[member] = part.max(initial=0.0)
    return FilteredTiles(darkest, _percentile(histogram))


def haematoxylin(pixels: Pixels, mpp: float) -> NDArray[np.float32]:
    """Return the haematoxylin [h, w] of a picture uint8 [h, w, 3], averaged over ``WINDOW_UM``.

    It is an optical density, 0 for glass.
    """
    from scipy import ndimage

    table = -np.log10((np.arange(256) + 1) / 256)
    red, green, blue = ((table * part).astype(np.float32) for part in _UNMIX)
    amount = red[pixels[..., 0]] + green[pixels[..., 1]] + blue[pixels[..., 2]]
    side = max(1, round(WINDOW_UM / mpp))
    return np.asarray(ndimage.uniform_filter(np.maximum(amount, 0), side, mode="nearest"))


def _groups(grid: Grid, tiles: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
    """Yield the places in ``tiles`` of tiles that lie together."""
    rows, columns = np.divmod(tiles, len(grid.starts_x))
    across = -(-len(grid.starts_x) // _GROUP)
    group = rows // _GROUP * across + columns // _GROUP
    order = np.argsort(group, kind="stable")
    ends = np.flatnonzero(np.diff(group[order])) + 1
    yield from (part for part in np.split(order, ends) if len(part))


def _reached(slide: Slide, boxes: FloatArray) -> FloatArray:
    """Return boxes x1, y1, x2, y2 [n, 4] with what is read around them."""
    reach = REACH_UM / slide.mpp
    size = slide.width_px, slide.height_px
    low = np.maximum(boxes[:, :2] - reach, 0)
    return np.concatenate([low, np.minimum(boxes[:, 2:] + reach, size)], axis=1)


def _percentile(histogram: NDArray[np.int64]) -> float:
    """Return the reference percentile of what a histogram holds."""
    total = np.cumsum(histogram)
    if total[-1] == 0:
        return 0.0
    place = int(np.searchsorted(total, REFERENCE_PERCENTILE / 100 * total[-1]))
    return (place + 0.5) * _DENSEST / _BINS


CUTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
SIZES = ((512, 32), (256, 32))
"""Tile and margin, px at 0.25 um/px: the compact network's, and one for which it saves more."""


@dataclass
class Filtered:
    """One image: tiles and figures, as shares of the reference."""

    tiles: NDArray[np.float64]
    owners: NDArray[np.float64]
    alone: NDArray[np.float64]
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of the ICPR 2012 fields")
    parser.add_argument("--slide", type=Path, help="a slide, with labels of the same name")
    options = parser.parse_args(arguments)
    for tile, margin in SIZES:
        if options.data:
            print(f"\n## ICPR 2012 fields, tiles of {tile} px\n")
            print(table(fields(options.data, tile, margin)))
        if options.slide:
            print(f"\n## {options.slide.name}, tissue only, tiles of {tile} px\n")
            print(table([whole_slide(options.slide, tile, margin)]))


def fields(data: Path, tile: int, margin: int) -> Iterator[Filtered]:
    """Yield every labelled field."""
    dataset = load_dataset(data / "annotations.json", images=data / "images")
    for case in dataset:
        if case.labelled:
            with open_case(case) as slide:
                mitotic = [f for f in case.figures if f.label is Label.MITOTIC]
                grid = _grid(slide, tile, margin)
                yield measure(slide, grid, np.arange(len(grid)), points_of(mitotic))


def whole_slide(path: Path, tile: int, margin: int) -> Filtered:
    """Return the tissue of a slide."""
    with open_slide(path) as slide:
        grid = _grid(slide, tile, margin)
        x1, y1, x2, y2 = grid.owned_px.T
        tiles = np.flatnonzero(find_tissue(slide).fraction(x1, y1, x2 - x1, y2 - y1) > 0)
        labels = path.with_suffix(".json")
        points = np.zeros((0, 2))
        if labels.is_file():
            (case,) = load_dataset(labels, images=path.parent)
            points = points_of([f for f in case.figures if f.label is Label.MITOTIC])
        return measure(slide, grid, tiles, points)


def measure(
    slide: Slide, grid: Grid, tiles: NDArray[np.int64], points: NDArray[np.float64]
) -> Filtered:
    """Filter the tiles of an image; return the values at labelled points [n, 2] too."""
    began = time.perf_counter()
    filtered = filter_tiles(slide, grid, tiles)
    seconds = time.perf_counter() - began
    owned = grid.owned_px[tiles]
    owners, alone = [], []
    for x, y in points:
        mine = (owned[:, 0] <= x) & (x < owned[:, 2]) & (owned[:, 1] <= y) & (y < owned[:, 3])
        owners.append(filtered.darkest[mine].max(initial=0.0))
        alone.append(_at(slide, x, y))
    reference = max(filtered.reference, 1e-9)
    return Filtered(
        filtered.darkest / reference,
        np.array(owners) / reference,
        np.array(alone) / reference,
        seconds,
    )


def table(images: Iterable[Filtered]) -> str:
    """Return the shares at every cut, over all images, as Markdown."""
    filtered = list(images)
    tiles, owners, alone = (
        np.concatenate([getattr(image, name) for image in filtered])
        for name in ("tiles", "owners", "alone")
    )
    seconds = sum(image.seconds for image in filtered)
    lines = [
        f"{len(tiles)} tiles, {len(owners)} mitotic figures; the filter took {seconds:.2f} s "
        f"({1000 * seconds / max(1, len(tiles)):.2f} ms a tile).",
        "",
        "| cut | tiles left out, % | recall lost, pp | lost if alone in their tile, pp |",
        "|---|---|---|---|",
    ]
    for cut in CUTS:
        shares = (100 * float(np.mean(values < cut)) if len(values) else 0.0
                  for values in (tiles, owners, alone))  # fmt: skip
        lines.append(f"| {cut} | " + " | ".join(f"{share:.2f}" for share in shares) + " |")
    return "\n".join(lines)


def _at(slide: Slide, x_px: float, y_px: float) -> float:
    """Return the darkest haematoxylin in reach of a point."""
    mpp = max(FILTER_MPP, slide.mpp)
    side = 4 * int(np.ceil(REACH_UM / mpp))  # with a rim for the average
    half = side / 2 * mpp / slide.mpp
    pixels = slide.read(x_px - half, y_px - half, side, side, mpp)
    quarter = side // 4
    middle = haematoxylin(pixels, mpp)[quarter : side - quarter, quarter : side - quarter]
    return float(middle.max())


def _grid(slide: Slide, tile: int, margin: int) -> Grid:
    return Grid(slide.width_px, slide.height_px, 0.25 / slide.mpp, tile, margin)


if __name__ == "__main__":
    main()
