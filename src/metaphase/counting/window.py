"""The window of a mitotic count: its shape, area and position."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike

from metaphase.arrays import BoolArray, FloatArray
from metaphase.boxes import as_points
from metaphase.errors import InputError

Kind = Literal["circle", "rectangle"]
Box = tuple[float, float, float, float]

AREA_MM2 = 2.0
"""Default area: about ten high-power fields of 0.5 mm, counted per mm2 instead of per field as
Cree et al. (Mod. Pathol. 34:1651, 2021) and the WHO classification ask; also MIDOG's region."""

FIELDS = 10
TOLERANCE_PX = 1e-6
"""Windows are closed: a figure on the edge is inside, with this tolerance for rounding."""

_MOST = 1e6  # mm2 of a window, and its aspect; a slide has some thousand mm2
_OUTLINE_POINTS = 72
_STRIPS = 16


@dataclass(frozen=True, slots=True)
class WindowShape:
    """The shape of the window: a circle, or a rectangle with ``aspect`` = width / height.

    ``either_way`` also tries a rectangle turned by 90 degrees.
    """

    kind: Kind = "rectangle"
    area_mm2: float = AREA_MM2
    aspect: float = 1.0
    either_way: bool = False

    def __post_init__(self) -> None:
        for name, value in (("area", self.area_mm2), ("aspect", self.aspect)):
            if not 0 < value <= _MOST:
                message = f"{name} must be a positive number, at most {_MOST:g}, not {value}"
                raise InputError.of("window", message)

    @classmethod
    def parse(
        cls, shape: str = "square", area_mm2: float = AREA_MM2, *, either_way: bool = False
    ) -> WindowShape:
        """Read ``circle``, ``square`` or an aspect such as ``4:3``. Raises InputError."""
        name = shape.strip().lower()
        if name == "circle":
            return cls("circle", area_mm2)
        if name == "square":
            return cls("rectangle", area_mm2)
        try:
            width, height = (float(part) for part in name.replace("x", ":").split(":"))
            return cls("rectangle", area_mm2, width / height, either_way)
        except (ValueError, ZeroDivisionError):
            raise InputError.of(
                "window",
                f"{shape!r} is not a shape",
                way_out="give circle, square, or width:height such as 4:3",
            ) from None

    def sizes_px(self, mpp: float) -> list[tuple[float, float]]:
        """Return the width and height in pixels for each orientation of the shape."""
        area_px = self.area_mm2 * 1e6 / mpp**2
        if self.kind == "circle":
            diameter = 2 * math.sqrt(area_px / math.pi)
            return [(diameter, diameter)]
        width, height = math.sqrt(area_px * self.aspect), math.sqrt(area_px / self.aspect)
        turned = self.either_way and width != height
        return [(width, height), (height, width)] if turned else [(width, height)]

    def __str__(self) -> str:
        if self.kind == "circle":
            return "circle"
        return "square" if self.aspect == 1 else f"rectangle {self.aspect:.4g}:1"


def fields_area_mm2(diameter_mm: float, fields: int = FIELDS) -> float:
    """Return the area of ``fields`` circular high-power fields of a diameter.

    The window replaces them by one connected region of the same area.
    """
    return fields * math.pi * diameter_mm**2 / 4


def window_area_mm2(area_mm2: float | None, field_diameter_mm: float | None) -> float:
    """Return the area of the window: the given one, that of ten fields, or ``AREA_MM2``."""
    if area_mm2 is not None:
        return area_mm2
    return AREA_MM2 if field_diameter_mm is None else fields_area_mm2(field_diameter_mm)


