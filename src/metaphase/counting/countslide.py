"""The mitotic count from detections in memory or on disk, with options as plain values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from metaphase.counting.analysedregion import AnalysedRegion, analysed_region, pixels_in
from metaphase.counting.count import MitoticCount, count_slide
from metaphase.counting.hotspot import LEAST_TISSUE
from metaphase.counting.interval import Validation
from metaphase.counting.review import ReviewDecision, load_review
from metaphase.counting.validation import read_validation, validation_of
from metaphase.counting.window import WindowShape, window_area_mm2
from metaphase.detectionfile import load_detections
from metaphase.figures import Detections


def count(
    detections: Detections | str | Path,
    *,
    shape: str = "square",
    area_mm2: float | None = None,
    either_way: bool = False,
    field_diameter_mm: float | None = None,
    top: int = 1,
    min_tissue: float = LEAST_TISSUE,
    threshold: float | None = None,
    validation: Validation | tuple[int, int, int] | str | Path | None = None,
    review: Sequence[ReviewDecision] | str | Path | None = None,
    complete: bool = False,
    analysed: AnalysedRegion | None = None,
    images: str | Path | None = None,
    seed: int = 0,
) -> MitoticCount:
    """Count the mitotic figures of one slide in its most active window.

    ``detections`` are Detections, or the folder of one image that ``detect_images`` or ``metaphase
    detect`` wrote; tissue and region of interest are then read from it. ``shape`` is ``square``,
    ``circle`` or an aspect such as ``4:3``, ``area_mm2`` the window's area: 2 by default, or that
    of ten fields of ``field_diameter_mm``. ``top`` is the number of hotspots that do not overlap.
    ``threshold`` replaces the one of the detections. ``validation`` gives the interval: TP, FP and
    FN, a JSON file of ``metaphase evaluate``, or a model file; by default what the model's card
    says. ``review`` is a CSV of decisions, or the decisions; ``complete`` states that the windows
    were reviewed in full. ``images`` is the folder of the images, where tissue is searched for if
    it is not beside the detections. Raises InputError.
    """
    folder = None if isinstance(detections, Detections) else Path(detections)
    if not isinstance(detections, Detections):
        detections = load_detections(detections)
    provenance = detections.provenance
    analysed = analysed or analysed_region(provenance, folder, pixels_in(images, provenance))
    if threshold is not None:
        detections = detections.with_provenance(threshold=threshold)
    area = window_area_mm2(area_mm2, field_diameter_mm)
    return count_slide(
        detections,
        WindowShape.parse(shape, area, either_way=either_way),
        analysed=analysed,
        least_tissue=min_tissue,
        top=top,
        validation=_validation(validation, detections),
        decisions=load_review(review) if isinstance(review, str | Path) else review,
        complete=complete,
        field_diameter_mm=field_diameter_mm,
        seed=seed,
    )


def _validation(
    source: Validation | tuple[int, int, int] | str | Path | None, detections: Detections
) -> Validation | None:
    """Return the numbers of true, false and missed figures at the detections' threshold."""
    if isinstance(source, Validation):
        return source
    if isinstance(source, tuple):
        return Validation(*source)
    validated = read_validation(str(source)) if source else validation_of(detections.provenance)
    return validated.at(detections.provenance.threshold) if validated else None
