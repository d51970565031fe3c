"""Pixels that are on both sides of a split: the same image under two names.

``labels.check_split`` refuses cases and groups on two sides; this looks at the images. Each is read
at 2 um/px in tiles of 128 um from its top-left corner, and every tile with something in it gets a
difference hash (Krawetz 2013): whether each cell of a small grid is brighter than its neighbour to
the right, and than the one below. Hashes survive re-compression, changes of brightness, contrast
and stain, and small changes of scale. A copy that begins at another corner is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from metaphase.errors import Problem, SplitError
from metaphase.labels.dataset import Case, Dataset
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from metaphase.units import px_to_um

HASH_MPP = 2.0
TILE = 64
GRID = 8  # cells a side: 2 * 8 * 8 bits
ALIKE_BITS = 16  # of 128: copies differ in a few, unrelated tissue in 48 and more
MIN_CONTRAST = 4.0  # grey levels of standard deviation between cells; less is background
MIN_SHARE = 0.5
MAX_TILES = 400  # a case is known by this many, spread evenly

Hashes = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class SharedImage:
    """Two cases that show the same pixels, and the share of the smaller one's tiles that do."""

    first: str
    second: str
    share: float


def tile_hashes(slide: Slide) -> Hashes:
    """Return the hashes [n, 128] of a slide's tiles as -1 and 1; background has none."""
    width = int(px_to_um(slide.width_px, slide.mpp) / HASH_MPP) // TILE
    height = int(px_to_um(slide.height_px, slide.mpp) / HASH_MPP) // TILE
    places = [(i, j) for j in range(height) for i in range(width)]
    places = places[:: max(1, -(-len(places) // MAX_TILES))]
    step = TILE * HASH_MPP / slide.mpp
    found = [
        difference_hash(slide.read(i * step, j * step, TILE, TILE, HASH_MPP)) for i, j in places
    ]
    kept = [bits for bits in found if bits is not None]
    return np.array(kept, np.float32).reshape(len(kept), 2 * GRID * GRID)


def difference_hash(pixels: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the hash [128] of an RGB tile [h, w, 3] as -1 and 1, or None where it is empty."""
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


def share_alike(first: Hashes, second: Hashes) -> float:
    """Return the share of the smaller set's tiles that have a twin in the other."""
    if not len(first) or not len(second):
        return 0.0
    small, large = sorted((first, second), key=len)
    differing = (small.shape[1] - small @ large.T) / 2
    return float((differing.min(axis=1) <= ALIKE_BITS).mean())


def shared_images(
    one: Sequence[Case] | Dataset,
    other: Sequence[Case] | Dataset,
    *,
    progress: Callable[[str], None] | None = None,
) -> list[SharedImage]:
    """Return the pairs of cases, one of each side, that show the same pixels.

    Cases without an image are left out. Raises what opening a slide raises.
    """
    return _alike(_hash_all(one, progress), _hash_all(other, progress))


def refuse_shared_images(
    parts: dict[str, Dataset], *, progress: Callable[[str], None] | None = None
) -> None:
    """Raise SplitError, naming every pair, where two parts of a split share an image's pixels."""
    hashes = {part: _hash_all(cases, progress) for part, cases in parts.items()}
    problems = [
        Problem(
            first,
            f"case {pair.first}",
            f"shows the pixels of case {pair.second} in {second} ({pair.share:.0%} of the tiles)",
            "keep both on one side, as one group",
        )
        for first, second in combinations(parts, 2)
        for pair in _alike(hashes[first], hashes[second])
    ]
    if problems:
        raise SplitError(problems)


def _alike(left: dict[str, Hashes], right: dict[str, Hashes]) -> list[SharedImage]:
    shares = (
        (first, second, share_alike(ours, theirs))
        for first, ours in left.items()
        for second, theirs in right.items()
    )
    return [
        SharedImage(first, second, share) for first, second, share in shares if share >= MIN_SHARE
    ]


def _hash_all(
    cases: Sequence[Case] | Dataset, progress: Callable[[str], None] | None
) -> dict[str, Hashes]:
    found = {}
    for case in cases:
        if case.image is None:
            continue
        if progress is not None:
            progress(case.id)
        with open_case(case) as slide:
            found[case.id] = tile_hashes(slide)
    return found
