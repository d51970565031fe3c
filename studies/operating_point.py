"""The operating point of the proposals: what the second stage is given, and what is lost.

    python -m studies.operating_point RUN
    python -m studies.operating_point MODEL --fields annotations.json --only 'S05_*'

For each lowest score of a proposal: the windows per mm2 that the second stage scores, the recall of
the proposals, the share of the figures that both stages find at the lowest score and that are
still found ("kept"), and average precision and F1 of the result. Every candidate is scored once;
the rows differ in which of them count. ``second_stage.min_score`` in the recipe or the card should
be the largest with a kept share of 0.985 or more.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from metaphase.detection.detect import merge_candidates, provenance_of
from metaphase.detection.pipeline import candidate_classifier, find_candidates
from metaphase.detection.plan import Settings, make_plan
from metaphase.detection.secondstage import rescore
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Detections, Label
from metaphase.labels.dataset import Dataset
from metaphase.slides.open import open_case
from metaphase.units import area_mm2
from studies.common import Subject, arguments, finish, print_table, subjects

SCORES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)


@dataclass(frozen=True)
class Field:
    """A field's detections with final scores, the scores [n] of their proposals, and its area."""

    detections: Detections
    first: np.ndarray[Any, Any]
    area_mm2: float

    def above(self, min_score: float) -> Detections:
        """Return the detections whose proposal has at least a score."""
        return self.detections.where(self.first >= min_score)


def measured(subject: Subject, lowest: float) -> dict[str, Field]:
    """Return the fields of a subject with all proposals from ``lowest`` on."""
    stage = subject.model.card.second_stage
    if stage is None:
        raise SystemExit(f"{subject.name} has no second stage")
    card = subject.model.card.model_copy(
        update={"second_stage": stage.model_copy(update={"min_score": lowest})}
    )
    model = replace(subject.model, card=card)
    runtime = subject.runtime()
    settings = Settings(threshold=subject.threshold, min_score=lowest, tissue=False)
    fields = {}
    for case in subject.fields:
        with open_case(case) as slide:
            plan = make_plan(slide, model, settings)
            candidates = find_candidates(slide, model, plan, runtime, sample=())
            merged = merge_candidates(
                candidates, plan, provenance_of(slide, model, plan, "", runtime)
            )
            merged = merged.with_label(Label.MITOTIC)
            classifier = candidate_classifier(slide, plan, model, runtime)
            assert classifier is not None
            final = rescore(merged, classifier, candidates.rescored)
            area = area_mm2(slide.width_px, slide.height_px, slide.mpp)
            fields[case.id] = Field(final, first_scores(merged, final), area)
    return fields


def first_scores(merged: Detections, final: Detections) -> np.ndarray[Any, Any]:
    """Return the scores [n] that the proposals of the final detections have."""
    by_place = dict(zip(map(tuple, merged.points.tolist()), merged.score.tolist(), strict=True))
    return np.array([by_place[tuple(point)] for point in final.points.tolist()])


def row(fields: dict[str, Field], cases: Dataset, min_score: float) -> dict[str, Any]:
    """Return the figures of one lowest score."""
    kept = {name: field.above(min_score) for name, field in fields.items()}
    scores = evaluate(kept, cases)
    proposals = evaluate({name: _all(found) for name, found in kept.items()}, cases)
    area = sum(field.area_mm2 for field in fields.values())
    counts = scores.overall.counts
    return {
        "min_score": min_score,
        "windows_per_mm2": sum(map(len, kept.values())) / area,
        "recall": proposals.overall.counts.recall,
        "found": counts.tp,
        "average_precision": scores.average_precision,
        "f1": counts.f1,
    }


def _all(found: Detections) -> Detections:
    """Return detections that all count, whatever their score."""
    columns = found.x_px, found.y_px, found.score, found.label
    return Detections(*columns, provenance=replace(found.provenance, threshold=0.0))


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--lowest", type=float, default=SCORES[0])
    given = parser.parse_args()
    fields: dict[str, Field] = {}
    cases = []
    for subject in subjects(given):
        fields |= measured(subject, given.lowest)
        cases += list(subject.fields)
    if not cases:
        parser.error("name fields with --fields, or give a cross-validation")
    rows = [row(fields, Dataset(cases), s) for s in SCORES if s >= given.lowest]
    for each in rows:
        each["kept"] = each["found"] / max(1, rows[0]["found"])
    columns = ("min_score", "windows_per_mm2", "recall", "kept", "average_precision", "f1")
    print_table(
        f"{len(cases)} fields",
        ["min_score", "windows per mm2", "recall of proposals", "kept", "AP", "F1"],
        [[each[column] for column in columns] for each in rows],
    )
    finish({"rows": rows}, given.json)


if __name__ == "__main__":
    main()
