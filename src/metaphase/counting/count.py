"""The mitotic count of a slide: hotspots, the count with its interval, densities and the score."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from metaphase.counting.analysedregion import AnalysedRegion, analysed_box_px, analysed_mm2
from metaphase.counting.hotspot import (
    LEAST_TISSUE,
    WITHIN_ROI,
    Hotspot,
    find_hotspots,
    inside_mm2,
)
from metaphase.counting.interval import CountComposition, Estimate, Validation, estimate
from metaphase.counting.nottingham import TABLE, MitoticScore, diameter_of, mitotic_score
from metaphase.counting.review import ReviewDecision, ReviewedFigures, apply_review
from metaphase.counting.window import (
    Box,
    Window,
    WindowShape,
    fields_area_mm2,
    tissue_fraction,
)
from metaphase.errors import DetectionsError
from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance


@dataclass(frozen=True, slots=True)
class CountedHotspot:
    """A hotspot with what its count is made of, its interval and its score (None: not known)."""

    hotspot: Hotspot
    seen: CountComposition
    estimate: Estimate | None
    score: MitoticScore | None

    @property
    def count(self) -> int:
        """The figures in the window as they stand: people's where they judged, else detections."""
        return self.seen.count


@dataclass(frozen=True, slots=True)
class MitoticCount:
    """The count of one slide.

    ``area_mm2`` is the tissue that was looked at, or without a mask the part of the image.
    ``total`` counts the whole of it. ``validation`` is what the intervals are from.
    """

    image: str
    mpp: float
    threshold: float
    model: str
    shape: WindowShape
    area_mm2: float
    area_is: Literal["tissue", "region", "image"]
    total: int
    total_estimate: Estimate | None
    hotspots: tuple[CountedHotspot, ...]
    notes: tuple[str, ...] = ()
    validation: Validation | None = None

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
                "area_is": self.area_is,
                "per_mm2": self.per_mm2,
                "estimate": _plain(self.total_estimate),
            },
            "interval_from": _plain(self.validation),
            "hotspots": [_hotspot_dict(hotspot) for hotspot in self.hotspots],
            "notes": list(self.notes),
        }


def count_slide(
    detections: Detections,
    shape: WindowShape | None = None,
    *,
    analysed: AnalysedRegion | None = None,
    least_tissue: float = LEAST_TISSUE,
    top: int = 1,
    validation: Validation | None = None,
    decisions: Sequence[ReviewDecision] | None = None,
    complete: bool = False,
    field_diameter_mm: float | None = None,
    seed: int = 0,
) -> MitoticCount:
    """Count the mitotic figures of one slide at and above the threshold of its detections.

    ``analysed`` is its tissue and the region of interest that detection was limited to.
    ``decisions`` are people's and replace the machine's, ``complete`` tells that the windows were
    looked at in full, so that nothing is missing. ``validation`` (true, false and missed figures
    of this model at this threshold) gives the interval. The score is that of
    ``field_diameter_mm``; by default of ten fields with the window's area, where the table has
    them. Raises DetectionsError where the resolution is not known.
    """
    made = detections.provenance
    return count_figures(
        _reviewed(detections, decisions or (), made.image),
        made,
        shape,
        analysed=analysed,
        least_tissue=least_tissue,
        top=top,
        validation=validation,
        complete=complete,
        field_diameter_mm=field_diameter_mm,
        seed=seed,
    )


def count_figures(
    figures: ReviewedFigures,
    made: Provenance,
    shape: WindowShape | None = None,
    *,
    analysed: AnalysedRegion | None = None,
    least_tissue: float = LEAST_TISSUE,
    top: int = 1,
    validation: Validation | None = None,
    complete: bool = False,
    field_diameter_mm: float | None = None,
    seed: int = 0,
) -> MitoticCount:
    """Count as ``count_slide`` does, but figures that a review has already been applied to.

    ``made`` tells image, size, resolution, threshold and region.
    """
    if not made.mpp > 0:
        raise DetectionsError.of(
            made.image, "nothing can be counted per area: its um/px is unknown", way_out="--mpp"
        )
    shape, analysed = shape or WindowShape(), analysed or AnalysedRegion()
    within = analysed_box_px(made)
    hotspots = find_hotspots(
        figures.points,
        shape,
        made.mpp,
        within_px=within,
        tissue=analysed.both,
        least_tissue=least_tissue,
        roi=analysed.roi,
        top=top,
    )
    hotspots = hotspots or [_nowhere(shape, made.mpp, within)]
    seen_all = _seen(figures, None, complete=False)
    return MitoticCount(
        made.image,
        made.mpp,
        made.threshold,
        made.model,
        shape,
        analysed_mm2(analysed, within, made.mpp),
        "tissue" if analysed.tissue else "region" if _is_part(made) else "image",
        seen_all.count,
        estimate(seen_all, validation, seed=seed),
        tuple(
            _counted(hotspot, figures, validation, complete, field_diameter_mm, seed)
            for hotspot in hotspots
        ),
        tuple(_notes(made, hotspots, validation, field_diameter_mm, shape, analysed)),
        validation,
    )


