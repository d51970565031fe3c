"""Everything that the detections of one image depend on, settled before the first tile is read."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.decode import MAX_PER_TILE
from metaphase.detection.firstlook import CUT, FIRST_LOOK_MPP, look_first
from metaphase.detection.grid import Grid
from metaphase.errors import InputError, Problem
from metaphase.files import sha256_of_file
from metaphase.labels.qupath import bounds_offset
from metaphase.models.card import SecondStage
from metaphase.models.modelfile import Model
from metaphase.slides.mask import TissueMask
from metaphase.slides.slide import Slide
from metaphase.slides.stain import Macenko, slide_stain
from metaphase.units import area_mm2, um_to_px

NATIVE_WITHIN = 0.03
"""Within this of the model's mpp, a slide is read as it is: resampling would cost time and
sharpness, and networks are trained with more variation of scale than this."""

TISSUE_ABOVE_MM2 = 10.0
"""Images larger than this are whole slides, of which only the tissue is looked at."""

BAND_TILES = 16
"""Tiles side by side in a band."""

Region = tuple[float, float, float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Settings:
    """What a user can choose of a detection that changes its result.

    ``threshold`` is the operating point (None: the model's own). ``min_score`` is the lowest score
    that is kept at all; it is lowered to the threshold where it is above. ``region`` is x, y,
    width, height in full-resolution pixels; ``roi`` a GeoJSON file of polygons to stay in.
    ``tissue`` limits the look to tissue (None: on images above ``TISSUE_ABOVE_MM2``).
    ``first_look`` leaves out tiles without dark nuclei (``firstlook.py``). ``own_stains`` keeps the
    image's stains where the model's second stage would exchange them: for images that tell their
    stains wrong, as mosaics of crops do. ``native_within``: see ``NATIVE_WITHIN``.
    """

    threshold: float | None = None
    min_score: float = 0.05
    region: Region | None = None
    roi: Path | None = None
    tissue: bool | None = None
    first_look: bool = False
    own_stains: bool = False
    native_within: float = NATIVE_WITHIN

    def __post_init__(self) -> None:
        problems = []
        for name in ("threshold", "min_score"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                problems.append(Problem("settings", name, f"{value} is not in [0, 1]"))
        if self.region is not None:
            finite = all(math.isfinite(v) for v in self.region)
            if not finite or len(self.region) != 4 or min(self.region[2:]) <= 0:
                problems.append(
                    Problem(
                        "settings",
                        "region",
                        f"{self.region} is not x, y, width, height",
                        "give full-resolution pixels with a positive width and height",
                    )
                )
        if problems:
            raise InputError(problems)


@dataclass(frozen=True)
class Plan:
    """A grid, the tiles of it to look at, and how their candidates become detections.

    ``mpp`` is the resolution at which tiles are read; lengths in px are full-resolution pixels.
    ``stain`` are the image's own, where the second stage exchanges them. ``parameters`` tell in the
    provenance how it was done.
    """

    grid: Grid
    tiles: NDArray[np.int64]
    mpp: float
    threshold: float
    min_score: float
    slack_px: float
    merge_radius_px: float
    box_px: Box
    roi: TissueMask | None
    tissue: TissueMask | None
    parameters: dict[str, Any]
    stain: Macenko | None = None

    def area_px(self) -> NDArray[np.float64]:
        """Return the area [tiles] that each tile to look at owns, in full-resolution pixels."""
        own = self.grid.owned_px[self.tiles]
        return np.asarray((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1]))

    def fingerprint(self, *more: str) -> str:
        """Return a hash of the plan and of ``more``: equal ones give equal numbers."""
        tiles = hashlib.sha256(self.tiles.astype("<i8").tobytes()).hexdigest()
        content = [self.parameters, self.threshold, tiles, *more]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def make_plan(slide: Slide, model: Model, settings: Settings) -> Plan:
    """Settle how an image will be looked at; looks for tissue where that is asked for.

    Raises InputError for a region or ROI outside the image.
    """
    chosen = parameters_of(slide, model, settings)
    card = model.card
    mpp = slide.mpp if not chosen["resampled"] else card.input.mpp
    grid = Grid(
        slide.width_px, slide.height_px, mpp / slide.mpp, card.input.tile_px, card.input.margin_px
    )
    box = _box(slide, settings.region)
    roi = tissue = None
    if settings.roi is not None:
        roi = read_roi(settings.roi, slide)
    if chosen["tissue"]:
        from metaphase.slides.tissue import find_tissue

        tissue = find_tissue(slide)
    tiles = _tiles(grid, box, [mask for mask in (roi, tissue) if mask is not None])
    before = len(tiles)
    if settings.first_look:
        tiles = tiles[look_first(slide, grid, tiles).wanted()]
    radius = um_to_px(card.merge_radius_um, slide.mpp)
    look = _second_stage(model, settings)
    exchanged = look is not None and look.stain is not None
    stain = slide_stain(slide) if exchanged else None
    validation = card.validation_counts
    told = {"stain": None if stain is None else stain.to_json()} if exchanged else {}
    return Plan(
        grid=grid,
        tiles=tiles,
        mpp=mpp,
        threshold=_threshold(model, settings),
        min_score=chosen["min_score"],
        slack_px=min(radius / 4, grid.margin * grid.scale),
        merge_radius_px=radius,
        box_px=box,
        roi=roi,
        tissue=tissue,
        stain=stain,
        parameters={
            **chosen,
            **told,
            "tiles": len(tiles),
            "tiles_left_out": before - len(tiles),
            "tissue_mm2": None if tissue is None else round(tissue.area_mm2, 4),
            "validation": None if validation is None else validation.to_json(),
        },
    )


def read_roi(path: Path, slide: Slide) -> TissueMask:
    """Read a region of interest as QuPath counts it: from the corner of a slide's bounds."""
    offset_px = bounds_offset(slide.properties)
    size = slide.width_px, slide.height_px
    return TissueMask.from_geojson(path, slide.mpp, *size, offset_px=offset_px)


def parameters_of(slide: Slide, model: Model, settings: Settings) -> dict[str, Any]:
    """Return what is known of a plan before anything is read: enough to tell an equal one."""
    card = model.card
    look = _second_stage(model, settings)
    native = abs(slide.mpp / card.input.mpp - 1) <= settings.native_within
    large = area_mm2(slide.width_px, slide.height_px, slide.mpp) > TISSUE_ABOVE_MM2
    return {
        "min_score": min(settings.min_score, _threshold(model, settings)),
        "network_mpp": slide.mpp if native else card.input.mpp,
        "resampled": not native,
        "tile_px": card.input.tile_px,
        "margin_px": card.input.margin_px,
        "max_per_tile": MAX_PER_TILE,
        "merge_radius_um": card.merge_radius_um,
        "region": None if settings.region is None else list(settings.region),
        "roi_sha256": None if settings.roi is None else _hash(settings.roi),
        "tissue": large if settings.tissue is None else settings.tissue,
        "first_look": [FIRST_LOOK_MPP, CUT] if settings.first_look else None,
        "second_stage": None if look is None else look.model_dump(mode="json", exclude={"id"}),
        **_bounds(slide),
    }


def _second_stage(model: Model, settings: Settings) -> SecondStage | None:
    """Return how candidates are looked at again."""
    look = model.card.second_stage
    if look is None or not settings.own_stains:
        return look
    return look.model_copy(update={"stain": None})


def _bounds(slide: Slide) -> dict[str, Any]:
    """Return where QuPath begins to count, for those who read our GeoJSON without the slide."""
    offset_px = bounds_offset(slide.properties)
    return {"bounds_px": list(offset_px)} if any(offset_px) else {}


def _threshold(model: Model, settings: Settings) -> float:
    return model.card.threshold.value if settings.threshold is None else settings.threshold


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


def _box(slide: Slide, region: Region | None) -> Box:
    """Return the part x1, y1, x2, y2 of the image to look at."""
    width, height = float(slide.width_px), float(slide.height_px)
    if region is None:
        return 0.0, 0.0, width, height
    x, y, w, h = region
    box = max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)
    if box[0] >= box[2] or box[1] >= box[3]:
        raise InputError.of(
            slide.path.name,
            f"{region} lies outside the image of {slide.width_px} x {slide.height_px} px",
            record="region",
            way_out="give x,y,width,height in full-resolution pixels",
        )
    return box


def _tiles(grid: Grid, box: Box, masks: Sequence[TissueMask]) -> NDArray[np.int64]:
    """Return the tiles that own part of the box and of every mask, band by band."""
    tiles = _in_bands(grid, grid.touching(box))
    x1, y1, x2, y2 = grid.owned_px[tiles].T
    wanted = np.ones(len(tiles), dtype=bool)
    for mask in masks:
        wanted &= mask.fraction(x1, y1, x2 - x1, y2 - y1) > 1e-9
    return tiles[wanted]


def _in_bands(grid: Grid, tiles: NDArray[np.int64]) -> NDArray[np.int64]:
    """Order tiles by rows within bands of columns.

    What is decoded of a slide for one row is then still in memory for the next, however wide the
    slide is (measured at 68,000 px: 0.57 times as much to decode).
    """
    row, column = np.divmod(tiles, len(grid.starts_x))
    return tiles[np.lexsort((column, row, column // BAND_TILES))]


def _hash(path: Path) -> str:
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror}") from error
