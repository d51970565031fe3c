"""The part of a slide that was analysed: its tissue, the region of interest, and the rectangle.

``metaphase detect`` writes ``tissue.geojson`` and ``roi.geojson`` beside its detections; the
rectangle of ``--region`` is in their provenance. The command, the Python function and the review
page all use ``analysed_region``, so that they agree on areas and densities.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from metaphase.counting.window import Box
from metaphase.detection.resultfolder import ROI_NAME, TISSUE_NAME
from metaphase.errors import InputError, SlideError
from metaphase.files import read_text
from metaphase.provenance import Provenance
from metaphase.qupath.bounds import recorded_offset
from metaphase.slides.mask import ROI_MPP, TissueMask
from metaphase.slides.open import open_slide
from metaphase.slides.slide import Slide
from metaphase.slides.tissue import TISSUE_MPP
from metaphase.units import area_mm2

OpenPixels = Callable[[], AbstractContextManager[Slide]]
"""Opens the image of a set of detections."""


@dataclass(frozen=True, eq=False, slots=True)
class AnalysedRegion:
    """The masks of one slide: tissue (None: unknown) and region of interest (None: none drawn)."""

    tissue: TissueMask | None = None
    roi: TissueMask | None = None

    @property
    def both(self) -> TissueMask | None:
        """The tissue inside the region of interest, or the one of them that is known."""
        if self.tissue is None or self.roi is None:
            return self.tissue if self.roi is None else self.roi
        return self.roi.intersection(self.tissue)


def analysed_region(
    provenance: Provenance,
    folder: str | Path | None = None,
    open_pixels: OpenPixels | None = None,
) -> AnalysedRegion:
    """Return the masks beside the detections in ``folder``; missing tissue is searched for.

    Tissue is searched for in the pixels that ``open_pixels`` opens. It is not searched for if the
    detections state that the whole image was analysed: then areas are those of the image for
    everybody, whether the pixels are at hand or not. Raises InputError, and SlideError for pixels
    that cannot be read.
    """
    region = AnalysedRegion() if folder is None else load_analysed_region(folder, provenance)
    if open_pixels is None or not lacks_tissue(region, provenance):
        return region
    from metaphase.slides.tissue import find_tissue

    with open_pixels() as slide:
        return replace(region, tissue=find_tissue(slide))


def pixels_in(images: str | Path | None, provenance: Provenance) -> OpenPixels | None:
    """Return what opens the image of some detections in a folder; None without a folder.

    Opening raises SlideError if the image is missing.
    """
    if images is None:
        return None
    path = Path(images) / provenance.image

    def open_pixels() -> AbstractContextManager[Slide]:
        if not os.path.isfile(path):
            raise SlideError.of(path, "is missing, so that its tissue is unknown")
        return open_slide(path, mpp=provenance.mpp)

    return open_pixels


def lacks_tissue(region: AnalysedRegion, provenance: Provenance) -> bool:
    """Return whether the tissue is unknown though not all of the image was to be analysed."""
    return region.tissue is None and provenance.parameters.tissue is not False


def load_analysed_region(folder: str | Path, provenance: Provenance) -> AnalysedRegion:
    """Read the masks beside the detections in ``folder``. Raises InputError."""
    folder = Path(folder)
    return AnalysedRegion(
        _mask(folder / TISSUE_NAME, provenance, TISSUE_MPP),
        _mask(folder / ROI_NAME, provenance, ROI_MPP),
    )


def analysed_box_px(provenance: Provenance) -> Box | None:
    """Return the analysed rectangle x1, y1, x2, y2 in px; None if the image size is unknown."""
    if provenance.width_px <= 0 or provenance.height_px <= 0:
        return None
    if provenance.parameters.region is None:
        return 0.0, 0.0, float(provenance.width_px), float(provenance.height_px)
    x, y, width, height = provenance.parameters.region
    x1, y1 = max(0.0, x), max(0.0, y)
    x2, y2 = (
        min(float(provenance.width_px), x + width),
        min(float(provenance.height_px), y + height),
    )
    return x1, y1, max(x1, x2), max(y1, y2)


def analysed_mm2(region: AnalysedRegion, within_px: Box | None, mpp: float) -> float:
    """Return the analysed area: the tissue inside the rectangle, or the rectangle."""
    if within_px is None:
        return 0.0
    x1, y1, x2, y2 = within_px
    whole = area_mm2(x2 - x1, y2 - y1, mpp)
    mask = region.both
    if mask is None or whole == 0:
        return whole
    return float(mask.fraction(x1, y1, x2 - x1, y2 - y1)[()]) * whole


def _mask(path: Path, provenance: Provenance, mpp: float) -> TissueMask | None:
    if not path.is_file() or not provenance.mpp > 0 or provenance.width_px <= 0:
        return None
    size = provenance.width_px, provenance.height_px
    if _empty(path):
        nothing = np.zeros((1, 1), dtype=bool)
        return TissueMask(nothing, max(size) * provenance.mpp, provenance.mpp, *size)
    offset_px = recorded_offset(provenance)
    return TissueMask.from_geojson(path, provenance.mpp, *size, mpp=mpp, offset_px=offset_px)


def _empty(path: Path) -> bool:
    """Return whether a file states that there is no tissue at all."""
    try:
        data = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError.of(path, f"cannot be read: {error}") from error
    return isinstance(data, dict) and data.get("features") == []
