"""The plan of an image: everything that its detections depend on, settled before the first tile."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaphase.arrays import FloatArray, IntArray
from metaphase.detection.decode import MAX_PER_TILE
from metaphase.detection.foreign.decode import MAX_PER_TILE as FOREIGN_MAX_PER_TILE
from metaphase.detection.grid import Grid, tile_side
from metaphase.detection.resolution import NATIVE_WITHIN, native_mpp
from metaphase.errors import InputError, Problem
from metaphase.files import sha256_of_file
from metaphase.models.card import ModelCard, SecondStage
from metaphase.models.modelfile import Model
from metaphase.provenance import AtypicalParameters, Parameters
from metaphase.qupath.bounds import bounds_offset
from metaphase.slides.mask import TissueMask
from metaphase.slides.slide import Slide
from metaphase.slides.slidestain import slide_stain
from metaphase.stain.macenko import Macenko
from metaphase.units import area_mm2, um_to_px

TISSUE_ABOVE_MM2 = 10.0
"""Images larger than this are whole slides: only their tissue is analysed."""

BAND_TILES = 16
"""Columns of tiles in a band."""

Region = tuple[float, float, float, float]
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Settings:
    """The user's choices that change a result.

    ``threshold`` is the operating point (None: the model's). ``min_score`` is the lowest score that
    is kept; it is lowered to the threshold where it is above. ``region`` is x, y, width, height in
    full-resolution pixels, ``roi`` a GeoJSON file of polygons to stay in. ``tissue`` limits the
    analysis to tissue (None: on images above ``TISSUE_ABOVE_MM2``). ``keep_stains`` switches the
    stain normalisation of the second stage off, for images whose stains cannot be estimated, such
    as mosaics of crops. ``native_within``: see ``resolution.NATIVE_WITHIN``. ``fit_tiles`` fits the
    sides of tiles to the image (``grid.tile_side``); without it all images have tiles of one size.
    Raises InputError.
    """

    threshold: float | None = None
    min_score: float = 0.05
    region: Region | None = None
    roi: Path | None = None
    tissue: bool | None = None
    keep_stains: bool = False
    native_within: float = NATIVE_WITHIN
    fit_tiles: bool = True

    def __post_init__(self) -> None:
        problems = []
        for name in ("threshold", "min_score"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                problems.append(Problem("settings", name, f"{value} is not in [0, 1]"))
        if self.region is not None and not _is_region(self.region):
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
    """A grid, the tiles of it to analyse, and how their candidates become detections.

    ``mpp`` is the resolution at which tiles are read; lengths in px are full-resolution pixels.
    ``stain`` are the stains of the image, where the second stage normalises them. ``parameters`` go
    into the provenance.
    """

    grid: Grid
    tiles: IntArray
    mpp: float
    threshold: float
    min_score: float
    slack_px: float
    merge_radius_px: float
    box_px: Box
    roi: TissueMask | None
    tissue: TissueMask | None
    parameters: Parameters
    stain: Macenko | None = None

    def area_px(self) -> FloatArray:
        """Return the area [tiles] that each tile owns, in full-resolution pixels."""
        own = self.grid.owned_px[self.tiles]
        return np.asarray((own[:, 2] - own[:, 0]) * (own[:, 3] - own[:, 1]))

    def fingerprint(self, *more: str) -> str:
        """Return a hash of the plan and of ``more``. Equal hashes mean equal candidates."""
        tiles = hashlib.sha256(self.tiles.astype("<i8").tobytes()).hexdigest()
        content = [self.parameters.to_json(), self.threshold, tiles, *more]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def make_plan(slide: Slide, model: Model, settings: Settings) -> Plan:
    """Return the plan of an image. Finds the tissue where the analysis is limited to it.

    Raises InputError for a region or region of interest outside of the image.
    """
    parameters = parameters_of(slide, model, settings)
    card = model.card
    mpp, tile = parameters.network_mpp, parameters.tile_px
    assert mpp is not None
    assert tile is not None
    grid = Grid(slide.width_px, slide.height_px, mpp / slide.mpp, tile, card.input.margin_px)
    box = _box(slide, settings.region)
    roi = None if settings.roi is None else read_roi(settings.roi, slide)
    tissue = _tissue(slide) if parameters.tissue else None
    tiles = _tiles(grid, box, [mask for mask in (roi, tissue) if mask is not None])
    stage = _second_stage(model, settings)
    normalised = stage is not None and stage.stain is not None
    stain = slide_stain(slide) if normalised else None
    radius = um_to_px(card.merge_radius_um, slide.mpp)
    return Plan(
        grid=grid,
        tiles=tiles,
        mpp=mpp,
        threshold=_threshold(model, settings),
        min_score=_min_score(model, settings),
        slack_px=min(radius / 4, grid.margin * grid.scale),
        merge_radius_px=radius,
        box_px=box,
        roi=roi,
        tissue=tissue,
        stain=stain,
        parameters=parameters.updated(
            **({"stain": None if stain is None else stain.to_json()} if normalised else {}),
            tiles=len(tiles),
            tissue_mm2=None if tissue is None else round(tissue.area_mm2, 4),
            validation=card.validation_counts,
        ),
    )


def parameters_of(slide: Slide, model: Model, settings: Settings) -> Parameters:
    """Return the parameters that are known before anything is read.

    A result with the same ones, of the same image and model, need not be computed again.
    """
    card = model.card
    stage = _second_stage(model, settings)
    native = native_mpp(slide.mpp, card.input.mpp, settings.native_within)
    mpp = native or card.input.mpp
    large = area_mm2(slide.width_px, slide.height_px, slide.mpp) > TISSUE_ABOVE_MM2
    bounds_px = bounds_offset(slide.properties)
    return Parameters.model_validate(
        {
            "min_score": _min_score(model, settings),
            "network_mpp": mpp,
            "resampled": native is None,
            "tile_px": tile_side(slide.width_px, slide.height_px, mpp / slide.mpp, card.input)
            if settings.fit_tiles
            else card.input.tile_px,
            "margin_px": card.input.margin_px,
            "max_per_tile": MAX_PER_TILE if card.foreign is None else FOREIGN_MAX_PER_TILE,
            "merge_radius_um": card.merge_radius_um,
            "region": settings.region,
            "roi_sha256": None if settings.roi is None else _hash(settings.roi),
            "tissue": large if settings.tissue is None else settings.tissue,
            "second_stage": stage and stage.model_dump(mode="json", exclude={"id"}),
            **({"atypical": _atypical(card)} if card.atypical else {}),
            # QuPath counts from here: for those who read our GeoJSON without the slide.
            **({"bounds_px": bounds_px} if any(bounds_px) else {}),
        }
    )


def read_roi(path: Path, slide: Slide) -> TissueMask:
    """Read a region of interest from QuPath, which counts from the corner of a slide's bounds."""
    offset_px = bounds_offset(slide.properties)
    size = slide.width_px, slide.height_px
    return TissueMask.from_geojson(path, slide.mpp, *size, offset_px=offset_px)


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


def _is_region(region: Region) -> bool:
    return (
        len(region) == 4 and all(math.isfinite(v) for v in region) and min(region[2], region[3]) > 0
    )


def _second_stage(model: Model, settings: Settings) -> SecondStage | None:
    """Return how candidates are scored again."""
    stage = model.card.second_stage
    if stage is None or not settings.keep_stains:
        return stage
    return stage.model_copy(update={"stain": None})


def _atypical(card: ModelCard) -> AtypicalParameters | None:
    part = card.atypical
    if part is None:
        return None
    return AtypicalParameters(threshold=part.threshold, spread=part.spread)


def _threshold(model: Model, settings: Settings) -> float:
    return model.card.threshold.value if settings.threshold is None else settings.threshold


def _min_score(model: Model, settings: Settings) -> float:
    return min(settings.min_score, _threshold(model, settings))


def _tissue(slide: Slide) -> TissueMask:
    from metaphase.slides.tissue import find_tissue

    return find_tissue(slide)


def _box(slide: Slide, region: Region | None) -> Box:
    """Return the part x1, y1, x2, y2 of the image to analyse."""
    width, height = float(slide.width_px), float(slide.height_px)
    if region is None:
        return 0.0, 0.0, width, height
    x, y, w, h = region
    box = max(x, 0.0), max(y, 0.0), min(x + w, width), min(y + h, height)
    if box[0] >= box[2] or box[1] >= box[3]:
        raise InputError.of(
            slide.path.name,
            f"{region} lies outside of the image of {slide.width_px} x {slide.height_px} px",
            record="region",
            way_out="give x,y,width,height in full-resolution pixels",
        )
    return box


def _tiles(grid: Grid, box: Box, masks: Sequence[TissueMask]) -> IntArray:
    """Return the tiles that own part of the box and of every mask, band by band."""
    tiles = _in_bands(grid, grid.touching(box))
    x1, y1, x2, y2 = grid.owned_px[tiles].T
    kept = np.ones(len(tiles), dtype=bool)
    for mask in masks:
        kept &= mask.fraction(x1, y1, x2 - x1, y2 - y1) > 1e-9
    return tiles[kept]


def _in_bands(grid: Grid, tiles: IntArray) -> IntArray:
    """Order tiles by rows within bands of columns.

    What is decoded of the slide for a row of tiles is then still in memory for the next row,
    however wide the slide is (measured at 68,000 px: 0.57 times as much to decode).
    """
    row, column = np.divmod(tiles, len(grid.starts_x))
    return tiles[np.lexsort((column, row, column // BAND_TILES))]


def _hash(path: Path) -> str:
    try:
        return sha256_of_file(path)
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror}") from error
