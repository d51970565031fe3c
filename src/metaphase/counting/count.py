"""The mitotic count of a slide: hotspots, their counts with intervals, densities and scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from metaphase.counting.analysedregion import AnalysedRegion, analysed_box_px, analysed_mm2
from metaphase.counting.atypical import AtypicalCount, count_atypical
from metaphase.counting.countnotes import count_notes
from metaphase.counting.hotspot import LEAST_TISSUE, Hotspot, find_hotspots, inside_mm2
from metaphase.counting.interval import CountComposition, Estimate, Validation, estimate
from metaphase.counting.nottingham import TABLE, MitoticScore, diameter_of, mitotic_score
from metaphase.counting.review import ReviewDecision, ReviewedFigures, apply_review
from metaphase.counting.window import Box, Window, WindowShape, fields_area_mm2
from metaphase.errors import DetectionsError
from metaphase.figures import Detections, Label
from metaphase.provenance import AtypicalParameters, DomainShift, Provenance

SCORE_SHIFT_LIMIT = 3.0
"""A domain shift (``DomainShift.ratio``) above which a count gets no mitotic score: such an image
has little in common with the training images of the model (ink on skin, another stain, another
organ). Counts between 1 and this limit carry the warning of their detections."""


@dataclass(frozen=True, slots=True)
class CountedHotspot:
    """A hotspot with the composition of its count, its interval and its score.

    ``estimate`` is None if precision and recall are unknown. ``score`` is None if there is no table
    for the area, or if it was withheld (see ``MitoticCount.score_withheld``). ``atypical`` is None
    if no figure has a probability of being atypical.
    """

    hotspot: Hotspot
    composition: CountComposition
    estimate: Estimate | None
    score: MitoticScore | None
    atypical: AtypicalCount | None = None

    @property
    def count(self) -> int:
        """The figures in the window, after review where there was one."""
        return self.composition.count

    def __str__(self) -> str:
        figures = f"{self.count} figure{'' if self.count == 1 else 's'}"
        return figures if self.atypical is None else f"{figures}, {self.atypical}"


@dataclass(frozen=True, slots=True)
class MitoticCount:
    """The count of one slide.

    ``area_mm2`` is the analysed tissue, or without a mask the analysed part of the image; ``total``
    counts all of it. ``validation`` is the basis of the intervals. ``warnings`` are those of the
    detections; ``domain_shift`` is how far the image is from the training images of the model
    (None: unknown). ``score_withheld`` says that it is too far for a mitotic score.
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
    warnings: tuple[str, ...] = ()
    domain_shift: DomainShift | None = None
    score_withheld: bool = False
    total_atypical: AtypicalCount | None = None

    @property
    def per_mm2(self) -> float:
        """Figures per mm2 of the analysed area."""
        return self.total / self.area_mm2 if self.area_mm2 > 0 else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; unknown values are null."""
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
                "atypical": _plain(self.total_atypical),
            },
            "interval_from": _plain(self.validation),
            "hotspots": [_hotspot_dict(hotspot) for hotspot in self.hotspots],
            "domain_shift": None if self.domain_shift is None else self.domain_shift.to_json(),
            "score_withheld": self.score_withheld,
            "warnings": list(self.warnings),
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
    """Count the mitotic figures of one slide with scores at or above the detections' threshold.

    ``analysed`` is its tissue and the region of interest of the detection. ``decisions`` of readers
    replace those of the detector; ``complete`` states that readers searched the windows in full, so
    that no figure is missing. ``validation`` (true positives, false positives and missed figures
    of this model at this threshold) gives the interval. The score is for ``field_diameter_mm``; by
    default for ten fields with the area of the window, if the table has them. Raises
    DetectionsError if the resolution is unknown.
    """
    provenance = detections.provenance
    return count_figures(
        _reviewed(detections, decisions or (), provenance.image),
        provenance,
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
    provenance: Provenance,
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
    """Count figures to which the review was applied already; otherwise as ``count_slide``."""
    if not provenance.mpp > 0:
        raise DetectionsError.of(
            provenance.image,
            "nothing can be counted per area: its um/px is unknown",
            way_out="give it with --mpp",
        )
    shape, analysed = shape or WindowShape(), analysed or AnalysedRegion()
    within = analysed_box_px(provenance)
    hotspots = find_hotspots(
        figures.points,
        shape,
        provenance.mpp,
        within_px=within,
        tissue=analysed.both,
        least_tissue=least_tissue,
        roi=analysed.roi,
        top=top,
    ) or [_empty_hotspot(shape, provenance.mpp, within)]
    everything = _composition(figures, None, complete=False)
    atypical = partial(_atypical, figures, provenance.parameters.atypical)
    shift = provenance.parameters.domain_shift
    counted, withheld = [], False
    for hotspot in hotspots:
        composition = _composition(figures, hotspot.window, complete=complete)
        interval = estimate(composition, validation, seed=seed)
        score = _score(hotspot, composition, interval, field_diameter_mm)
        if score is not None and _exceeds_limit(shift, composition):
            score, withheld = None, True
        counted.append(
            CountedHotspot(hotspot, composition, interval, score, atypical(hotspot.window))
        )
    return MitoticCount(
        provenance.image,
        provenance.mpp,
        provenance.threshold,
        provenance.model,
        shape,
        analysed_mm2(analysed, within, provenance.mpp),
        _basis(analysed, provenance),
        everything.count,
        estimate(everything, validation, seed=seed),
        tuple(counted),
        count_notes(
            provenance,
            hotspots,
            shape=shape,
            analysed=analysed,
            has_interval=validation is not None,
            field_diameter_mm=field_diameter_mm,
            withheld_above=SCORE_SHIFT_LIMIT if withheld else None,
        ),
        validation,
        provenance.warnings,
        shift,
        withheld,
        atypical(None),
    )


def _basis(
    analysed: AnalysedRegion, provenance: Provenance
) -> Literal["tissue", "region", "image"]:
    if analysed.tissue:
        return "tissue"
    parameters = provenance.parameters
    return "region" if parameters.region or parameters.roi_sha256 else "image"


def _exceeds_limit(shift: DomainShift | None, composition: CountComposition) -> bool:
    """Return whether the detector cannot be trusted with a score; readers' counts can."""
    by_readers = composition.complete and composition.unseen == 0
    return shift is not None and shift.ratio > SCORE_SHIFT_LIMIT and not by_readers


