"""The count of an opened slide, made as ``metaphase count`` makes it, at any threshold."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

from metaphase.counting.count import MitoticCount, count_figures
from metaphase.counting.ground import Ground, load_ground
from metaphase.counting.interval import Validation
from metaphase.counting.validation import AtOne, Validated, validation_of
from metaphase.counting.window import WindowShape, fields_area_mm2
from metaphase.figures import Provenance
from metaphase.slides.slide import Slide
from metaphase.viewer.opened import Opened
from metaphase.viewer.review import counted
from metaphase.viewer.store import Decision


@dataclass(frozen=True, slots=True)
class Asked:
    """What the page asks for. ``field_mm`` is the diameter of a high-power field, if one is given.

    Without ``area_mm2`` the window has the area of ten such fields.
    """

    threshold: float
    shape: str = "square"
    area_mm2: float | None = None
    field_mm: float | None = None

    @property
    def window(self) -> WindowShape:
        """The window. Raises InputError."""
        ten = fields_area_mm2(self.field_mm) if self.field_mm else 2.0
        return WindowShape.parse(self.shape, self.area_mm2 or ten)


class Counter:
    """Counts slides; looks for the tissue of each once. Thread-safe."""

    def __init__(self, validated: Validated | None = None) -> None:
        self._validated = validated
        self._grounds: dict[str, Ground] = {}
        self._lock = threading.Lock()

    def count(
        self,
        opened: Opened,
        pixels: Slide,
        standing: Iterable[Decision],
        asked: Asked,
        *,
        complete: bool = False,
    ) -> MitoticCount:
        """Count the figures as they stand. Raises InputError and SlideError."""
        return count_figures(
            counted(opened, standing, asked.threshold),
            _made(opened, pixels, asked.threshold),
            asked.window,
            ground=self.ground(opened, pixels),
            validation=self._validation(opened, asked.threshold),
            complete=complete,
            field_diameter_mm=asked.field_mm,
        )

    def ground(self, opened: Opened, pixels: Slide) -> Ground:
        """Return the masks beside the detections; tissue that is not there is looked for."""
        with self._lock:
            if opened.slug not in self._grounds:
                self._grounds[opened.slug] = _ground(opened, pixels)
            return self._grounds[opened.slug]

    def _validation(self, opened: Opened, threshold: float) -> Validation | None:
        if opened.made is None:  # people's labels: no detector, nothing to propagate
            return None
        known = self._validated or validation_of(opened.made)
        if isinstance(known, AtOne) and known.threshold is None:
            known = AtOne(known.counts, opened.threshold)
        return known.at(threshold) if known else None


def _ground(opened: Opened, pixels: Slide) -> Ground:
    from metaphase.slides.tissue import find_tissue

    ground = Ground()
    if opened.folder is not None and opened.made is not None:
        ground = load_ground(opened.folder, opened.made)
    return ground if ground.tissue is not None else replace(ground, tissue=find_tissue(pixels))


def _made(opened: Opened, pixels: Slide, threshold: float) -> Provenance:
    made = opened.made or Provenance(opened.path.name, pixels.width_px, pixels.height_px, 0.0)
    return replace(
        made,
        mpp=pixels.mpp,
        threshold=threshold,
        width_px=pixels.width_px,
        height_px=pixels.height_px,
    )


def to_page(found: MitoticCount) -> dict[str, Any]:
    """Return what the page shows of a count; without any figure there is no hotspot."""
    best = found.hotspots[0]
    hotspot, score = best.hotspot, best.score
    return {
        "count": found.total,
        "estimate": None if found.total_estimate is None else asdict(found.total_estimate),
        "area_mm2": found.area_mm2,
        "area_is": found.area_is,
        "per_mm2": found.per_mm2,
        "notes": list(found.notes),
        "interval_from": None if found.validation is None else str(found.validation),
        "window_mm2": found.shape.area_mm2,
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
