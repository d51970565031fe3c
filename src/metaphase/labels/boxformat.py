"""Which of two box formats a JSON file uses: its numbers tell, not its looks.

COCO writes x, y, width, height. MIDOG's files look like COCO and write x1, y1, x2, y2. Each box
votes: it is impossible as corners if they are turned inside out, impossible as x, y, width, height
if the sides are not positive or its centre lies outside the image; an ``area`` or a centre beside
it decides alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

BoxFormat = Literal["xyxy", "xywh"]

WORDS: dict[BoxFormat, str] = {"xyxy": "x1, y1, x2, y2", "xywh": "x, y, width, height"}


@dataclass(frozen=True, slots=True)
class Votes:
    """How many boxes there are, and how many of them each format cannot explain."""

    total: int
    not_xyxy: int
    not_xywh: int

    def against(self, box_format: BoxFormat) -> int:
        """Return the number of boxes that a format cannot explain."""
        return self.not_xyxy if box_format == "xyxy" else self.not_xywh

    def best(self, otherwise: BoxFormat) -> BoxFormat:
        """Return the format with fewer impossible boxes; ``otherwise`` where they are equal."""
        if self.not_xyxy == self.not_xywh:
            return otherwise
        return "xyxy" if self.not_xyxy < self.not_xywh else "xywh"


def vote(
    annotations: Iterable[Mapping[str, Any]], sizes: Mapping[Any, tuple[float, float]]
) -> Votes:
    """Count votes over boxes of four numbers. ``sizes``: width and height in px by image id."""
    rows = [
        (*a["bbox"], *sizes.get(a.get("image_id"), (np.inf, np.inf)), *_hints(a))
        for a in annotations
    ]
    table = np.asarray(rows, dtype=np.float64).reshape(-1, 9)
    x, y, c, d, width, height, area, px, py = table.T
    # A box may cross the border by all but a sliver, but its centre is never far outside.
    rim = 25.0
    not_xyxy = (c <= x) | (d <= y)
    not_xywh = (c <= 0) | (d <= 0) | (x + c / 2 > width + rim) | (y + d / 2 > height + rim)
    not_xyxy |= _far(px, (x + c) / 2, c - x) | _far(py, (y + d) / 2, d - y)
    not_xywh |= _far(px, x + c / 2, c) | _far(py, y + d / 2, d)
    as_xyxy, as_xywh = np.abs((c - x) * (d - y) - area), np.abs(c * d - area)
    whole = np.isclose(np.minimum(as_xyxy, as_xywh), 0, atol=1e-6)  # COCO's area may be a mask's
    not_xyxy |= whole & (as_xywh < as_xyxy)
    not_xywh |= whole & (as_xyxy < as_xywh)
    return Votes(len(table), int(not_xyxy.sum()), int(not_xywh.sum()))


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


def _far(
    point: np.ndarray[Any, Any], centre: np.ndarray[Any, Any], side: np.ndarray[Any, Any]
) -> Any:
    return np.abs(point - centre) > np.maximum(side, 0) / 2 + 1
