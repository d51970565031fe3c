"""Notes on a count: sentences about everything that limits what it says."""

from __future__ import annotations

from collections.abc import Sequence

from metaphase.counting.analysedregion import AnalysedRegion, lacks_tissue
from metaphase.counting.hotspot import WITHIN_ROI, Hotspot
from metaphase.counting.nottingham import TABLE, diameter_of
from metaphase.counting.window import WindowShape, fields_area_mm2, tissue_fraction
from metaphase.provenance import Provenance

_NO_INTERVAL = "No interval: precision and recall at this threshold are not known."
_EQUAL_AREAS = 0.99  # areas whose ratio is nearer to 1 are taken as equal


def count_notes(
    provenance: Provenance,
    hotspots: Sequence[Hotspot],
    *,
    shape: WindowShape,
    analysed: AnalysedRegion,
    has_interval: bool,
    field_diameter_mm: float | None,
    withheld_above: float | None,
) -> tuple[str, ...]:
    """Return the notes on the count in some hotspots (at least one).

    ``withheld_above`` is the limit of the domain shift above which scores were withheld; None if
    they were not.
    """
    return (
        *_area_notes(provenance, hotspots, shape, analysed),
        *_score_notes(provenance, hotspots[0], shape, field_diameter_mm, withheld_above),
        *(
            []
            if has_interval
            else ["No interval: precision and recall at this threshold are not known."]
        ),
        *_part_notes(provenance, hotspots[0], analysed),
    )


def _area_notes(
    provenance: Provenance,
    hotspots: Sequence[Hotspot],
    shape: WindowShape,
    analysed: AnalysedRegion,
) -> list[str]:
    notes = []
    if any(hotspot.mostly_glass for hotspot in hotspots):
        notes.append("No window has enough tissue; the window with the most figures was taken.")
    if hotspots[0].area_mm2 < _EQUAL_AREAS * shape.area_mm2:
        what = "analysed region" if provenance.parameters.region else "image"
        notes.append(
            f"The {what} holds {hotspots[0].area_mm2:.3g} of the window's {shape.area_mm2:g} mm2."
        )
    if lacks_tissue(analysed, provenance):
        notes.append(
            "The tissue is unknown, so densities are per mm2 of image. Name the folder of the "
            "images with --images for densities per mm2 of tissue."
        )
    return notes


def _score_notes(
    provenance: Provenance,
    hotspot: Hotspot,
    shape: WindowShape,
    field_diameter_mm: float | None,
    withheld_above: float | None,
) -> list[str]:
    shift = provenance.parameters.domain_shift
    if withheld_above is not None and shift is not None:
        return [
            "No mitotic score: the image differs too much from the training images of the model "
            f"(domain shift {shift.ratio:.1f}, limit {withheld_above:g})."
        ]
    if field_diameter_mm is None:
        if round(diameter_of(shape.area_mm2) * 100) in TABLE:
            return []
        return ["No mitotic score: it needs a field diameter from 0.40 to 0.69 mm."]
    fields = fields_area_mm2(field_diameter_mm)
    factor = fields / hotspot.area_mm2 if hotspot.area_mm2 > 0 else 1.0
    if _EQUAL_AREAS <= factor <= 1 / _EQUAL_AREAS:
        return []
    return [
        f"The mitotic score is for the count times {factor:.3g}: ten fields of "
        f"{field_diameter_mm:g} mm have {fields:.3g} mm2, the window {hotspot.area_mm2:.3g} mm2."
    ]


def _part_notes(provenance: Provenance, hotspot: Hotspot, analysed: AnalysedRegion) -> list[str]:
    notes, parameters = [], provenance.parameters
    if parameters.region or parameters.roi_sha256:
        notes.append("Only a part of the slide was analysed.")
    window = hotspot.window
    if analysed.roi and tissue_fraction(analysed.roi, window, [window.centre])[0] < WITHIN_ROI:
        notes.append("No window fits into the region of interest; this one reaches outside.")
    if parameters.roi_sha256 and analysed.roi is None:
        notes.append("The file of the region of interest is missing; the window may reach outside.")
    return notes
