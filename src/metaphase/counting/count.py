"""The mitotic count of a slide: hotspots, the count with its interval, densities and the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from metaphase.counting.hotspot import LEAST_TISSUE, Hotspot, find_hotspots
from metaphase.counting.interval import Estimate, Seen, Validation, estimate
from metaphase.counting.nottingham import TABLE, MitoticScore, diameter_of, mitotic_score
from metaphase.counting.review import Decision, Reviewed, apply_review
from metaphase.counting.window import Tissue, Window, WindowShape, fields_area_mm2
from metaphase.errors import DetectionsError
from metaphase.figures import Detections, Label
from metaphase.units import area_mm2


@dataclass(frozen=True, slots=True)
class CountedHotspot:
    """A hotspot with what its count is made of, its interval and its score (None: not known)."""

    hotspot: Hotspot
    seen: Seen
    estimate: Estimate | None
    score: MitoticScore | None

    @property
    def count(self) -> int:
        """The figures in the window as they stand: people's where they judged, else detections."""
        return self.seen.count


@dataclass(frozen=True, slots=True)
class MitoticCount:
    """The count of one slide.

    ``area_mm2`` is the tissue, or without a mask the part of the image that was looked at.
    ``total`` counts the whole of it.
    """

    image: str
    mpp: float
    threshold: float
    model: str
    shape: WindowShape
    area_mm2: float
    area_is_tissue: bool
    total: int
    total_estimate: Estimate | None
    hotspots: tuple[CountedHotspot, ...]
    notes: tuple[str, ...] = ()

    @property
    def per_mm2(self) -> float:
        """Figures per mm2 over the whole slide."""
        return self.total / self.area_mm2 if self.area_mm2 > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; what is not known is null."""
        return {
            "image": self.image,
            "model": self.model,
            "mpp": self.mpp,
            "threshold": self.threshold,
            "window": {"shape": str(self.shape), "area_mm2": self.shape.area_mm2},
            "slide": {
                "count": self.total,
                "area_mm2": self.area_mm2,
                "area_is": "tissue" if self.area_is_tissue else "image",
                "per_mm2": self.per_mm2,
                "estimate": _plain(self.total_estimate),
            },
            "hotspots": [_hotspot_dict(hotspot) for hotspot in self.hotspots],
            "notes": list(self.notes),
        }


def count_slide(
    detections: Detections,
    shape: WindowShape | None = None,
    *,
    tissue: Tissue | None = None,
    least_tissue: float = LEAST_TISSUE,
    top: int = 1,
    validation: Validation | None = None,
    decisions: Sequence[Decision] | None = None,
    complete: bool = False,
    field_diameter_mm: float | None = None,
    seed: int = 0,
) -> MitoticCount:
    """Count the mitotic figures of one slide at and above the threshold of its detections.

    ``decisions`` are people's and replace the machine's, ``complete`` tells that the windows were
    looked at in full, so that nothing is missing. ``validation`` (true, false and missed figures
    of this model at this threshold) gives the interval. The score is that of
    ``field_diameter_mm``; by default of ten fields with the window's area, where the table has
    them. Raises DetectionsError where the resolution is not known.
    """
    made = detections.provenance
    if not made.mpp > 0:
        raise DetectionsError.of(
            made.image, "nothing can be counted per area: its um/px is unknown", way_out="--mpp"
        )
    shape = shape or WindowShape()
    figures = _reviewed(detections, decisions or (), made.image)
    size = (float(made.width_px), float(made.height_px))
    known = size if min(size) > 0 else None
    hotspots = find_hotspots(
        figures.points,
        shape,
        made.mpp,
        size_px=known,
        tissue=tissue,
        least_tissue=least_tissue,
        top=top,
    )
    hotspots = hotspots or _nowhere(shape, made.mpp, known, tissue)
    seen_all = _seen(figures, None, complete=False)
    return MitoticCount(
        made.image,
        made.mpp,
        made.threshold,
        made.model,
        shape,
        tissue.area_mm2 if tissue is not None else _looked_at(detections),
        tissue is not None,
        seen_all.count,
        estimate(seen_all, validation, seed=seed),
        tuple(
            _counted(hotspot, figures, validation, complete, field_diameter_mm, seed)
            for hotspot in hotspots
        ),
        tuple(_notes(detections, hotspots, validation, field_diameter_mm, shape)),
    )


def _reviewed(detections: Detections, decisions: Sequence[Decision], image: str) -> Reviewed:
    points = detections.above_threshold().with_label(Label.MITOTIC).points
    mine = [decision for decision in decisions if decision.concerns(image)]
    if not mine:
        nobody = np.zeros(len(points), bool)
        return Reviewed(points, nobody, nobody)
    # A person may confirm a figure that the threshold leaves out: it counts as added.
    return apply_review(points, mine, detections.provenance.mpp)


def _seen(figures: Reviewed, window: Window | None, *, complete: bool) -> Seen:
    inside = (
        np.ones(len(figures.points), bool) if window is None else window.contains(figures.points)
    )
    certain, added = figures.certain[inside], figures.added[inside]
    return Seen(int((~certain).sum()), int((certain & ~added).sum()), int(added.sum()), complete)


def _counted(
    hotspot: Hotspot,
    figures: Reviewed,
    validation: Validation | None,
    complete: bool,
    field_diameter_mm: float | None,
    seed: int,
) -> CountedHotspot:
    seen = _seen(figures, hotspot.window, complete=complete)
    found = estimate(seen, validation, seed=seed)
    return CountedHotspot(hotspot, seen, found, _score(hotspot, seen, found, field_diameter_mm))


def _score(
    hotspot: Hotspot, seen: Seen, found: Estimate | None, field_diameter_mm: float | None
) -> MitoticScore | None:
    """Return the score of the count, in proportion where the area is not ten fields'."""
    diameter = field_diameter_mm or diameter_of(hotspot.area_mm2)
    if field_diameter_mm is None and round(diameter * 100) not in TABLE:
        return None
    part = fields_area_mm2(diameter) / hotspot.area_mm2
    interval = (found.low * part, found.high * part) if found else None
    return mitotic_score(seen.count * part, diameter, interval)


