"""What is found in an image: labels given by people (Figure) and by a detector (Detections)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]
CodeArray = NDArray[np.int8]

POSITION_DECIMALS = 2
SCORE_DECIMALS = 6


class Label(StrEnum):
    """The two labels of the field. ``HARD_NEGATIVE`` is the MIDOG contest's "non-mitotic"."""

    MITOTIC = "mitotic figure"
    HARD_NEGATIVE = "hard negative"

    @property
    def code(self) -> int:
        """The small integer that stands for this label in arrays: 0 mitotic, 1 hard negative."""
        return LABELS.index(self)


LABELS: tuple[Label, ...] = tuple(Label)


@dataclass(frozen=True, slots=True)
class Figure:
    """One labelled place in an image.

    ``x_px, y_px`` is its point (the centre of its box unless the file gives another) in
    full-resolution pixels, origin top-left. ``box`` is x1, y1, x2, y2 as written in the file, which
    may cross the image's border; None where the file has points only.
    """

    id: str
    x_px: float
    y_px: float
    label: Label = Label.MITOTIC
    box: tuple[float, float, float, float] | None = None


def points_of(figures: Iterable[Figure], label: Label | None = Label.MITOTIC) -> FloatArray:
    """Return the points [n, 2] of the figures with a label (None: of all), in their given order."""
    rows = [(f.x_px, f.y_px) for f in figures if label is None or f.label == label]
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2)


@dataclass(frozen=True, slots=True)
class Provenance:
    """What made a set of detections. Lengths and positions are full-resolution pixels.

    ``image_sha256`` is the hash of the image file, ``model_id`` the hash of the model's weights
    and card, ``parameters`` everything else that the result depends on.
    """

    image: str
    width_px: int
    height_px: int
    mpp: float
    mpp_source: str = ""
    image_sha256: str = ""
    model: str = ""
    model_id: str = ""
    threshold: float = 0.0
    runtime: str = ""
    metaphase: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)


class Detections:
    """The detections of one slide: ``x_px, y_px, score, label`` [n each], and their provenance.

    Scores are in [0, 1]. Labels are codes (``Label.code``). Rows are ordered by falling score, then
    by y and x, so that equal sets are equal arrays. The threshold in the provenance is the model's
    operating point; detections below it may be present, so that curves can be drawn:
    ``above_threshold()`` gives the ones that count.
    """

    __slots__ = ("label", "provenance", "score", "x_px", "y_px")

    def __init__(
        self,
        x_px: ArrayLike,
        y_px: ArrayLike,
        score: ArrayLike,
        label: ArrayLike | None = None,
        *,
        provenance: Provenance,
    ) -> None:
        x = np.atleast_1d(np.asarray(x_px, dtype=np.float64))
        y = np.atleast_1d(np.asarray(y_px, dtype=np.float64))
        s = np.atleast_1d(np.asarray(score, dtype=np.float64))
        code = (
            np.zeros(len(x), np.int8)
            if label is None
            else np.atleast_1d(np.asarray(label, dtype=np.int8))
        )
        if not (x.ndim == 1 and x.shape == y.shape == s.shape == code.shape):
            shapes = x.shape, y.shape, s.shape, code.shape
            raise ValueError(f"x_px, y_px, score and label must be vectors of one length: {shapes}")
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            raise ValueError("positions must be finite")
        if not ((s >= 0) & (s <= 1)).all():
            raise ValueError("scores must lie in [0, 1]")
        if not ((code >= 0) & (code < len(LABELS))).all():
            raise ValueError(f"label codes must be in 0..{len(LABELS) - 1}")
        order = np.lexsort((code, x, y, -s))
        self.x_px: FloatArray = x[order]
        self.y_px: FloatArray = y[order]
        self.score: FloatArray = s[order]
        self.label: CodeArray = code[order]
        self.provenance = provenance

    @classmethod
    def empty(cls, provenance: Provenance) -> Detections:
        """Return no detections at all, which is a result like any other."""
        return cls([], [], [], provenance=provenance)

    def __len__(self) -> int:
        return len(self.x_px)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Detections)
            and np.array_equal(self.x_px, other.x_px)
            and np.array_equal(self.y_px, other.y_px)
            and np.array_equal(self.score, other.score)
            and np.array_equal(self.label, other.label)
            and self.provenance == other.provenance
        )

    __hash__ = None  # type: ignore[assignment]  # arrays can be written to

    def __repr__(self) -> str:
        return f"Detections({len(self)} of {self.provenance.image!r})"

    @property
    def points(self) -> FloatArray:
        """The positions [n, 2]."""
        return np.stack([self.x_px, self.y_px], axis=1)

    @property
    def labels(self) -> list[Label]:
        """The labels as words."""
        return [LABELS[code] for code in self.label]

    def where(self, keep: BoolArray | Sequence[bool]) -> Detections:
        """Return the detections for which the mask [n] is true."""
        mask = np.asarray(keep, dtype=bool)
        if mask.shape != self.x_px.shape:
            raise ValueError(f"a mask of {mask.shape} for {len(self)} detections")
        return Detections(
            self.x_px[mask],
            self.y_px[mask],
            self.score[mask],
            self.label[mask],
            provenance=self.provenance,
        )

    def with_label(self, label: Label = Label.MITOTIC) -> Detections:
        """Return those with a label."""
        return self.where(self.label == label.code)

    def above(self, threshold: float) -> Detections:
        """Return those with ``score >= threshold``."""
        return self.where(self.score >= threshold)

    def above_threshold(self) -> Detections:
        """Return those at or above the model's frozen threshold."""
        return self.above(self.provenance.threshold)

    def rounded(self) -> Detections:
        """Return them at the precision of the files (0.01 px, 1e-6), so memory and file agree."""
        return Detections(
            np.round(self.x_px, POSITION_DECIMALS),
            np.round(self.y_px, POSITION_DECIMALS),
            np.round(self.score, SCORE_DECIMALS),
            self.label,
            provenance=self.provenance,
        )

    def made_by(self, **changes: Any) -> Detections:
        """Return the same rows with some fields of the provenance replaced."""
        return Detections(
            self.x_px,
            self.y_px,
            self.score,
            self.label,
            provenance=replace(self.provenance, **changes),
        )
