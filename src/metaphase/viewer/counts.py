"""The mitotic count of a slide on the page, by the same code as ``metaphase count``."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from typing import Any

from metaphase.counting.analysedregion import AnalysedRegion, analysed_region
from metaphase.counting.atypical import AtypicalCount
from metaphase.counting.count import MitoticCount, count_figures
from metaphase.counting.interval import Validation
from metaphase.counting.validation import FixedValidation, ValidationSource, validation_of
from metaphase.counting.window import AREA_MM2, WindowShape, fields_area_mm2
from metaphase.errors import InputError
from metaphase.provenance import Provenance
from metaphase.slides.slide import Slide
from metaphase.viewer.reviewedfigures import counted
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.store import Decision

MAX_ASPECT = 20.0


@dataclass(frozen=True, slots=True)
class CountRequest:
    """Parameters of a count.

    ``field_mm`` is the diameter of a high-power field. Without ``area_mm2`` the window has the
    area of ten such fields, or 2 mm2 where no diameter is given.
    """

    threshold: float
    shape: str = "square"
    area_mm2: float | None = None
    field_mm: float | None = None

    @property
    def window(self) -> WindowShape:
        """Shape and area of the hotspot window. Raises InputError."""
        ten = fields_area_mm2(self.field_mm) if self.field_mm else AREA_MM2
        window = WindowShape.parse(self.shape, self.area_mm2 or ten)
        if not 1 / MAX_ASPECT <= window.aspect <= MAX_ASPECT:
            raise InputError.of(
                "window", f"{self.shape!r} is too narrow", way_out=f"up to {MAX_ASPECT:g}:1"
            )
        return window


class SlideCounter:
    """Counts slides. The tissue of each slide is found once. Thread-safe."""

    def __init__(self, validated: ValidationSource | None = None) -> None:
        self._validated = validated
        self._regions: dict[str, AnalysedRegion] = {}
        self._lock = threading.Lock()

    def count(
        self,
        entry: CatalogueEntry,
        pixels: Slide,
        standing: Iterable[Decision],
        request: CountRequest,
        *,
        complete: bool = False,
        atypical: Mapping[str, bool] | None = None,
    ) -> MitoticCount:
        """Count the figures with the current decisions. Raises InputError and SlideError."""
        return count_figures(
            counted(entry, standing, request.threshold, atypical=atypical),
            _provenance(entry, pixels, request.threshold),
            request.window,
            analysed=self.analysed(entry, pixels),
            validation=self._validation(entry, request.threshold),
            complete=complete,
            field_diameter_mm=request.field_mm,
        )

    def analysed(self, entry: CatalogueEntry, pixels: Slide) -> AnalysedRegion:
        """Return the masks saved with the detections; a missing tissue mask is computed."""
        with self._lock:
            if entry.slug not in self._regions:
                self._regions[entry.slug] = _analysed_region(entry, pixels)
            return self._regions[entry.slug]

    def _validation(self, entry: CatalogueEntry, threshold: float) -> Validation | None:
        if entry.provenance is None:  # labels only: no detector whose errors could be propagated
            return None
        known = self._validated or validation_of(entry.provenance)
        if isinstance(known, FixedValidation) and known.threshold is None:
            known = FixedValidation(known.counts, entry.threshold)
        return known.at(threshold) if known else None


def _analysed_region(entry: CatalogueEntry, pixels: Slide) -> AnalysedRegion:
    provenance = entry.provenance or _provenance(entry, pixels, 0.0)
    folder = entry.folder if entry.provenance is not None else None
    return analysed_region(provenance, folder, lambda: nullcontext(pixels))


def _provenance(entry: CatalogueEntry, pixels: Slide, threshold: float) -> Provenance:
    provenance = entry.provenance or Provenance(
        entry.path.name, pixels.width_px, pixels.height_px, 0.0
    )
    return replace(
        provenance,
        mpp=pixels.mpp,
        threshold=threshold,
        width_px=pixels.width_px,
        height_px=pixels.height_px,
    )


def _atypical(count: AtypicalCount | None) -> dict[str, Any] | None:
    return None if count is None else {**asdict(count), "text": str(count)}


def count_as_json(result: MitoticCount) -> dict[str, Any]:
    """Return a count as JSON values. ``hotspot`` is None where there is no figure."""
    best = result.hotspots[0]
    hotspot, score = best.hotspot, best.score
    return {
        "count": result.total,
        "estimate": None if result.total_estimate is None else asdict(result.total_estimate),
        "area_mm2": result.area_mm2,
        "area_is": result.area_is,
        "per_mm2": result.per_mm2,
        "notes": list(result.notes),
        "warnings": list(result.warnings),
        "atypical": _atypical(result.total_atypical),
        "hotspot_atypical": _atypical(best.atypical),
        "score_withheld": result.score_withheld,
        "interval_from": None if result.validation is None else str(result.validation),
        "window_mm2": result.shape.area_mm2,
        "hotspot": None if best.count == 0 else {
            "kind": hotspot.window.kind,
            "box": hotspot.window.box,
            "count": best.count,
            "area_mm2": hotspot.area_mm2,
            "tissue_mm2": hotspot.tissue_mm2,
            "per_mm2": hotspot.per_mm2,
            "mostly_glass": hotspot.mostly_glass,
        },
        "hotspot_estimate": None if best.estimate is None else asdict(best.estimate),
        "score": None if score is None else {**asdict(score), "could_tip": score.could_tip},
    }  # fmt: skip
