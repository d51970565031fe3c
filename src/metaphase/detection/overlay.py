"""The overlay: an overview of an image with a ring around each detection.

Without labels to compare with, the colour is that of the detection's label. With labels, found
figures have a green ring, false positives an orange ring, and missed figures a red square. The
shape distinguishes them for readers with colour blindness.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metaphase.boxes import as_points
from metaphase.figures import LABELS, Detections
from metaphase.files import whole_file
from metaphase.qupath.classes import COLOURS
from metaphase.slides.slide import Slide
from metaphase.units import um_to_px

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

Colour = tuple[int, int, int]

FOUND: Colour = (0, 200, 83)
FALSE: Colour = (255, 160, 0)
MISSED: Colour = (255, 0, 60)

MAX_SIDE_PX = 2000
RING_UM = 9.0
_SMALLEST_RING_PX = 8.0
_MAX_TEXTS = 300  # more scores would hide the image
_SMOOTH = 2  # marks are drawn at this scale and reduced, so that rings are smooth


@dataclass(frozen=True, slots=True)
class Mark:
    """One ring or square, at a place in full-resolution pixels."""

    x_px: float
    y_px: float
    name: str
    colour: Colour
    text: str = ""
    shape: Literal["ring", "square"] = "ring"


def marks_of(detections: Detections) -> list[Mark]:
    """Return a ring for each detection at or above the threshold, coloured by label."""
    kept = detections.above_threshold()
    rows = zip(kept.x_px, kept.y_px, kept.score, kept.labels, strict=True)
    return [Mark(x, y, str(label), COLOURS[label], f"{s:.2f}") for x, y, s, label in rows]


def marks_against(
    detections: Detections, matched: NDArray[np.bool_], missed: ArrayLike
) -> list[Mark]:
    """Return marks that compare detections with labelled figures.

    ``matched`` [n] are the detections that match a figure; ``missed`` [k, 2] are the positions of
    figures without a detection.
    """
    rows = zip(detections.x_px, detections.y_px, detections.score, matched, strict=True)
    marks = [
        Mark(x, y, "found" if hit else "false", FOUND if hit else FALSE, f"{s:.2f}")
        for x, y, s, hit in rows
    ]
    return marks + [
        Mark(x, y, "missed", MISSED, shape="square") for x, y in as_points(missed).tolist()
    ]


def draw_overlay(slide: Slide, marks: Sequence[Mark], *, max_side: int = MAX_SIDE_PX) -> Image:
    """Return the whole image, at most ``max_side`` px a side, with the marks and a legend."""
    from PIL import Image

    step = max(1.0, max(slide.width_px, slide.height_px) / max_side)
    width = max(1, math.ceil(slide.width_px / step))
    height = max(1, math.ceil(slide.height_px / step))
    picture = Image.fromarray(slide.read(0, 0, width, height, slide.mpp * step))
    layer = _layer(marks, (width, height), step, um_to_px(RING_UM, slide.mpp))
    picture.paste(layer, mask=layer.getchannel("A"))
    return _with_legend(picture, marks, slide.mpp * step)


def save_overlay(
    slide: Slide, marks: Sequence[Mark], path: str | Path, *, max_side: int = MAX_SIDE_PX
) -> None:
    """Write ``draw_overlay`` as PNG."""
    picture = draw_overlay(slide, marks, max_side=max_side)
    with whole_file(path) as temporary:
        # Level 1 takes a third of the time of the default, for a file a tenth larger.
        picture.save(temporary, format="PNG", compress_level=1)


def _layer(marks: Sequence[Mark], size: tuple[int, int], step: float, ring_px: float) -> Image:
    """Draw the marks on a transparent layer of the picture's size."""
    from PIL import Image, ImageDraw, ImageFont

    layer = Image.new("RGBA", (size[0] * _SMOOTH, size[1] * _SMOOTH))
    draw = ImageDraw.Draw(layer)
    radius = max(ring_px / step, _SMALLEST_RING_PX) * _SMOOTH
    line = max(3, round(radius / 7))
    font = ImageFont.load_default(max(12.0, radius / _SMOOTH / 2) * _SMOOTH)
    texts = len(marks) <= _MAX_TEXTS
    for mark in marks:
        x, y = mark.x_px / step * _SMOOTH, mark.y_px / step * _SMOOTH
        _shape(draw, mark, x, y, radius, line)
        if texts and mark.text:
            _text(draw, mark, x, y, radius, layer.size, font)
    return layer.reduce(_SMOOTH)


