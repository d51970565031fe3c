"""What leaving out tiles without dark nuclei saves, and what recall it costs.

    python -m studies.first_look $METAPHASE_DATA/icpr2012 --slide slide.tiff

For cuts on haematoxylin at 2 um/px (``detection/firstlook.py``): the share of tiles that are left
out, and of labelled figures that are lost with the tiles that own them. On dense fields a figure is
never alone in its tile: its neighbours keep it. So it is also told how many figures would not keep
their tile by themselves ("alone": as in loose tissue around them), which is the honest measure of
the cut. ``--slide`` names a slide, such as a synthetic one (``metaphase phantom --out slide.tiff
--slide --width 30000 --height 20000``), with its labels beside it; the time of the look is taken
there.
Prints Markdown.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.firstlook import FIRST_LOOK_MPP, REACH_UM, haematoxylin, look_first
from metaphase.detection.grid import Grid
from metaphase.figures import Label, points_of
from metaphase.labels.read import load_dataset
from metaphase.slides.open import open_case, open_slide
from metaphase.slides.slide import Slide
from metaphase.slides.tissue import find_tissue

CUTS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
SIZES = ((512, 32), (256, 32))
"""Tile and margin, px at 0.25 um/px: the compact network's, and one for which it saves more."""


@dataclass
class Seen:
    """One image under the first look: tiles, and figures, in parts of the reference."""

    tiles: NDArray[np.float64]
    owners: NDArray[np.float64]
    alone: NDArray[np.float64]
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?", help="folder of the ICPR 2012 fields")
    parser.add_argument("--slide", type=Path, help="a slide, with labels of the same name")
    given = parser.parse_args(arguments)
    for tile, margin in SIZES:
        if given.data:
            print(f"\n## ICPR 2012 fields, tiles of {tile} px\n")
            print(table(fields(given.data, tile, margin)))
        if given.slide:
            print(f"\n## {given.slide.name}, tissue only, tiles of {tile} px\n")
            print(table([whole_slide(given.slide, tile, margin)]))


def fields(data: Path, tile: int, margin: int) -> Iterator[Seen]:
    """Look at every labelled field."""
    dataset = load_dataset(data / "annotations.json", images=data / "images")
    for case in dataset:
        if case.labelled:
            with open_case(case) as slide:
                mitotic = [f for f in case.figures if f.label is Label.MITOTIC]
                grid = _grid(slide, tile, margin)
                yield look(slide, grid, np.arange(len(grid)), points_of(mitotic))


def whole_slide(path: Path, tile: int, margin: int) -> Seen:
    """Look at the tissue of a slide."""
    with open_slide(path) as slide:
        grid = _grid(slide, tile, margin)
        x1, y1, x2, y2 = grid.owned_px.T
        tiles = np.flatnonzero(find_tissue(slide).fraction(x1, y1, x2 - x1, y2 - y1) > 0)
        labels = path.with_suffix(".json")
        points = np.zeros((0, 2))
        if labels.is_file():
            (case,) = load_dataset(labels, images=path.parent)
            points = points_of([f for f in case.figures if f.label is Label.MITOTIC])
        return look(slide, grid, tiles, points)


def look(slide: Slide, grid: Grid, tiles: NDArray[np.int64], points: NDArray[np.float64]) -> Seen:
    """Take the first look at an image and find what it thinks of labelled points [n, 2]."""
    began = time.perf_counter()
    first = look_first(slide, grid, tiles)
    seconds = time.perf_counter() - began
    owned = grid.owned_px[tiles]
    owners, alone = [], []
    for x, y in points:
        mine = (owned[:, 0] <= x) & (x < owned[:, 2]) & (owned[:, 1] <= y) & (y < owned[:, 3])
        owners.append(first.darkest[mine].max(initial=0.0))
        alone.append(_at(slide, x, y))
    reference = max(first.reference, 1e-9)
    return Seen(
        first.darkest / reference,
        np.array(owners) / reference,
        np.array(alone) / reference,
        seconds,
    )


def table(images: Iterable[Seen]) -> str:
    """Return the shares at every cut, over all images, as Markdown."""
    seen = list(images)
    tiles, owners, alone = (
        np.concatenate([getattr(image, name) for image in seen])
        for name in ("tiles", "owners", "alone")
    )
    seconds = sum(image.seconds for image in seen)
    lines = [
        f"{len(tiles)} tiles, {len(owners)} mitotic figures; the look took {seconds:.2f} s "
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
    mpp = max(FIRST_LOOK_MPP, slide.mpp)
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