@dataclass(frozen=True, slots=True)
class Window:
    """A window at a position: its centre and sides in full-resolution pixels."""

    kind: Kind
    x_px: float
    y_px: float
    width_px: float
    height_px: float

    @property
    def centre(self) -> tuple[float, float]:
        """The centre x, y."""
        return self.x_px, self.y_px

    @property
    def box(self) -> Box:
        """The bounding box x1, y1, x2, y2."""
        w, h = self.width_px / 2, self.height_px / 2
        return self.x_px - w, self.y_px - h, self.x_px + w, self.y_px + h

    def area_mm2(self, mpp: float) -> float:
        """Return the area of the window, including parts outside the image."""
        box = self.width_px * self.height_px * mpp**2 * 1e-6
        return box * math.pi / 4 if self.kind == "circle" else box

    def contains(self, points: ArrayLike) -> BoolArray:
        """Return for each of the points [n, 2] whether it lies in the closed window."""
        p = as_points(points) - (self.x_px, self.y_px)
        if self.kind == "circle":
            return np.asarray(np.hypot(p[:, 0], p[:, 1]) <= self.width_px / 2 + TOLERANCE_PX)
        half = np.array([self.width_px, self.height_px]) / 2 + TOLERANCE_PX
        return np.asarray((np.abs(p) <= half).all(axis=1))

    def overlaps(self, other: Window) -> bool:
        """Return whether two windows of the same kind share more than a border."""
        dx, dy = abs(self.x_px - other.x_px), abs(self.y_px - other.y_px)
        if self.kind == "circle" and other.kind == "circle":
            return math.hypot(dx, dy) < (self.width_px + other.width_px) / 2 - TOLERANCE_PX
        return (
            dx < (self.width_px + other.width_px) / 2 - TOLERANCE_PX
            and dy < (self.height_px + other.height_px) / 2 - TOLERANCE_PX
        )

    def outline(self) -> FloatArray:
        """Return a closed polygon [n, 2] around the window, for drawing."""
        if self.kind == "rectangle":
            x1, y1, x2, y2 = self.box
            return np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]])
        turn = np.linspace(0, 2 * np.pi, _OUTLINE_POINTS + 1)
        ring = np.stack([np.cos(turn), np.sin(turn)], axis=1) * self.width_px / 2
        ring[-1] = ring[0]
        return np.asarray(ring + np.array([self.x_px, self.y_px]))

    def strips(self, n: int = _STRIPS) -> FloatArray:
        """Return rows x1, y1, x2, y2 that cover the window: itself, or ``n`` strips of a circle.

        The strips have the area of the circle within 0.5 % for ``n`` = 16.
        """
        if self.kind == "rectangle":
            return np.array([self.box])
        radius = self.width_px / 2
        edges = np.linspace(-radius, radius, n + 1)
        half = np.sqrt(radius**2 - ((edges[:-1] + edges[1:]) / 2) ** 2)
        rows = np.stack([-half, edges[:-1], half, edges[1:]], axis=1)
        return np.asarray(rows + np.tile([self.x_px, self.y_px], 2))

    def at(self, x_px: float, y_px: float) -> Window:
        """Return the same window centred elsewhere."""
        return replace(self, x_px=x_px, y_px=y_px)


class Tissue(Protocol):
    """The tissue mask that counting needs; ``metaphase.slides.mask.TissueMask`` is one."""

    @property
    def area_mm2(self) -> float:
        """The area of all tissue on the slide."""
        ...

    def fraction(
        self, x_px: ArrayLike, y_px: ArrayLike, width_px: ArrayLike, height_px: ArrayLike
    ) -> FloatArray:
        """Return the share of tissue in each rectangle, 0 to 1; outside the image there is none."""
        ...


def tissue_fraction(tissue: Tissue, window: Window, centres: ArrayLike) -> FloatArray:
    """Return the share of tissue in a window at each of the centres [n, 2]."""
    strips = window.at(0.0, 0.0).strips()
    size = strips[:, 2:] - strips[:, :2]
    corner = as_points(centres)[:, None, :] + strips[None, :, :2]
    shares = tissue.fraction(corner[..., 0], corner[..., 1], size[:, 0], size[:, 1])
    areas = size[:, 0] * size[:, 1]
    return np.asarray(shares @ (areas / areas.sum()))
