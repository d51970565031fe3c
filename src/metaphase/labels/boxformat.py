"""Which of two box formats a JSON file uses: its numbers tell, not its looks.

COCO writes x, y, width, height. MIDOG's files look like COCO and write x1, y1, x2, y2. Each box
votes: it is impossible as corners if they are turned inside out, impossible as x, y, width, height
if the sides are not positive or its centre lies outside the image; an ``area`` or a centre beside
it decides alone. If that is no difference, the format with fewer boxes over the border is taken.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

BoxFormat = Literal["xyxy", "xywh"]

RIM_PX = 25.0
"""How far outside its image a box's centre may lie: half a box of MIDOG's."""

WORDS: dict[BoxFormat, str] = {"xyxy": "x1, y1, x2, y2", "xywh": "x, y, width, height"}


@dataclass(frozen=True, slots=True)
class Votes:
    """How many boxes there are, and how many of them each format makes impossible or cross."""

    total: int
    not_xyxy: int
    not_xywh: int
    crossing_xyxy: int = 0
    crossing_xywh: int = 0

    def against(self, box_format: BoxFormat) -> int:
        """Return the number of boxes that a format cannot explain."""
        return self.not_xyxy if box_format == "xyxy" else self.not_xywh

    def best(self, otherwise: BoxFormat) -> BoxFormat:
        """Return the format with fewer impossible boxes, or else fewer over the image's border.

        ``otherwise`` is the answer where both are equal.
        """
        xyxy = (self.not_xyxy, self.crossing_xyxy)
        xywh = (self.not_xywh, self.crossing_xywh)
        if xyxy == xywh:
            return otherwise
        return "xyxy" if xyxy < xywh else "xywh"


def vote(
    annotations: Iterable[Mapping[str, Any]], sizes: Mapping[Any, tuple[float, float]]
) -> Votes:
    """Count votes over boxes of four numbers. ``sizes``: width and height in px by image id."""
    rows = [
        (*a["bbox"], *sizes.get(key_of(a.get("image_id")), (np.inf, np.inf)), *_hints(a))
        for a in annotations
    ]
    x, y, c, d, width, height, area, px, py = np.asarray(rows, dtype=np.float64).reshape(-1, 9).T
    not_xyxy = (c <= x) | (d <= y)
    not_xywh = (c <= 0) | (d <= 0) | (x + c / 2 > width + RIM_PX) | (y + d / 2 > height + RIM_PX)
    # What stands beside a box is nearer to the truth than to the other reading. COCO's area may be
    # a mask's, so that it only tells where it is exactly one of the two.
    far_xyxy = np.hypot(px - (x + c) / 2, py - (y + d) / 2)
    far_xywh = np.hypot(px - (x + c / 2), py - (y + d / 2))
    off_xyxy, off_xywh = np.abs((c - x) * (d - y) - area), np.abs(c * d - area)
    exact = np.minimum(off_xyxy, off_xywh) < 1e-6
    not_xyxy |= (far_xyxy > far_xywh + 1) | (exact & (off_xywh < off_xyxy))
    not_xywh |= (far_xywh > far_xyxy + 1) | (exact & (off_xyxy < off_xywh))
    crossing_xyxy = (x < 0) | (y < 0) | (c > width) | (d > height)
    crossing_xywh = (x < 0) | (y < 0) | (x + c > width) | (y + d > height)
    counts = (not_xyxy, not_xywh, crossing_xyxy, crossing_xywh)
    return Votes(len(rows), *(int(votes.sum()) for votes in counts))


def key_of(value: Any) -> Any:
    """Return an id of JSON as something that a dictionary can hold, whatever it is."""
    return value if isinstance(value, int | str) else repr(value)


def stated(info: Mapping[str, Any]) -> BoxFormat | None:
    """Return the format that a file's ``info`` says in words, or None."""
    words = str(info.get("bbox", "")).lower().replace(" ", "").replace(",", "")
    if "xywh" in words or "widthheight" in words:
        return "xywh"
    return "xyxy" if "x1y1x2y2" in words or "xyxy" in words else None


def _hints(annotation: Mapping[str, Any]) -> tuple[float, float, float]:
    area = annotation.get("area")
    point = point_of(annotation)
    x, y = point if point is not None else (np.nan, np.nan)
    return (float(area) if isinstance(area, int | float) else np.nan, x, y)


def point_of(annotation: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the point that some files give beside the box (``centroid``, ``center``), or None."""
    for key in ("centroid", "center", "centre"):
        value = annotation.get(key)
        if isinstance(value, list | tuple) and len(value) == 2:
            try:
                return float(value[0]), float(value[1])
            except (TypeError, ValueError):
                return None
    return None
