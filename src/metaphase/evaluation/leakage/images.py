"""The same image on both sides of a split under two names.

``labels`` refuses cases and groups on two sides; this module compares pixels. Each image is read at
2 um/px in tiles of 128 um from its top-left corner. Every tile with contrast gets a difference hash
(Krawetz 2013): whether each cell of a small grid is brighter than its right neighbour, and than the
one below. The hashes are stable under recompression, changes of brightness, contrast and stain, and
small changes of scale. A copy with another top-left corner is not detected.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from metaphase.arrays import Float32Array, Pixels
from metaphase.errors import Problem, SplitError
from metaphase.labels.dataset import Case, Dataset
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from metaphase.units import px_to_um

HASH_MPP = 2.0
TILE = 64
GRID = 8  # cells a side: 2 * 8 * 8 bits
MAX_DIFFERENT_BITS = 16  # of 128: copies differ in a few, unrelated tissue in 48 and more
MIN_CONTRAST = 4.0  # grey levels of standard deviation between cells; less is background
MIN_SHARE = 0.5  # of the tiles
MAX_TILES = 400  # per case, spread evenly

Hashes = Float32Array


@dataclass(frozen=True, slots=True)
class SharedImage:
    """Two cases with the same pixels, and the share of the tiles of the smaller one that agree."""

    first: str
    second: str
    share: float


def tile_hashes(slide: Slide) -> Hashes:
    """Return the hashes [n, 128] of a slide's tiles as -1 and 1; background tiles have none."""
    width = int(px_to_um(slide.width_px, slide.mpp) / HASH_MPP) // TILE
    height = int(px_to_um(slide.height_px, slide.mpp) / HASH_MPP) // TILE
    places = [(i, j) for j in range(height) for i in range(width)]
    places = places[:: max(1, -(-len(places) // MAX_TILES))]
    step = TILE * HASH_MPP / slide.mpp
    hashes = [
        difference_hash(slide.read(i * step, j * step, TILE, TILE, HASH_MPP)) for i, j in places
    ]
    hashes = [bits for bits in hashes if bits is not None]
    return np.array(hashes, np.float32).reshape(len(hashes), 2 * GRID * GRID)


def difference_hash(pixels: Pixels) -> Hashes | None:
    """Return the hash [128] of an RGB tile [h, w, 3] as -1 and 1, or None without contrast."""
    grey = pixels.astype(np.float32).mean(axis=2)
    size = GRID + 1
    rows = np.linspace(0, grey.shape[0], size + 1).astype(int)
    columns = np.linspace(0, grey.shape[1], size + 1).astype(int)
    cells = np.add.reduceat(np.add.reduceat(grey, rows[:-1], axis=0), columns[:-1], axis=1)
    cells /= np.outer(np.diff(rows), np.diff(columns))
    if cells.std() < MIN_CONTRAST:
        return None
    right = cells[:GRID, 1:] > cells[:GRID, :-1]
    below = cells[1:, :GRID] > cells[:-1, :GRID]
    bits = np.concatenate([right.ravel(), below.ravel()])
    return np.where(bits, 1, -1).astype(np.float32)


def shared_tiles(first: Hashes, second: Hashes) -> float:
    """Return the share of tiles of the smaller set that also occur in the other set."""
    if not len(first) or not len(second):
        return 0.0
    small, large = sorted((first, second), key=len)
    differing = (small.shape[1] - small @ large.T) / 2
    return float((differing.min(axis=1) <= MAX_DIFFERENT_BITS).mean())


def shared_images(
    one: Sequence[Case] | Dataset,
    other: Sequence[Case] | Dataset,
    *,
    progress: Callable[[str], None] | None = None,
) -> list[SharedImage]:
    """Return the pairs of cases, one of each side, that have the same pixels.

    Cases without an image are left out. Raises SlideError for images that cannot be read.
    """
    return _shared(_hash_all(one, progress), _hash_all(other, progress))


def refuse_shared_images(
    parts: dict[str, Dataset], *, progress: Callable[[str], None] | None = None
) -> None:
    """Raise SplitError with every pair of cases if two parts of a split share pixels."""
    hashes = {part: _hash_all(cases, progress) for part, cases in parts.items()}
    problems = [
        Problem(
            first,
            f"case {pair.first}",
            f"has the same pixels as case {pair.second} in {second} ({pair.share:.0%} of tiles)",
            "keep both on one side, as one group",
        )
        for first, second in combinations(parts, 2)
        for pair in _shared(hashes[first], hashes[second])
    ]
    if problems:
        raise SplitError(problems)


def _shared(left: dict[str, Hashes], right: dict[str, Hashes]) -> list[SharedImage]:
    shares = (
        (first, second, shared_tiles(ours, theirs))
        for first, ours in left.items()
        for second, theirs in right.items()
    )
    return [
        SharedImage(first, second, share) for first, second, share in shares if share >= MIN_SHARE
    ]


def _hash_all(
    cases: Sequence[Case] | Dataset, progress: Callable[[str], None] | None
) -> dict[str, Hashes]:
    hashes = {}
    for case in cases:
        if case.image is None:
            continue
        if progress is not None:
            progress(case.id)
        with open_case(case) as slide:
            hashes[case.id] = tile_hashes(slide)
    return hashes