def _shape(draw: ImageDraw, mark: Mark, x: float, y: float, radius: float, line: int) -> None:
    outline = draw.ellipse if mark.shape == "ring" else draw.rectangle
    for grow, width, colour in ((1, line + 2, (0, 0, 0, 160)), (0, line, (*mark.colour, 255))):
        r = radius + grow
        outline((x - r, y - r, x + r, y + r), outline=colour, width=width)


def _text(
    draw: ImageDraw,
    mark: Mark,
    x: float,
    y: float,
    radius: float,
    size: tuple[int, int],
    font: object,
) -> None:
    """Write the score beside the mark, on the side with more room."""
    left = x + 2.8 * radius > size[0]
    y = min(max(y, radius / 2), size[1] - radius / 2)
    x += (-1.25 if left else 1.25) * radius
    place: dict[str, Any] = {
        "xy": (x, y),
        "text": mark.text,
        "anchor": "rm" if left else "lm",
        "font": font,
    }
    x1, y1, x2, y2 = draw.textbbox(**place)
    edge = 2 * _SMOOTH
    draw.rounded_rectangle((x1 - edge, y1 - edge, x2 + edge, y2 + edge), edge, (*mark.colour, 255))
    white = 0.299 * mark.colour[0] + 0.587 * mark.colour[1] + 0.114 * mark.colour[2] < 128
    draw.text(**place, fill="white" if white else "black")


def _with_legend(picture: Image, marks: Sequence[Mark], mpp: float) -> Image:
    """Add a strip below with a scale bar and the number of marks of each kind."""
    from PIL import Image, ImageDraw, ImageFont

    strip = 34
    whole = Image.new("RGB", (max(picture.width, 480), picture.height + strip), "white")
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    font = ImageFont.load_default(16)
    middle = picture.height + strip / 2
    bar_um = _round_length(picture.width * mpp / 6)
    x = 12.0
    draw.rectangle((x, middle - 2, x + bar_um / mpp, middle + 2), fill="black")
    x += bar_um / mpp + 8
    text = f"{bar_um:g} um" if bar_um < 1000 else f"{bar_um / 1000:g} mm"
    draw.text((x, middle), text, fill="black", anchor="lm", font=font)
    x += draw.textlength(text, font=font) + 28
    for name, colour, shape, count in _kinds(marks):
        outline = draw.ellipse if shape == "ring" else draw.rectangle
        outline((x, middle - 8, x + 16, middle + 8), outline=colour, width=3)
        text = f"{name}: {count}"
        draw.text((x + 24, middle), text, fill="black", anchor="lm", font=font)
        x += 24 + draw.textlength(text, font=font) + 28
    return whole


def _kinds(marks: Sequence[Mark]) -> list[tuple[str, Colour, str, int]]:
    counts: dict[tuple[str, Colour, str], int] = {}
    for mark in marks:
        key = (mark.name, mark.colour, mark.shape)
        counts[key] = counts.get(key, 0) + 1
    if not counts:
        return [(str(label), COLOURS[label], "ring", 0) for label in LABELS[:1]]
    return sorted((*key, count) for key, count in counts.items())


def _round_length(length: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is not longer."""
    power = 10.0 ** math.floor(math.log10(length))
    return max(step for step in (1, 2, 5) if step * power <= length * (1 + 1e-9)) * power
