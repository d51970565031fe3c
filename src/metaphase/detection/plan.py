"""Everything that the detections of one image depend on, settled before the first tile is read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.decode import MAX_PER_TILE
from metaphase.detection.grid import Grid
from metaphase.errors import InputError, Problem
from metaphase.models.modelfile import Model
from metaphase.slides.slide import Slide
from metaphase.units import um_to_px

NATIVE_WITHIN = 0.03
"""Within this of the model's mpp, a slide is read as it is: resampling would cost time and
sharpness, and networks are trained with more variation of scale than this."""

Region = tuple[float, float, float, float]


@dataclass(frozen=True)
class Settings:
    """What a user can choose of a detection that changes its result.

    ``threshold`` is the operating point (None: the model's own). ``min_score`` is the lowest score
    that is kept at all; it is lowered to the threshold where it is above. ``region`` is x, y,
    width, height in full-resolution pixels. ``native_within``: see ``NATIVE_WITHIN``.
    """

    threshold: float | None = None
    min_score: float = 0.05
    region: Region | None = None
    native_within: float = NATIVE_WITHIN

    def problems(self) -> list[Problem]:
        """Return what is wrong with the values by themselves."""
        found = []
        for name in ("threshold", "min_score"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                found.append(Problem("settings", name, f"{value} is not in [0, 1]"))
        if self.region is not None:
            finite = all(math.isfinite(v) for v in self.region)
            if not finite or len(self.region) != 4 or min(self.region[2:]) <= 0:
                found.append(
                    Problem(
                        "settings",
                        "region",
                        f"{self.region} is not x, y, width, height",
                        "give full-resolution pixels with a positive width and height",
                    )
                )
        return found


@dataclass(frozen=True)
class Plan:
    """A grid, the tiles of it to look at, and how their candidates become detections.

    ``mpp`` is the resolution at which tiles are read; lengths in px are full-resolution pixels.
    """

    grid: Grid
    tiles: NDArray[np.int64]
    mpp: float
    threshold: float
    min_score: float
    slack_px: float
    merge_radius_px: float
    box_px: tuple[float, float, float, float]
    parameters: dict[str, Any] = field(default_factory=dict)

    def area_px(self) -> NDArray[np.float64]:
        """Return the area [tiles] that each tile to look at owns, in full-resolution pixels."""
        own = self.grid.owned_px[self.tiles]
        return np.asarray((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1]))

    def fingerprint(self, *more: str) -> str:
        """Return a hash of the plan and of ``more``: equal ones give equal numbers."""
        content = [
            self.parameters,
            self.threshold,
            hashlib.sha256(self.tiles.astype("<i8").tobytes()).hexdigest(),
            *more,
        ]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def make_plan(slide: Slide, model: Model, settings: Settings) -> Plan:
    """Settle how an image will be looked at. Raises InputError for settings that make no sense."""
    problems = settings.problems()
    card = model.card
    native = abs(slide.mpp / card.input.mpp - 1) <= settings.native_within
    mpp = slide.mpp if native else card.input.mpp
    box, more = _box(slide, settings.region)
    if problems + more:
        raise InputError(problems or more)
    threshold = card.threshold.value if settings.threshold is None else settings.threshold
    min_score = min(settings.min_score, threshold)
    grid = Grid(
        slide.width_px, slide.height_px, mpp / slide.mpp, card.input.tile_px, card.input.margin_px
    )
    radius = um_to_px(card.merge_radius_um, slide.mpp)
    parameters = {
        "min_score": min_score,
        "network_mpp": round(mpp, 6),
        "resampled": not native,
        "tile_px": grid.tile,
        "margin_px": grid.margin,
        "max_per_tile": MAX_PER_TILE,
        "merge_radius_um": card.merge_radius_um,
        "region": None if settings.region is None else list(settings.region),
    }
    return Plan(
        grid=grid,
        tiles=grid.touching(box),
        mpp=mpp,
        threshold=threshold,
        min_score=min_score,
        slack_px=min(radius / 4, grid.margin * grid.scale),
        merge_radius_px=radius,
        box_px=box,
        parameters=parameters,
    )


def parse_region(text: str | Sequence[float]) -> Region:
    """Return the region that "x,y,width,height" names. Raises InputError."""
    parts = text.split(",") if isinstance(text, str) else text
    try:
        x, y, width, height = (float(part) for part in parts)
    except ValueError as error:
        raise InputError.of(
            "region", f"cannot read {text!r}", way_out="give x,y,width,height in pixels"
        ) from error
    return x, y, width, height


def _box(
    slide: Slide, region: Region | None
) -> tuple[tuple[float, float, float, float], list[Problem]]:
    """Return the part x1, y1, x2, y2 of the image to look at."""
    width, height = float(slide.width_px), float(slide.height_px)
    if region is None:
        return (0.0, 0.0, width, height), []
    x, y, w, h = region
    box = max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)
    if box[0] >= box[2] or box[1] >= box[3]:
        size = f"the image is {slide.width_px} x {slide.height_px} px"
        return box, [Problem(slide.path.name, "region", f"{region} lies outside it", size)]
    return box, []
