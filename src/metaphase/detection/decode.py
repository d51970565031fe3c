"""From a network's output maps to candidate points: one module for training, runtimes and tests.

The conventions are those of ``models/card.py``. For ``kind = "centre"`` a candidate is a cell whose
score is the largest of its 3 x 3 neighbourhood ("Objects as Points", Zhou et al. 2019). For
``kind = "anchors"`` it is every anchor above the score, at the centre of its decoded box.
Candidates that are close together are merged later (``merge``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from metaphase.errors import ModelFileError
from metaphase.models.card import HeadSpec
from metaphase.models.cardbase import Level

MAX_PER_TILE = 1000
"""Most candidates that are kept of a tile (torchvision's RetinaNet keeps as many per level).

A 512 px tile at 0.25 um/px is 0.016 mm2; a tile that reaches this number has no useful scores.
"""

Map = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class TileCandidates:
    """The candidates of one tile, by falling score: positions in tile px, label codes.

    ``capped``: there were more than are kept.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]
    label: NDArray[np.int8]
    capped: bool = False

    def __len__(self) -> int:
        return len(self.x)


@dataclass(frozen=True, slots=True)
class _LevelCandidates:
    """TileCandidates of one level over the whole batch."""

    tile: NDArray[np.int64]
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    score: NDArray[np.float64]
    label: NDArray[np.int8]


def decode(
    maps: Sequence[NDArray[np.floating]],
    head: HeadSpec,
    *,
    min_score: float,
    max_per_tile: int = MAX_PER_TILE,
) -> list[TileCandidates]:
    """Return the candidates with ``score >= min_score`` of each tile of a batch.

    ``maps`` are logits and geometry of every level, each [n, channels, h, w]. Raises
    ModelFileError where they do not fit the head or hold NaN.
    """
    tiles = _check(maps, head)
    levels = [
        _decode_level(
            np.asarray(maps[2 * i], np.float32), np.asarray(maps[2 * i + 1]), level, head, min_score
        )
        for i, level in enumerate(head.levels)
    ]
    tile = np.concatenate([found.tile for found in levels])
    x = np.concatenate([found.x for found in levels])
    y = np.concatenate([found.y for found in levels])
    score = np.concatenate([found.score for found in levels])
    label = np.concatenate([found.label for found in levels])
    order = np.lexsort((label, x, y, -score, tile))
    bounds = np.searchsorted(tile[order], np.arange(tiles + 1))
    result = []
    for start, stop in pairwise(bounds.tolist()):
        rows = order[start : min(stop, start + max_per_tile)]
        capped = stop - start > max_per_tile
        result.append(TileCandidates(x[rows], y[rows], score[rows], label[rows], capped))
    return result


def sigmoid(logit: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logistic function in float64, without overflow for any logit."""
    z = np.exp(-np.abs(np.asarray(logit, dtype=np.float64)))
    return np.asarray(np.where(logit >= 0, 1 / (1 + z), z / (1 + z)))


def logit(probability: NDArray[np.floating] | float) -> NDArray[np.float64]:
    """Return the inverse of ``sigmoid`` for probabilities in (0, 1)."""
    share = np.asarray(probability, dtype=np.float64)
    return np.asarray(np.log(share / (1 - share)))


def _decode_level(
    logits: Map, geometry: NDArray[np.floating], level: Level, head: HeadSpec, min_score: float
) -> _LevelCandidates:
    channels = logits.shape[1]
    near = logits >= np.float32(_lowest_logit(min_score))  # the exact test is on the score
    tile, channel, row, column = (index.astype(np.int64) for index in np.nonzero(near))
    if head.kind == "centre":
        keep = _is_peak(logits, tile, channel, row, column)
        tile, channel, row, column = tile[keep], channel[keep], row[keep], column[keep]
    score = sigmoid(logits[tile, channel, row, column])
    keep = score >= min_score
    tile, channel, row, column = tile[keep], channel[keep], row[keep], column[keep]
    anchor, index = np.divmod(channel, len(head.classes))
    per_anchor = geometry.shape[1] // (channels // len(head.classes))
    dx = geometry[tile, anchor * per_anchor, row, column].astype(np.float64)
    dy = geometry[tile, anchor * per_anchor + 1, row, column].astype(np.float64)
    if not (np.isfinite(dx).all() and np.isfinite(dy).all()):
        raise _not_a_number()
    if head.kind == "centre":
        x, y = (column + 0.5 + dx) * level.stride, (row + 0.5 + dy) * level.stride
    else:
        size = np.asarray(level.anchors, dtype=np.float64)[anchor].reshape(-1, 2)
        x, y = column * level.stride + dx * size[:, 0], row * level.stride + dy * size[:, 1]
    codes = np.array([label.code for label in head.classes], dtype=np.int8)
    return _LevelCandidates(tile, x, y, score[keep], codes[index])


def _is_peak(
    logits: Map,
    tile: NDArray[np.int64],
    channel: NDArray[np.int64],
    row: NDArray[np.int64],
    column: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Return which cells are the largest of their 3 x 3. Of equal neighbours, the first counts."""
    padded = np.pad(logits, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    here = logits[tile, channel, row, column]
    peak = np.ones(len(here), dtype=bool)
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            other = padded[tile, channel, row + 1 + dy, column + 1 + dx]
            if (dy, dx) < (0, 0):
                peak &= here > other
            elif (dy, dx) > (0, 0):
                peak &= here >= other
    return peak


def _lowest_logit(min_score: float) -> float:
    """Return a logit a little below the one whose score is ``min_score``."""
    if min_score <= 0:
        return -math.inf
    return math.log(min_score) - math.log1p(-min(min_score, 1 - 1e-12)) - 1e-3


def _check(maps: Sequence[NDArray[np.floating]], head: HeadSpec) -> int:
    """Check the maps against the head and return the number of tiles."""
    shapes = [tuple(m.shape) for m in maps]
    values = 2 if head.kind == "centre" else 4
    expected = []
    for level in head.levels:
        anchors = max(1, len(level.anchors))
        expected += [anchors * len(head.classes), anchors * values]
    fits = len(shapes) == len(expected) and all(
        len(shape) == 4 and shape[0] == shapes[0][0] and shape[1] == channels
        for shape, channels in zip(shapes, expected, strict=True)
    )
    fits = fits and all(a[2:] == b[2:] for a, b in zip(shapes[::2], shapes[1::2], strict=True))
    if not fits:
        raise ModelFileError.of(
            "output maps", f"the card states {expected} channels, the network returned {shapes}"
        )
    if any(bool(np.isnan(logits).any()) for logits in maps[::2]):
        raise _not_a_number()
    return int(shapes[0][0])


def _not_a_number() -> Exception:
    return ModelFileError.of(
        "output maps",
        "the network returned values that are not numbers",
        way_out="if the model is in half precision, use one in full precision",
    )
