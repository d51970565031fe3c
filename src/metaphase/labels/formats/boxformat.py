"""Which of two box formats a JSON file uses: its numbers decide.

COCO writes x, y, width, height. MIDOG's files look like COCO and write x1, y1, x2, y2. Each box
gives evidence: it is impossible as corners if they are turned inside out, impossible as x, y,
width, height if the sides are not positive or its centre lies outside the image. An ``area`` or a
centre in the same record decides alone. Where both formats explain equally many boxes, the one
with fewer boxes across an image's border is taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from metaphase.values import finite

BoxFormat = Literal["xyxy", "xywh"]

RIM_PX = 25.0
"""How far outside its image a box's centre may lie: half a box of MIDOG's."""

WORDS: dict[BoxFormat, str] = {"xyxy": "x1, y1, x2, y2", "xywh": "x, y, width, height"}

_AREA_TOLERANCE_PX2 = 1e-6
_CENTRE_TOLERANCE_PX = 1.0
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")


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
        """Return the format with fewer impossible boxes, or else fewer across the image's border.

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
    unknown = (np.inf, np.inf)
    values = (
        value
        for a in annotations
        for value in (*a["bbox"], *sizes.get(key_of(a.get("image_id")), unknown), *_hints(a))
    )
    rows = np.fromiter(values, np.float64).reshape(-1, 9)
    x, y, c, d, width, height, area, px, py = rows.T
    not_xyxy = (c <= x) | (d <= y)
    not_xywh = (c <= 0) | (d <= 0) | (x + c / 2 > width + RIM_PX) | (y + d / 2 > height + RIM_PX)
    with np.errstate(over="ignore", invalid="ignore"):  # boxes of absurd size
        # A centre in the record is nearer to the right reading. COCO's area may be a mask's, so
        # it decides only where it is exactly that of one of the two.
        far_xyxy = np.hypot(px - (x + c) / 2, py - (y + d) / 2)
        far_xywh = np.hypot(px - (x + c / 2), py - (y + d / 2))
        off_xyxy, off_xywh = np.abs((c - x) * (d - y) - area), np.abs(c * d - area)
    exact = np.minimum(off_xyxy, off_xywh) < _AREA_TOLERANCE_PX2
    not_xyxy |= (far_xyxy > far_xywh + _CENTRE_TOLERANCE_PX) | (exact & (off_xywh < off_xyxy))
    not_xywh |= (far_xywh > far_xyxy + _CENTRE_TOLERANCE_PX) | (exact & (off_xyxy < off_xywh))
    crossing_xyxy = (x < 0) | (y < 0) | (c > width) | (d > height)
    crossing_xywh = (x < 0) | (y < 0) | (x + c > width) | (y + d > height)
    counts = (not_xyxy, not_xywh, crossing_xyxy, crossing_xywh)
    return Votes(len(rows), *(int(votes.sum()) for votes in counts))


def key_of(value: Any) -> int | str:
    """Return an id of JSON as a key of a dictionary: 1, 1.0 and "1" are one id."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    if isinstance(value, str):
        text = value.strip()
        return int(text) if _WHOLE.fullmatch(text) else text
    return repr(value)


def is_crowd(annotation: Mapping[str, Any]) -> bool:
    """Return whether a record of COCO is a region of several objects (``iscrowd``, ``ignore``)."""
    return any(_is_set(annotation.get(name)) for name in ("iscrowd", "ignore"))


def _is_set(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip().lower() not in ("", "0", "false")
    return value not in (None, 0, False)


def stated(info: Mapping[str, Any]) -> BoxFormat | None:
    """Return the format that a file's ``info`` gives in words, or None."""
    value = info.get("bbox")
    words = value.lower().replace(" ", "").replace(",", "") if isinstance(value, str) else ""
    if "xywh" in words or "widthheight" in words:
        return "xywh"
    return "xyxy" if "x1y1x2y2" in words or "xyxy" in words else None


def _hints(annotation: Mapping[str, Any]) -> tuple[float, float, float]:
    area = finite(annotation.get("area"))
    x, y = point_of(annotation) or (np.nan, np.nan)
    return (np.nan if area is None else area, x, y)


def point_of(annotation: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the point that some files give with the box (``centroid``, ``center``), or None."""
    for key in ("centroid", "center", "centre"):
        value = annotation.get(key)
        if isinstance(value, list | tuple) and len(value) == 2:
            x, y = finite(value[0]), finite(value[1])
            return None if x is None or y is None else (x, y)
    return None
