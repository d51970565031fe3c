"""Figures beside those under review, with which they are compared."""

from __future__ import annotations

from dataclasses import dataclass

from metaphase.viewer.columns import Source

LABELS = "labels"
SECOND = "second"


@dataclass(frozen=True, slots=True)
class Reference:
    """The labels, or the second model, with which the figures under review are compared.

    ``name`` and ``against`` are the names of the reference and of what is under review.
    ``threshold`` is the score from which the reference counts; labels all count. ``mpp`` is the
    resolution in um/px that its detections state; None for labels.
    """

    source: Source
    name: str
    against: str
    threshold: float = 0.0
    mpp: float | None = None

    @property
    def key(self) -> str:
        """The word for it in requests: ``labels`` or ``second``."""
        return SECOND if self.source == Source.SECOND else LABELS
