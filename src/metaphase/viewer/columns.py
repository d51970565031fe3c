"""The figures of one slide as binary columns, the format in which the page receives them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaphase.arrays import FloatArray
from metaphase.figures import LABELS, Detections, Figure, Label

MAGIC = b"MFC2"
PER_PX = 100
"""Positions are sent in hundredths of a pixel, so that server and page form the same ids."""


class Source(IntEnum):
    """Origin of a figure."""

    DETECTION = 0
    LABEL = 1
    SECOND = 2
    """A detection of the second model, with which the first is compared."""


PREFIXES = {Source.DETECTION: "d", Source.LABEL: "l", Source.SECOND: "s"}


@dataclass(frozen=True, eq=False)
class Columns:
    """Figures as columns [n]: ``x_c, y_c`` in hundredths of a pixel, score, label and source, and
    ``atypical``, the probability that a figure is atypical, NaN where it is not known.

    The id of a figure consists of its source, position and label. It is the same each time the
    same detections are opened.
    """

    x_c: NDArray[np.int32]
    y_c: NDArray[np.int32]
    score: NDArray[np.float32]
    atypical: NDArray[np.float32]
    label: NDArray[np.uint8]
    source: NDArray[np.uint8]

    @classmethod
    def of(
        cls,
        x_px: ArrayLike,
        y_px: ArrayLike,
        score: ArrayLike,
        label: ArrayLike,
        source: Source,
        atypical: ArrayLike | None = None,
    ) -> Columns:
        """Make columns of positions in pixels."""
        x, y = (np.asarray(v, np.float64) * PER_PX for v in (x_px, y_px))
        return cls(
            np.round(x).astype(np.int32),
            np.round(y).astype(np.int32),
            np.asarray(score, np.float32),
            np.full(len(x), np.nan, np.float32)
            if atypical is None
            else np.asarray(atypical, np.float32),
            np.asarray(label, np.uint8),
            np.full(len(x), int(source), np.uint8),
        )

    @classmethod
    def of_detections(cls, detections: Detections, source: Source = Source.DETECTION) -> Columns:
        """Return columns of all detections, including those below the threshold."""
        return cls.of(
            detections.x_px,
            detections.y_px,
            detections.score,
            detections.label,
            source,
            detections.atypical,
        )

    @classmethod
    def of_figures(cls, figures: Iterable[Figure]) -> Columns:
        """Return columns of labels. Their score is 1."""
        rows = list(figures)
        x, y = [f.x_px for f in rows], [f.y_px for f in rows]
        atypical = [np.nan if f.atypical is None else f.atypical for f in rows]
        codes = [f.label.code for f in rows]
        return cls.of(x, y, np.ones(len(rows)), codes, Source.LABEL, atypical)

    def __len__(self) -> int:
        return len(self.x_c)

    def __add__(self, other: Columns) -> Columns:
        names = ("x_c", "y_c", "score", "atypical", "label", "source")
        return Columns(*(np.concatenate([getattr(self, n), getattr(other, n)]) for n in names))

    @property
    def points(self) -> FloatArray:
        """The positions [n, 2] in full-resolution pixels."""
        return np.stack([self.x_c, self.y_c], axis=1) / PER_PX

    @cached_property
    def index(self) -> dict[str, int]:
        """The row of each id. Figures at the same position share an id; the first row is used."""
        rows_by_id: dict[str, int] = {}
        rows = zip(
            self.source.tolist(), self.x_c.tolist(), self.y_c.tolist(), self.label, strict=True
        )
        for i, (source, x, y, label) in enumerate(rows):
            rows_by_id.setdefault(f"{PREFIXES[Source(source)]}{x}_{y}_{label}", i)
        return rows_by_id

    def label_of(self, i: int) -> Label:
        """Return a row's label."""
        return LABELS[int(self.label[i])]

    def to_bytes(self) -> bytes:
        """Return the bytes ``MFC2``, the number of rows as uint32, then each column.

        Little-endian: int32 x, int32 y, float32 score, float32 atypical, uint8 label, uint8 source.
        """
        places = (self.x_c.astype("<i4"), self.y_c.astype("<i4"))
        numbers = (self.score.astype("<f4"), self.atypical.astype("<f4"))
        parts = [column.tobytes() for column in (*places, *numbers, self.label, self.source)]
        return b"".join([MAGIC, struct.pack("<I", len(self)), *parts])
