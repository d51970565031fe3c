"""Detections against labels: the one way in which anything is scored here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from metaphase.evaluation.casescore import CaseOutcome, score_case
from metaphase.evaluation.matching import Rule
from metaphase.evaluation.pairing import Pair, pair_cases
from metaphase.evaluation.protocols import ExerciseScore, Protocol, exercise_score
from metaphase.evaluation.scores import (
    Scores,
    agreement_over,
    by_domain,
    calibration_over,
    curve_over,
    froc_over,
    group_score,
)
from metaphase.figures import Detections, Label
from metaphase.labels.dataset import Dataset
from metaphase.units import MATCH_RADIUS_UM

__all__ = ["Scores", "evaluate", "summarise"]

_MPP_APART = 0.05


def evaluate(
    detections: Mapping[str, Detections] | str | Path,
    dataset: Dataset,
    *,
    radius_um: float = MATCH_RADIUS_UM,
    rule: Rule = "midog",
    threshold: float | None = None,
    allow_missing: bool = False,
    protocol: Protocol = "whole",
    seed: int = 0,
) -> Scores:
    """Score detections against the mitotic figures of a data set.

    ``detections`` maps case ids to Detections (of any origin), or is a folder that ``metaphase
    detect`` wrote. Each case is matched within ``radius_um``, at the resolution its detections were
    made at, by ``rule`` (see ``matching``). ``threshold`` is the operating point; None takes the
    one frozen in the model, which the detections' provenance holds. Counts are pooled over cases.

    Whole regions are always scored; ``protocol="exercise"`` adds, as ``scores.exercise``, what the
    report's truth-guided patches (drawn by ``seed``) would have made of the same detections.

    Raises LabelError for unlabelled cases and an empty data set, DetectionsError for cases without
    detections (missing is not zero) unless ``allow_missing`` leaves them out.
    """
    pairs = pair_cases(detections, dataset, allow_missing=allow_missing)
    outcomes = tuple(
        score_case(pair, _threshold(pair, threshold), radius_um, rule) for pair in pairs
    )
    exercise = None
    if protocol == "exercise":
        sizes = [(p.width_px, p.height_px) for p in (pair.detections.provenance for pair in pairs)]
        exercise = exercise_score(outcomes, sizes, radius_um=radius_um, rule=rule, seed=seed)
    elif protocol != "whole":
        raise ValueError(f"a protocol is one of {', '.join(get_args(Protocol))}, not {protocol!r}")
    return summarise(
        outcomes,
        dataset=dataset.name or Path(dataset.source).name,
        radius_um=radius_um,
        rule=rule,
        hard_negative_class=_hard_negative_class(pairs, outcomes),
        notes=_notes(pairs, dataset, outcomes),
        exercise=exercise,
    )


def summarise(
    outcomes: Sequence[CaseOutcome],
    *,
    dataset: str,
    radius_um: float,
    rule: Rule,
    hard_negative_class: dict[str, int] | None = None,
    notes: Sequence[str] = (),
    exercise: ExerciseScore | None = None,
) -> Scores:
    """Pool the outcomes of single cases into Scores."""
    curve = curve_over(outcomes)
    thresholds = {outcome.case.threshold for outcome in outcomes}
    models = sorted({outcome.model for outcome in outcomes if outcome.model})
    return Scores(
        dataset=dataset,
        model=", ".join(models) or "unknown",
        threshold=thresholds.pop() if len(thresholds) == 1 else None,
        radius_um=radius_um,
        rule=rule,
        overall=group_score(outcomes),
        domains={
            by: {name: group_score(part) for name, part in groups.items()}
            for by, groups in by_domain(outcomes).items()
        },
        curve=curve,
        froc=froc_over(outcomes, curve),
        agreement=agreement_over(outcomes),
        calibration=calibration_over(outcomes),
        hard_negative_class=hard_negative_class or {},
        outcomes=tuple(outcomes),
        notes=tuple(notes),
        exercise=exercise,
    )


def _threshold(pair: Pair, given: float | None) -> float:
    return pair.detections.provenance.threshold if given is None else given


def _hard_negative_class(pairs: Sequence[Pair], outcomes: Sequence[CaseOutcome]) -> dict[str, int]:
    """Count a detector's own hard negatives at the threshold; they take no part in the scores."""
    told = 0
    for pair, outcome in zip(pairs, outcomes, strict=True):
        others = pair.detections.with_label(Label.HARD_NEGATIVE)
        told += int((others.score >= outcome.case.threshold).sum())
    return {"detected": told, "labelled": sum(o.case.hard_negatives for o in outcomes)}


def _notes(pairs: Sequence[Pair], dataset: Dataset, outcomes: Sequence[CaseOutcome]) -> list[str]:
    notes = []
    scored = {pair.case.id for pair in pairs}
    if missing := [case.id for case in dataset if case.id not in scored]:
        notes.append(f"{len(missing)} cases without detections were left out: {_few(missing)}.")
    thresholds = sorted({outcome.case.threshold for outcome in outcomes})
    if len(thresholds) > 1:
        notes.append(
            f"Cases were scored at {len(thresholds)} thresholds, from {thresholds[0]:.4g} to "
            f"{thresholds[-1]:.4g}: each at the one its detections were made with."
        )
    if parts := [pair.case.id for pair in pairs if pair.region is not None]:
        notes.append(f"{len(parts)} cases were looked at in part, and scored there: {_few(parts)}.")
    if parts := [pair.case.id for pair in pairs if _parameter(pair, "roi_sha256")]:
        notes.append(
            f"{len(parts)} cases were looked at within an outline only; figures outside of it "
            f"count as missed: {_few(parts)}."
        )
    odd = [pair.case.id for pair in pairs if _apart(pair)]
    if odd:
        notes.append(
            f"{len(odd)} cases were detected at an mpp more than {_MPP_APART:.0%} off the "
            f"labels': {_few(odd)}."
        )
    if not any(outcome.case.labelled for outcome in outcomes):
        notes.append("There are no mitotic figures in these cases: recall has no value.")
    return notes


def _parameter(pair: Pair, name: str) -> object:
    return pair.detections.provenance.parameters.get(name)


def _apart(pair: Pair) -> bool:
    known = pair.case.mpp
    return known is not None and abs(pair.mpp / known - 1) > _MPP_APART


def _few(ids: Sequence[str], shown: int = 5) -> str:
    return ", ".join(ids[:shown]) + (", ..." if len(ids) > shown else "")
