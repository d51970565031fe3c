"""Detections given to ``metaphase evaluate``: our own as they are, other tools' by case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metaphase.figures import Detections
    from metaphase.labels.dataset import Dataset

    Found = Path | Mapping[str, Detections]


@dataclass(frozen=True)
class OtherTools:
    """What the user tells of files of other tools; ``labels`` are the file that is scored on."""

    labels: Path
    kind: str | None = None
    mpp: float | None = None
    truth: Path | None = None
    empty: bool = False

    def found(self, path: Path, dataset: Dataset) -> Found:
        """Return the folder of detections that metaphase wrote, anybody else's by case."""
        from metaphase.exchange.bycase import detections_by_case, is_own, needs_truth

        if self.kind in (None, "metaphase") and is_own(path):
            return path
        truth = self.truth
        if truth is None and needs_truth(path):
            truth = self.labels
        return detections_by_case(
            path, dataset, kind=self.kind, mpp=self.mpp, truth=truth, empty=self.empty
        )


def notes_on(found: Found, threshold: float | None) -> tuple[str, ...]:
    """Say what files of other tools do not tell."""
    if isinstance(found, Path):
        return ()
    made = [detections.provenance for detections in found.values()]
    files = sorted({str(one.parameters.read_from) for one in made})
    kinds = sorted({str(kind) for one in made if (kind := one.parameters.format)})
    shown = f"{', '.join(files[:3])}{', ...' if len(files) > 3 else ''}"
    notes = [f"Re-scored from {shown} ({', '.join(kinds)})."]
    if threshold is None and not any(one.threshold for one in made):
        notes.append("No threshold is told: all detections of the file count.")
    if absent := sum(one.parameters.not_named is not None for one in made):
        notes.append(f"{absent} cases are not named by the file: taken as without detections.")
    return tuple(notes)
