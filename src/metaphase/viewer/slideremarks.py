"""The remarks on one slide that are in force: comments, thresholds and the assigned reader."""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Mapping
from dataclasses import replace

from metaphase.viewer.store import WHOLE_SLIDE, Remark, RemarkKind, ReviewStore

YES, NO = "yes", "no"
"""Values of a remark on whether a figure is atypical; an empty one takes it back."""


_GRID = re.compile(r"([1-9]\d?)x([1-9]\d?):([A-Za-z0-9+/]+=*)")


class SlideRemarks:
    """The last remark of each kind, figure and reviewer on one slide."""

    def __init__(self, slide: str) -> None:
        self.slide = slide
        self.seq = 0
        self._last: dict[tuple[RemarkKind, str, str], Remark] = {}

    def update(self, store: ReviewStore) -> SlideRemarks:
        """Apply what was added to the store since the last update."""
        for remark in store.remarks_since(self.slide, self.seq):
            self.seq = remark.seq
            self._last[remark.kind, remark.figure, remark.reviewer] = remark
        return self

    @property
    def figures(self) -> list[str]:
        """The ids of all figures with a remark."""
        return [figure for _, figure, _ in self._last if figure != WHOLE_SLIDE]

    def comments(
        self, reviewer: str | None = None, present: Mapping[str, str] | None = None
    ) -> list[Remark]:
        """Return the comments that are not empty, of one reviewer or of all, oldest first.

        ``present`` gives the figures of today for those of an earlier model.
        """
        last = {
            (remark.figure, remark.reviewer): remark
            for remark in self._about_figures(RemarkKind.COMMENT, reviewer, present)
        }
        return sorted((r for r in last.values() if r.value), key=lambda remark: remark.seq)

    def atypical(
        self, reviewer: str | None = None, present: Mapping[str, str] | None = None
    ) -> dict[str, bool]:
        """Return whether figures are atypical by the last remark of a reviewer, or of all.

        ``present`` gives the figures of today for those of an earlier model.
        """
        found = self._about_figures(RemarkKind.ATYPICAL, reviewer, present)
        last = {remark.figure: remark.value for remark in found}
        return {figure: value == YES for figure, value in last.items() if value}

    def _about_figures(
        self, wanted: RemarkKind, reviewer: str | None, present: Mapping[str, str] | None
    ) -> list[Remark]:
        """Return the remarks of a kind, oldest first, each about the figure of today."""
        found = [
            replace(remark, figure=(present or {}).get(figure, figure))
            for (kind, figure, author), remark in self._last.items()
            if kind == wanted and reviewer in (None, author)
        ]
        return sorted(found, key=lambda remark: remark.seq)

    def threshold(self, reviewer: str) -> float | None:
        """Return the threshold that a reviewer set, 0 to 1."""
        remark = self._last.get((RemarkKind.THRESHOLD, "", reviewer))
        return None if remark is None else threshold_value(remark.value)

    def viewed(self, reviewer: str) -> str:
        """Return the areas that a reader viewed (``is_grid``), or an empty text."""
        remark = self._last.get((RemarkKind.VIEWED, "", reviewer))
        return "" if remark is None else remark.value

    def assigned(self) -> str:
        """Return the reader to whom the slide is assigned, or an empty text."""
        kinds = (RemarkKind.ASSIGNED,)
        found = [remark for (kind, _, _), remark in self._last.items() if kind in kinds]
        return max(found, key=lambda remark: remark.seq).value if found else ""


def is_grid(text: str) -> bool:
    """Return whether a text is a grid of viewed areas: ``64x48:`` and its bits in base 64.

    Bits are in rows from the top left, the highest of a byte first.
    """
    found = _GRID.fullmatch(text)
    if found is None:
        return False
    cells = int(found[1]) * int(found[2])
    try:
        return len(base64.b64decode(found[3], validate=True)) == -(-cells // 8)
    except ValueError:
        return False


def threshold_value(text: str) -> float | None:
    """Return a threshold from text, None if it is no number from 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and 0 <= value <= 1 else None
