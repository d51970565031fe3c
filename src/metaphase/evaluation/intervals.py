"""95 % intervals for Scores: which sums are resampled, and which scores are computed from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.evaluation.atypical import atypical_over
from metaphase.evaluation.bootstrap import (
    RESAMPLES,
    Method,
    Statistic,
    Units,
    intervals,
)
from metaphase.evaluation.casescore import CaseOutcome, Mistake
from metaphase.evaluation.scores import GroupScore, Scores, by_domain

STRATA = "scanner"
FEW_UNITS = 10
"""With fewer independent units than this the intervals are shown with a note of caution."""

_STEPS = 256  # thresholds at which average precision is resampled
_COUNTS = 5  # columns: tp, fp, labelled, area, false positives on hard negatives


def with_intervals(
    scores: Scores,
    *,
    resamples: int = RESAMPLES,
    method: Method = "bca",
    strata: str = STRATA,
    seed: int = 0,
) -> Scores:
    """Return the same scores with 95 % intervals, overall and for each domain.

    Every score of ``statistics`` gets one. Resampling is stratified by the kind of domain
    ``strata``. Average precision is resampled at 256 thresholds (quantiles of the scores); the
    others are exact.
    """

    def of(outcomes: Sequence[CaseOutcome], group: GroupScore) -> GroupScore:
        return group_with_intervals(
            outcomes, group, resamples=resamples, method=method, strata=strata, seed=seed
        )

    parts = by_domain(scores.outcomes)
    overall = of(scores.outcomes, scores.overall)
    units = overall.intervals["f1"].units
    notes = scores.notes
    if units < FEW_UNITS:
        notes += (
            f"The intervals rest on only {units} independent groups of cases. "
            "They are too few for reliable intervals.",
        )
    return replace(
        scores,
        notes=notes,
        overall=overall,
        atypical=atypical_over(scores.outcomes, resamples=resamples, seed=seed),
        domains={
            by: {name: of(parts[by][name], group) for name, group in groups.items()}
            for by, groups in scores.domains.items()
        },
    )


def group_with_intervals(
    outcomes: Sequence[CaseOutcome],
    group: GroupScore,
    *,
    resamples: int = RESAMPLES,
    method: Method = "bca",
    strata: str = STRATA,
    seed: int = 0,
) -> GroupScore:
    """Return the score of some cases with its intervals."""
    units = units_of(outcomes, score_steps(outcomes), strata)
    computed = intervals(units, statistics(), resamples=resamples, method=method, seed=seed)
    return replace(group, intervals=computed)


def statistics() -> dict[str, Statistic]:
    """Return each score as a function of the sums [r, 5 + 2 * steps] that ``units_of`` makes."""
    return {
        "f1": lambda s: _ratio(2 * s[:, 0], s[:, 0] + s[:, 1] + s[:, 2]),
        "precision": lambda s: _ratio(s[:, 0], s[:, 0] + s[:, 1]),
        "recall": lambda s: _ratio(s[:, 0], s[:, 2]),
        "average_precision": _average_precision,
        "false_positives_per_mm2": lambda s: _ratio(s[:, 1], s[:, 3]),
        "share_hard_negative": lambda s: _ratio(s[:, 4], s[:, 1]),
    }


def score_steps(outcomes: Sequence[CaseOutcome]) -> FloatArray:
    """Return up to 256 rising scores that divide all detections into equally large parts."""
    parts = [outcome.score for outcome in outcomes]
    score = np.concatenate(parts) if parts else np.zeros(0)
    if not len(score):
        return np.zeros(0)
    # "lower": the quantiles are scores that occur, so that few detections all stay distinct.
    return np.unique(np.quantile(score, np.linspace(0, 1, _STEPS + 1)[:-1], method="lower"))


def units_of(outcomes: Sequence[CaseOutcome], steps: FloatArray, strata: str) -> Units:
    """Return what is resampled: the sums of each group of cases, and its stratum."""
    rows = np.array([_row(outcome, steps) for outcome in outcomes])
    cases = [outcome.case for outcome in outcomes]
    domains = [case.domains.get(strata, "unknown") for case in cases]
    return Units.gather(rows, [case.group for case in cases], domains)


def _row(outcome: CaseOutcome, steps: FloatArray) -> FloatArray:
    """Return the counts, then the tp and the fp gained at each step, by falling score."""
    case = outcome.case
    size = len(steps)
    bin_ = size - np.searchsorted(steps, outcome.score, side="right")
    gained = [
        np.bincount(bin_, weights, size) if size else np.zeros(0)
        for weights in (outcome.gains.tp, outcome.gains.fp)
    ]
    on_hard_negatives = case.mistakes[str(Mistake.HARD_NEGATIVE)]
    counts = [case.counts.tp, case.counts.fp, case.labelled, case.area_mm2, on_hard_negatives]
    return np.concatenate([counts, *gained])


def _average_precision(sums: FloatArray) -> FloatArray:
    """Return the area of ``curves.average_precision`` at the steps that were counted."""
    tp, fp = np.hsplit(sums[:, _COUNTS:], 2)
    tp, fp = np.cumsum(tp, axis=1), np.cumsum(fp, axis=1)
    precision = tp / np.maximum(tp + fp, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    area = (np.diff(tp, axis=1, prepend=0.0) * envelope).sum(axis=1)
    return _ratio(area, sums[:, 2])


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    undefined = np.full(len(part), np.nan)
    return np.asarray(np.divide(part, whole, out=undefined, where=whole > 0))
