"""Candidates: places that may be figures, before they are merged to detections."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from metaphase.arrays import CodeArray, FloatArray
from metaphase.figures import POSITION_DECIMALS, SCORE_DECIMALS


def _no_rows() -> FloatArray:
    return np.zeros((0, 4))


@dataclass(frozen=True, slots=True)
class Candidates:
    """Candidates of some tiles, as rows x, y, score, label [n, 4] in full-resolution pixels.

    ``capped_tiles`` is the number of tiles that had more candidates than are kept. ``rescored`` are
    the candidates that the second stage has scored, as rows x, y, first score, second score [k, 4];
    the first three are rounded as in files. ``statistics`` are those of sampled tiles, as rows
    (``imagestatistics.to_row``).
    """

    rows: FloatArray
    capped_tiles: int = 0
    rescored: FloatArray = field(default_factory=_no_rows)
    statistics: FloatArray | None = None

    @classmethod
    def join(cls, parts: Iterable[Candidates]) -> Candidates:
        """Return the candidates of several parts, in their order."""
        parts = list(parts)
        rows = [_no_rows(), *(part.rows for part in parts)]
        rescored = [_no_rows(), *(part.rescored for part in parts)]
        capped = sum(part.capped_tiles for part in parts)
        measured = [part.statistics for part in parts if part.statistics is not None]
        statistics = np.concatenate(measured) if measured else None
        return cls(np.concatenate(rows), capped, np.concatenate(rescored), statistics)

    def without_rows(self) -> Candidates:
        """Return what is left to know of candidates that are merged."""
        return replace(self, rows=_no_rows())

    def rounded(self) -> tuple[FloatArray, FloatArray, FloatArray, CodeArray]:
        """Return x, y, score and label [n each], rounded as in files.

        Candidates are merged after rounding, so that merging the content of a file changes nothing.
        """
        x, y = np.round(self.rows[:, :2].T, POSITION_DECIMALS)
        score = np.round(self.rows[:, 2], SCORE_DECIMALS)
        return x, y, score, self.rows[:, 3].astype(np.int8)
