"""Small charts as SVG text: scales, axes, lines, dots and bands, coloured by the style sheet.

A chart is part of the page, so that it follows the light or dark theme and the width of the page.
Series are numbered; ``s0``, ``s1`` and so on are their classes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

Point = tuple[float, float]
Kind = Literal["linear", "log", "sqrt"]

SERIES = 6  # colours of the style sheet; further series repeat them


@dataclass(frozen=True, slots=True)
class Scale:
    """Maps values from ``low`` to ``high`` to 0..1, or 1..0 in ``reverse``; outside values are
    clipped."""

    low: float
    high: float
    kind: Kind = "linear"
    reverse: bool = False

    def __call__(self, value: float) -> float:
        """Return the position of a value, 0 to 1."""
        low, high, position = (self._transform(v) for v in (self.low, self.high, value))
        share = min(max((position - low) / (high - low), 0.0), 1.0) if high > low else 0.0
        return 1 - share if self.reverse else share

    def ticks(self, about: int = 5) -> list[float]:
        """Return round values in the range."""
        if self.kind == "log":
            first, last = math.ceil(math.log10(self.low)), math.floor(math.log10(self.high))
            return [10.0**power for power in range(first, last + 1)]
        step = round_step((self.high - self.low) / about)
        first = math.ceil(self.low / step - 1e-9)
        values = [k * step for k in range(first, math.floor(self.high / step + 1e-9) + 1)]
        return values if self.kind == "linear" else _spread([self(v) for v in values], values)

    def _transform(self, value: float) -> float:
        if self.kind == "log":
            return math.log10(max(value, self.low))
        return math.sqrt(max(value, 0.0)) if self.kind == "sqrt" else value


def round_step(size: float) -> float:
    """Return 1, 2 or 5 times a power of ten, at least ``size``."""
    if not size > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(size))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= size * (1 - 1e-9))


def label(value: float) -> str:
    """Return the text of a number at an axis; very small ones as 5e-4."""
    text = f"{value:.6g}"
    if 0 < abs(value) < 1e-3:
        mantissa, power = f"{value:.2e}".split("e")
        text = f"{float(mantissa):g}e{int(power)}"
    return text.replace("-", "\N{MINUS SIGN}")


class Chart:
    """A drawing with two axes; positions are given in the units of the axes."""

    def __init__(
        self,
        title: str,
        x: Scale,
        y: Scale,
        x_name: str = "",
        y_name: str = "",
        *,
        width: int = 460,
        height: int = 340,
        left: int = 56,
    ) -> None:
        self.title, self.x, self.y = title, x, y
        self.width, self.height, self.left = width, height, left
        self.right, self.top, self.bottom = 20, 12, 46
        self._names = x_name, y_name
        self._parts: list[str] = []

    def at(self, x: float, y: float) -> Point:
        """Return the position of a point in the drawing, px."""
        wide = self.width - self.left - self.right
        high = self.height - self.top - self.bottom
        return (
            round(self.left + self.x(x) * wide, 1),
            round(self.top + (1 - self.y(y)) * high, 1),
        )

    def x_axis(self, ticks: Sequence[float] | None = None) -> None:
        """Draw the grid lines and numbers of the x axis."""
        base = self.height - self.bottom
        for value in self.x.ticks() if ticks is None else ticks:
            px, _ = self.at(value, self.y.low)
            self._parts.append(f'<path class="grid" d="M{px} {self.top}V{base}"/>')
            self.text(px, base + 16, label(value), "tick")
        middle = (self.left + self.width - self.right) / 2
        self.text(middle, self.height - 8, self._names[0], "name")

    def y_axis(self, ticks: Sequence[float] | None = None) -> None:
        """Draw the grid lines and numbers of the y axis."""
        end = self.width - self.right
        for value in self.y.ticks() if ticks is None else ticks:
            _, py = self.at(self.x.low, value)
            self._parts.append(f'<path class="grid" d="M{self.left} {py}H{end}"/>')
            self.text(self.left - 6, py + 4, label(value), "tick end")
        middle = (self.top + self.height - self.bottom) / 2
        self._parts.append(
            f'<text class="name" transform="translate(14 {middle:g}) rotate(-90)">'
            f"{escape(self._names[1])}</text>"
        )

    def line(self, points: Iterable[Point], kind: str, tip: str = "") -> None:
        """Draw a line through points."""
        places = [f"{px:g} {py:g}" for px, py in (self.at(*p) for p in points)]
        if len(places) > 1:
            path = "M" + "L".join(dict.fromkeys(places))
            self._parts.append(f'<path class="line {kind}" d="{path}">{_tip(tip)}</path>')

    def dot(self, x: float, y: float, kind: str, tip: str = "", radius: float = 4) -> None:
        """Draw a dot."""
        px, py = self.at(x, y)
        self._parts.append(
            f'<circle class="dot {kind}" cx="{px:g}" cy="{py:g}" r="{radius:g}">{_tip(tip)}'
            "</circle>"
        )

    def band(self, x1: float, x2: float, tip: str = "") -> None:
        """Shade the range from ``x1`` to ``x2`` over the whole height."""
        ends = sorted((self.at(x1, self.y.low)[0], self.at(x2, self.y.low)[0]))
        height = self.height - self.bottom - self.top
        self._parts.append(
            f'<rect class="band" x="{ends[0]:g}" y="{self.top}" width="{ends[1] - ends[0]:g}" '
            f'height="{height}">{_tip(tip)}</rect>'
        )

    def bar(self, x1: float, x2: float, y: float, kind: str, tip: str = "") -> None:
        """Draw a bar from the x axis to ``y``."""
        (left, top), (right, base) = self.at(x1, y), self.at(x2, self.y.low)
        size = f'width="{max(right - left - 1, 0):g}" height="{max(base - top, 0):g}"'
        self._parts.append(
            f'<rect class="bar {kind}" x="{left:g}" y="{top:g}" {size}>{_tip(tip)}</rect>'
        )

    def text(self, px: float, py: float, text: str, kind: str) -> None:
        """Write text at a position of the drawing, px."""
        self._parts.append(f'<text class="{kind}" x="{px:g}" y="{py:g}">{escape(text)}</text>')

    def __str__(self) -> str:
        inside = "".join(self._parts)
        return (
            f'<svg class="chart" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.title)}">{inside}</svg>'
        )


def series(number: int) -> str:
    """Return the class of a series."""
    return f"s{number % SERIES}"


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>" if text else ""


def _spread(places: list[float], values: list[float], apart: float = 0.08) -> list[float]:
    """Leave out values whose texts would overlap."""
    kept: list[float] = []
    last = -1.0
    for place, value in zip(places, values, strict=True):
        if place - last >= apart:
            kept.append(value)
            last = place
    return kept
