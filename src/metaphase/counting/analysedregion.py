"""What of a slide was looked at: its tissue, and the region that detection was limited to.

``metaphase detect`` writes ``tissue.geojson`` and ``roi.geojson`` beside its detections; the
rectangle of ``--region`` is in their provenance.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaphase.counting.window import Box
from metaphase.detection.batch import ROI_NAME, TISSUE_NAME
from metaphase.errors import InputError
from metaphase.provenance import Provenance
from metaphase.slides.mask import ROI_MPP, TissueMask
from metaphase.slides.tissue import TISSUE_MPP
from metaphase.units import area_mm2


@dataclass(frozen=True, eq=False, slots=True)
class AnalysedRegion:
    """The tissue and the region of interest of one slide; None: not known, or none was drawn."""

    tissue: TissueMask | None = None
    roi: TissueMask | None = None

    @property
    def both(self) -> TissueMask | None:
        """The tissue inside the region of interest, or the one of them that is known."""
        if self.tissue is None or self.roi is None:
            return self.tissue if self.roi is None else self.roi
        return self.roi.intersection(self.tissue)


def load_analysed_region(folder: str | Path, made: Provenance) -> AnalysedRegion:
    """Read the masks that lie beside the detections in ``folder``. Raises InputError."""
    folder = Path(folder)
    return AnalysedRegion(
        _mask(folder / TISSUE_NAME, made, TISSUE_MPP), _mask(folder / ROI_NAME, made, ROI_MPP)
    )


def bounds_px(made: Provenance) -> tuple[float, float]:
    """Return where the GeoJSON beside detections begins to count: as QuPath, from the corner of
    the bounds that the slide told of, if it did."""
    return made.parameters.bounds_px or (0.0, 0.0)


def analysed_box_px(made: Provenance) -> Box | None:
    """Return the part of the image that was looked at, x1, y1, x2, y2; None: size not known."""
    if made.width_px <= 0 or made.height_px <= 0:
        return None
    if made.parameters.region is None:
        return 0.0, 0.0, float(made.width_px), float(made.height_px)
    x, y, width, height = made.parameters.region
    x1, y1 = max(0.0, x), max(0.0, y)
    x2, y2 = min(float(made.width_px), x + width), min(float(made.height_px), y + height)
    return x1, y1, max(x1, x2), max(y1, y2)


def analysed_mm2(analysed: AnalysedRegion, within_px: Box | None, mpp: float) -> float:
    """Return the area that a count of the whole slide is about."""
    if within_px is None:
        return 0.0
    x1, y1, x2, y2 = within_px
    whole = area_mm2(x2 - x1, y2 - y1, mpp)
    mask = analysed.both
    if mask is None or whole == 0:
        return whole
    return float(mask.fraction(x1, y1, x2 - x1, y2 - y1)[()]) * whole


def _mask(path: Path, made: Provenance, mpp: float) -> TissueMask | None:
    if not path.is_file() or not made.mpp > 0 or made.width_px <= 0:
        return None
    if _empty(path):
        nothing = np.zeros((1, 1), dtype=bool)
        size = made.width_px, made.height_px
        return TissueMask(nothing, max(size) * made.mpp, made.mpp, *size)
    size, offset_px = (made.width_px, made.height_px), bounds_px(made)
    return TissueMask.from_geojson(path, made.mpp, *size, mpp=mpp, offset_px=offset_px)


def _empty(path: Path) -> bool:
    """Tell whether a file says that there is no tissue at all."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError.of(path, f"cannot be read: {error}") from error
    return isinstance(data, dict) and data.get("features") == []
