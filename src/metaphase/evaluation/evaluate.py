"""Detections against labels: every score of metaphase is computed here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

from metaphase.evaluation.casescore import CaseOutcome, score_case
from metaphase.evaluation.matching import Rule
from metaphase.evaluation.pairing import Pair, pair_cases
from metaphase.evaluation.protocols import ExerciseScore, Protocol, exercise_score
from metaphase.evaluation.scores import Scores, summarise
from metaphase.evaluation.trainingoverlap import trained_on
from metaphase.figures import Detections, Label
from metaphase.labels.dataset import Dataset
from metaphase.radii import MATCH_RADIUS_UM

__all__ = ["Scores", "evaluate", "summarise"]

_MPP_TOLERANCE = 0.05  # relative difference between detections and labels


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
    detect`` wrote. Each case is matched within ``radius_um``, at the resolution of its detections,
    by ``rule`` (see ``matching``). ``threshold`` is the operating point; by default it is the
    model's frozen one, from the provenance of the detections. Counts are pooled over cases.

    Whole regions are always scored. ``protocol="exercise"`` adds ``scores.exercise``, the scores
    on patches that are placed by the labels (drawn by ``seed``), for comparison.

    Raises LabelError for unlabelled cases and an empty data set, DetectionsError for cases without
    detections, unless ``allow_missing`` leaves them out.
    """
    pairs = pair_cases(detections, dataset, allow_missing=allow_missing)
    outcomes = tuple(
        score_case(pair, _threshold(pair, threshold), radius_um, rule) for pair in pairs
    )
    return summarise(
        outcomes,
        dataset=dataset.name or Path(dataset.source).name,
        radius_um=radius_um,
        rule=rule,
        hard_negative_class=_hard_negative_class(pairs, outcomes),
        notes=_notes(pairs, dataset, outcomes),
        exercise=_exercise(protocol, pairs, outcomes, radius_um, rule, seed),
        trained_on=trained_on(pairs, dataset.source),
    )


def _threshold(pair: Pair, threshold: float | None) -> float:
    return pair.detections.provenance.threshold if threshold is None else threshold


def _exercise(
    protocol: str,
    pairs: Sequence[Pair],
    outcomes: Sequence[CaseOutcome],
    radius_um: float,
    rule: Rule,
    seed: int,
) -> ExerciseScore | None:
    if protocol not in get_args(Protocol):
        raise ValueError(f"a protocol is one of {', '.join(get_args(Protocol))}, not {protocol!r}")
    if protocol != "exercise":
        return None
    sizes = [(p.width_px, p.height_px) for p in (pair.detections.provenance for pair in pairs)]
    return exercise_score(outcomes, sizes, radius_um=radius_um, rule=rule, seed=seed)


def _hard_negative_class(pairs: Sequence[Pair], outcomes: Sequence[CaseOutcome]) -> dict[str, int]:
    """Count the hard negatives that a detector of two classes reports; they are not scored."""
    detected = 0
    for pair, outcome in zip(pairs, outcomes, strict=True):
        negatives = pair.detections.with_label(Label.HARD_NEGATIVE)
        detected += int((negatives.score >= outcome.case.threshold).sum())
    return {"detected": detected, "labelled": sum(o.case.hard_negatives for o in outcomes)}


def _notes(pairs: Sequence[Pair], dataset: Dataset, outcomes: Sequence[CaseOutcome]) -> list[str]:
    notes = []
    scored = {pair.case.id for pair in pairs}
    if missing := [case.id for case in dataset if case.id not in scored]:
        notes.append(f"{len(missing)} cases without detections were left out: {_few(missing)}.")
    thresholds = sorted({outcome.case.threshold for outcome in outcomes})
    if len(thresholds) > 1:
        notes.append(
            f"Cases were scored at {len(thresholds)} thresholds, from {thresholds[0]:.4g} to "
            f"{thresholds[-1]:.4g}: each at the threshold of its own detections."
        )
    if parts := [pair.case.id for pair in pairs if pair.region is not None]:
        notes.append(f"{len(parts)} cases were analysed and scored in part only: {_few(parts)}.")
    outlined = [p for p in pairs if p.detections.provenance.parameters.roi_sha256]
    if parts := [pair.case.id for pair in outlined]:
        notes.append(
            f"{len(parts)} cases were analysed inside a region of interest only; figures outside "
            f"of it count as missed: {_few(parts)}."
        )
    if odd := [pair.case.id for pair in pairs if _has_other_mpp(pair)]:
        notes.append(
            f"The resolution (um/px) of the detections differs from that of the labels by more "
            f"than {_MPP_TOLERANCE:.0%} in {len(odd)} cases: {_few(odd)}."
        )
    notes += _shift_notes(pairs)
    if not any(outcome.case.labelled for outcome in outcomes):
        notes.append("There are no mitotic figures in these cases: recall is undefined.")
    return notes


def _shift_notes(pairs: Sequence[Pair]) -> list[str]:
    """Return a note on the images that are unlike the training images of their model."""
    shifts = {pair.case.id: pair.detections.provenance.parameters.domain_shift for pair in pairs}
    ratios = {id_: shift.ratio for id_, shift in shifts.items() if shift and shift.shifted}
    if not ratios:
        return []
    farthest = sorted(ratios, key=lambda id_: -ratios[id_])
    return [
        f"{len(ratios)} of {len(pairs)} images differ from the training images of the model "
        f"(domain shift up to {max(ratios.values()):.1f}; above 1 they differ): {_few(farthest)}."
    ]


def _has_other_mpp(pair: Pair) -> bool:
    labelled = pair.case.mpp
    return labelled is not None and abs(pair.mpp / labelled - 1) > _MPP_TOLERANCE


def _few(ids: Sequence[str], shown: int = 5) -> str:
    return ", ".join(ids[:shown]) + (", ..." if len(ids) > shown else "")