def _reviewed(
    detections: Detections, decisions: Sequence[ReviewDecision], image: str
) -> ReviewedFigures:
    points = detections.above_threshold().with_label(Label.MITOTIC).points
    mine = [decision for decision in decisions if decision.concerns(image)]
    if not mine:
        nobody = np.zeros(len(points), bool)
        return ReviewedFigures(points, nobody, nobody)
    # A person may confirm a figure that the threshold leaves out: it counts as added.
    return apply_review(points, mine, detections.provenance.mpp)


def _seen(figures: ReviewedFigures, window: Window | None, *, complete: bool) -> CountComposition:
    inside = (
        np.ones(len(figures.points), bool) if window is None else window.contains(figures.points)
    )
    certain, added = figures.certain[inside], figures.added[inside]
    return CountComposition(
        int((~certain).sum()), int((certain & ~added).sum()), int(added.sum()), complete
    )


def _counted(
    hotspot: Hotspot,
    figures: ReviewedFigures,
    validation: Validation | None,
    complete: bool,
    field_diameter_mm: float | None,
    seed: int,
) -> CountedHotspot:
    seen = _seen(figures, hotspot.window, complete=complete)
    found = estimate(seen, validation, seed=seed)
    return CountedHotspot(hotspot, seen, found, _score(hotspot, seen, found, field_diameter_mm))


def _score(
    hotspot: Hotspot,
    seen: CountComposition,
    found: Estimate | None,
    field_diameter_mm: float | None,
) -> MitoticScore | None:
    """Return the score of the count, in proportion where the area is not ten fields'."""
    diameter = field_diameter_mm or diameter_of(hotspot.area_mm2)
    if field_diameter_mm is None and round(diameter * 100) not in TABLE:
        return None
    part = fields_area_mm2(diameter) / hotspot.area_mm2
    interval = (found.low * part, found.high * part) if found else None
    return mitotic_score(seen.count * part, diameter, interval)


def _nowhere(shape: WindowShape, mpp: float, within_px: Box | None) -> Hotspot:
    """Return the window of a slide without figures: anywhere, so the middle, with a count of 0."""
    width, height = shape.sizes_px(mpp)[0]
    x1, y1, x2, y2 = within_px or (0.0, 0.0, width, height)
    window = Window(shape.kind, (x1 + x2) / 2, (y1 + y2) / 2, width, height)
    area = inside_mm2(window, (x1, y1, x2, y2), mpp)
    return Hotspot(window, 0, area, area)


def _is_part(made: Provenance) -> bool:
    """Tell whether only a part of the slide was looked at."""
    return bool(made.parameters.region or made.parameters.roi_sha256)


def _notes(
    made: Provenance,
    hotspots: Sequence[Hotspot],
    validation: Validation | None,
    field_diameter_mm: float | None,
    shape: WindowShape,
    analysed: AnalysedRegion,
) -> list[str]:
    notes = []
    if any(hotspot.mostly_glass for hotspot in hotspots):
        notes.append("No window has enough tissue; the fullest of all was taken.")
    if hotspots[0].area_mm2 < 0.99 * shape.area_mm2:
        what = "region that was looked at" if made.parameters.region else "image"
        notes.append(
            f"The {what} holds {hotspots[0].area_mm2:.3g} of the window's {shape.area_mm2:g} mm2."
        )
    if validation is None:
        notes.append("No interval: precision and recall at this threshold are not known.")
    if field_diameter_mm is None and round(diameter_of(shape.area_mm2) * 100) not in TABLE:
        notes.append("No mitotic score: it needs a field diameter from 0.40 to 0.69 mm.")
    if _is_part(made):
        notes.append("Only a part of the slide was looked at.")
    window = hotspots[0].window
    if analysed.roi and tissue_fraction(analysed.roi, window, [window.centre])[0] < WITHIN_ROI:
        notes.append("No window fits into the region of interest, so this one reaches out of it.")
    if made.parameters.roi_sha256 and analysed.roi is None:
        notes.append("Its region of interest is not there, so the window may reach out of it.")
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