def _nowhere(
    shape: WindowShape,
    mpp: float,
    size_px: tuple[float, float] | None,
    tissue: Tissue | None,
) -> list[Hotspot]:
    """Return the window of a slide without figures: anywhere, so the middle, with a count of 0."""
    width, height = shape.sizes_px(mpp)[0]
    x, y = (side / 2 for side in (size_px or (width, height)))
    window = Window(shape.kind, x, y, width, height)
    area = window.area_mm2(mpp)
    if size_px is not None:
        area = min(area, area_mm2(min(width, size_px[0]), min(height, size_px[1]), mpp))
    return [Hotspot(window, 0, area, area)]


def _looked_at(detections: Detections) -> float:
    made = detections.provenance
    region = made.parameters.get("region")
    if isinstance(region, list | tuple) and len(region) == 4:
        return area_mm2(float(region[2]), float(region[3]), made.mpp)
    return area_mm2(made.width_px, made.height_px, made.mpp)


def _notes(
    detections: Detections,
    hotspots: Sequence[Hotspot],
    validation: Validation | None,
    field_diameter_mm: float | None,
    shape: WindowShape,
) -> list[str]:
    notes = []
    if any(hotspot.mostly_glass for hotspot in hotspots):
        notes.append("No window has enough tissue; the fullest of all was taken.")
    if hotspots[0].area_mm2 < 0.99 * shape.area_mm2:
        notes.append(
            f"The image holds {hotspots[0].area_mm2:.3g} of the window's {shape.area_mm2:g} mm2."
        )
    if validation is None:
        notes.append("No interval: precision and recall of the detector were not given.")
    if field_diameter_mm is None and round(diameter_of(shape.area_mm2) * 100) not in TABLE:
        notes.append("No mitotic score: it needs a field diameter from 0.40 to 0.69 mm.")
    if detections.provenance.parameters.get("region"):
        notes.append("Only a part of the slide was looked at.")
    return notes


def _plain(value: Any) -> Any:
    return None if value is None else asdict(value)


def _hotspot_dict(counted: CountedHotspot) -> dict[str, Any]:
    hotspot, found, score = counted.hotspot, counted.estimate, counted.score
    return {
        "count": counted.count,
        "per_mm2": hotspot.per_mm2,
        "area_mm2": hotspot.area_mm2,
        "tissue_mm2": hotspot.tissue_mm2,
        "mostly_glass": hotspot.mostly_glass,
        "window": asdict(hotspot.window),
        "made_of": asdict(counted.seen),
        "estimate": _plain(found),
        "estimate_per_mm2": None
        if found is None or hotspot.tissue_mm2 <= 0
        else [value / hotspot.tissue_mm2 for value in (found.low, found.expected, found.high)],
        "mitotic_score": None if score is None else {**asdict(score), "could_tip": score.could_tip},
    }
