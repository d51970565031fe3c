"""Detections to be scored: folders of ``metaphase detect``, or files of other tools by case."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from metaphase.detection.merge import merge
from metaphase.errors import InputError
from metaphase.exchange.bycase import detections_by_case, is_own, needs_truth
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.provenance import Parameters
from metaphase.units import um_to_px

_SHOWN = 3  # file names in a note


@dataclass(frozen=True, slots=True)
class ForeignDetections:
    """What the user says about files of other tools.

    ``labels`` is the file of the labels; it is also the ``truth`` whose image ids bare COCO results
    use, unless another is given. ``kind`` is the format, recognised by default. ``mpp`` is used
    where neither file nor labels nor images give the resolution. With ``absent_is_empty``, a case
    that the file does not name has no detections. ``merge_radius_um`` merges detections within
    this distance into the one with the highest score, for tools without suppression. Raises
    InputError for a radius that is not positive.
    """

    labels: Path
    kind: str | None = None
    mpp: float | None = None
    truth: Path | None = None
    absent_is_empty: bool = False
    merge_radius_um: float | None = None

    def __post_init__(self) -> None:
        radius = self.merge_radius_um
        if radius is not None and not 0 < radius < math.inf:
            raise InputError.of("detections", f"the merge radius must be positive, not {radius}")

    def load(self, path: Path, dataset: Dataset) -> Path | Mapping[str, Detections]:
        """Return a folder of metaphase's own detections unread, all others by case id.

        Raises DetectionsError.
        """
        if self.kind in (None, "metaphase") and self.merge_radius_um is None and is_own(path):
            return path
        truth = self.truth
        if truth is None and needs_truth(path):
            truth = self.labels
        detections = detections_by_case(
            path, dataset, kind=self.kind, mpp=self.mpp, truth=truth, empty=self.absent_is_empty
        )
        if self.merge_radius_um is None:
            return detections
        return {id_: merged(one, self.merge_radius_um) for id_, one in detections.items()}


def merged(detections: Detections, radius_um: float) -> Detections:
    """Return the detections that remain after merging those within a radius (``detection.merge``).

    The provenance records the radius and how many detections were dropped.
    """
    provenance = detections.provenance
    radius_px = um_to_px(radius_um, provenance.mpp)
    kept = merge(detections.x_px, detections.y_px, detections.score, detections.label, radius_px)
    parameters = provenance.parameters.updated(
        merge_radius_um=radius_um, merged=len(detections) - len(kept)
    )
    return Detections(
        detections.x_px[kept],
        detections.y_px[kept],
        detections.score[kept],
        detections.label[kept],
        provenance=replace(provenance, parameters=parameters),
        atypical=detections.atypical_or_nan[kept],
    )


def notes_on(
    detections: Path | Mapping[str, Detections], threshold: float | None
) -> tuple[str, ...]:
    """Return sentences about what files of other tools leave open; none for metaphase's own."""
    if isinstance(detections, Path):
        return ()
    provenances = [one.provenance for one in detections.values()]
    parameters = [one.parameters for one in provenances]
    notes = _source_notes(parameters)
    if threshold is None and not any(one.threshold for one in provenances):
        notes.append("The file has no threshold: all of its detections count.")
    if absent := sum(one.not_named is not None for one in parameters):
        notes.append(f"{absent} cases are not named by the file: taken as without detections.")
    if dropped := sum(one.merged or 0 for one in parameters):
        radius = parameters[0].merge_radius_um
        notes.append(
            f"{dropped} detections within {radius:g} um of one with a higher score were merged "
            "into it before scoring."
        )
    return tuple(notes)


def _source_notes(parameters: list[Parameters]) -> list[str]:
    files = sorted({one.read_from for one in parameters if one.read_from})
    kinds = sorted({one.format for one in parameters if one.format})
    if not files:
        return []
    shown = ", ".join(files[:_SHOWN]) + (", ..." if len(files) > _SHOWN else "")
    return [f"Detections were read from {shown} ({', '.join(kinds)})."]