def _reviewed(
    detections: Detections, decisions: Sequence[ReviewDecision], image: str
) -> ReviewedFigures:
    figures = detections.above_threshold().with_label(Label.MITOTIC)
    points, atypical = figures.points, figures.atypical
    own = [decision for decision in decisions if decision.concerns(image)]
    if not own:
        unreviewed = np.zeros(len(points), bool)
        return ReviewedFigures(points, unreviewed, unreviewed, atypical)
    # A reader may confirm a figure below the threshold: it counts as added.
    return apply_review(points, own, detections.provenance.mpp, atypical=atypical)


def _composition(
    figures: ReviewedFigures, window: Window | None, *, complete: bool
) -> CountComposition:
    inside = (
        np.ones(len(figures.points), bool) if window is None else window.contains(figures.points)
    )
    certain, added = figures.certain[inside], figures.added[inside]
    sums = int((~certain).sum()), int((certain & ~added).sum()), int(added.sum())
    return CountComposition(*sums, complete)


def _atypical(
    figures: ReviewedFigures, parameters: AtypicalParameters | None, window: Window | None
) -> AtypicalCount | None:
    """Return the atypical ones of the figures in a window, or of all."""
    if figures.atypical is None:
        return None
    inside = slice(None) if window is None else window.contains(figures.points)
    return count_atypical(figures.atypical[inside], parameters)


def _score(
    hotspot: Hotspot,
    composition: CountComposition,
    interval: Estimate | None,
    field_diameter_mm: float | None,
) -> MitoticScore | None:
    """Return the score of the count, scaled in proportion if the area is not that of ten fields."""
    diameter = diameter_of(hotspot.area_mm2) if field_diameter_mm is None else field_diameter_mm
    if hotspot.area_mm2 <= 0 or (field_diameter_mm is None and round(diameter * 100) not in TABLE):
        return None
    factor = fields_area_mm2(diameter) / hotspot.area_mm2
    limits = (interval.low * factor, interval.high * factor) if interval else None
    return mitotic_score(composition.count * factor, diameter, limits, scaled_by=factor)


def _empty_hotspot(shape: WindowShape, mpp: float, within_px: Box | None) -> Hotspot:
    """Return a window with a count of 0 in the middle, for a slide without figures."""
    width, height = shape.sizes_px(mpp)[0]
    x1, y1, x2, y2 = within_px or (0.0, 0.0, width, height)
    window = Window(shape.kind, (x1 + x2) / 2, (y1 + y2) / 2, width, height)
    area = inside_mm2(window, (x1, y1, x2, y2), mpp)
    return Hotspot(window, 0, area, area)


def _plain(value: Any) -> Any:
    return None if value is None else asdict(value)


def _hotspot_dict(counted: CountedHotspot) -> dict[str, Any]:
    hotspot, interval, score = counted.hotspot, counted.estimate, counted.score
    return {
        "count": counted.count,
        "per_mm2": hotspot.per_mm2,
        "area_mm2": hotspot.area_mm2,
        "tissue_mm2": hotspot.tissue_mm2,
        "mostly_glass": hotspot.mostly_glass,
        "window": asdict(hotspot.window),
        "made_of": asdict(counted.composition),
        "estimate": _plain(interval),
        "atypical": _plain(counted.atypical),
        "estimate_per_mm2": None
        if interval is None or hotspot.tissue_mm2 <= 0
        else [v / hotspot.tissue_mm2 for v in (interval.low, interval.expected, interval.high)],
        "mitotic_score": None if score is None else {**asdict(score), "could_tip": score.could_tip},
    }
