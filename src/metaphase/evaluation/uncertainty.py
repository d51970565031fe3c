"""Intervals for Scores, and the difference between two models on the same cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.errors import InputError, Problem
from metaphase.evaluation.casescore import Outcome
from metaphase.evaluation.intervals import (
    LEVEL,
    RESAMPLES,
    Interval,
    Method,
    Statistic,
    Units,
    bootstrap,
    interval_of,
    intervals,
)
from metaphase.evaluation.result import GroupScore, Scores, by_domain

FloatArray = NDArray[np.float64]

STRATA = "scanner"
FEW_UNITS = 10
"""With fewer cases or groups than this an interval is shown, but a note tells not to trust it."""

_STEPS = 256  # thresholds at which average precision is resampled
_COUNTS = 3  # columns: tp, fp, labelled


def with_intervals(
    scores: Scores,
    *,
    resamples: int = RESAMPLES,
    method: Method = "bca",
    strata: str = STRATA,
    seed: int = 0,
) -> Scores:
    """Return the same scores with 95 % intervals overall and for each domain.

    F1, precision, recall and average precision have one each. ``strata`` is the kind of domain that
    resampling is stratified by. Average precision is resampled at 256 thresholds (quantiles of the
    scores); everything else is exact.
    """

    def of(outcomes: Sequence[Outcome], group: GroupScore) -> GroupScore:
        steps = _steps(outcomes)
        units = _units(outcomes, steps, strata)
        found = intervals(units, _statistics(), resamples=resamples, method=method, seed=seed)
        return replace(group, intervals=found)

    parts = by_domain(scores.outcomes)
    overall = of(scores.outcomes, scores.overall)
    units = overall.intervals["f1"].units
    notes = scores.notes
    if units < FEW_UNITS:
        notes += (
            f"Intervals rest on {units} independent groups of cases only: too few to be trusted.",
        )
    return replace(
        scores,
        notes=notes,
        overall=overall,
        domains={
            by: {name: of(parts[by][name], group) for name, group in groups.items()}
            for by, groups in scores.domains.items()
        },
    )


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of two models on the same cases, and second minus first with its interval.

    ``share_better`` is the share of resamples in which the second is better.
    """

    first: float | None
    second: float | None
    difference: float | None
    interval: Interval
    share_better: float | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def compare(
    first: Scores,
    second: Scores,
    *,
    resamples: int = RESAMPLES,
    method: Method = "bca",
    strata: str = STRATA,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return the paired differences of two evaluations: every resample draws the same cases.

    Raises InputError where the two were not scored on the same cases, truths, radius and rule.
    """
    _refuse_unlike(first, second)
    steps = _steps([*first.outcomes, *second.outcomes])
    left, right = (_units(s.outcomes, steps, strata) for s in (first, second))
    width = left.sums.shape[1]
    units = Units(np.hstack([left.sums, right.sums]), left.stratum)
    statistics = {name: _minus(statistic, width) for name, statistic in _statistics().items()}
    values = bootstrap(units, statistics, resamples, seed) if len(units) > 1 else {}
    found = {}
    for name, statistic in statistics.items():
        low = high = share = None
        if name in values:
            low, high = interval_of(values[name], units, statistic, method, LEVEL)
            share = float(np.mean(values[name] > 0))
        a, b = getattr(first, name), getattr(second, name)
        found[name] = Difference(
            first=a,
            second=b,
            difference=None if a is None or b is None else b - a,
            interval=Interval(low, high, LEVEL, method, resamples, len(units)),
            share_better=share,
        )
    return found


def _statistics() -> dict[str, Statistic]:
    """Return the scores as functions of sums [r, 3 + 2 * steps]."""
    return {
        "f1": lambda s: _over(2 * s[:, 0], s[:, 0] + s[:, 1] + s[:, 2]),
        "precision": lambda s: _over(s[:, 0], s[:, 0] + s[:, 1]),
        "recall": lambda s: _over(s[:, 0], s[:, 2]),
        "average_precision": _average_precision,
    }


def _average_precision(sums: FloatArray) -> FloatArray:
    """The same area as ``scores.average_precision``, at the steps that were counted."""
    tp, fp = np.hsplit(sums[:, _COUNTS:], 2)
    tp, fp = np.cumsum(tp, axis=1), np.cumsum(fp, axis=1)
    precision = tp / np.maximum(tp + fp, 1)
    envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    area = (np.diff(tp, axis=1, prepend=0.0) * envelope).sum(axis=1)
    return _over(area, sums[:, 2])


def _over(part: FloatArray, whole: FloatArray) -> FloatArray:
    none = np.full(len(part), np.nan)
    return np.asarray(np.divide(part, whole, out=none, where=whole > 0))


def _minus(statistic: Statistic, width: int) -> Statistic:
    return lambda sums: statistic(sums[:, width:]) - statistic(sums[:, :width])


def _steps(outcomes: Sequence[Outcome]) -> FloatArray:
    """Return the scores that part all detections into equally many, rising."""
    parts = [outcome.score for outcome in outcomes]
    score = np.concatenate(parts) if parts else np.zeros(0)
    if not len(score):
        return np.zeros(0)
    # "lower": quantiles are scores that occur, so few detections are all told apart.
    return np.unique(np.quantile(score, np.linspace(0, 1, _STEPS + 1)[:-1], method="lower"))


def _units(outcomes: Sequence[Outcome], steps: FloatArray, strata: str) -> Units:
    rows = np.array([_row(outcome, steps) for outcome in outcomes])
    cases = [outcome.case for outcome in outcomes]
    domains = [case.domains.get(strata, "unknown") for case in cases]
    return Units.gather(rows, [case.group for case in cases], domains)


def _row(outcome: Outcome, steps: FloatArray) -> FloatArray:
    """Return tp, fp, labelled, then gains of tp and of fp at each step, by falling score."""
    case = outcome.case
    size = len(steps)
    bin_ = size - np.searchsorted(steps, outcome.score, side="right")
    gained = [
        np.bincount(bin_, weights, size) if size else np.zeros(0)
        for weights in (outcome.gained.found, outcome.gained.false)
    ]
    return np.concatenate([[case.counts.tp, case.counts.fp, case.labelled], *gained])


def _refuse_unlike(first: Scores, second: Scores) -> None:
    problems = []
    if (first.radius_um, first.rule) != (second.radius_um, second.rule):
        problems.append(Problem("comparison", "", "the two were matched in different ways"))
    ours = {case.id: case.labelled for case in first.cases}
    theirs = {case.id: case.labelled for case in second.cases}
    if list(ours) != list(theirs):
        odd = sorted(set(ours) ^ set(theirs)) or ["their order"]
        message = f"the two have different cases: {', '.join(odd[:5])}"
        problems.append(Problem("comparison", "", message, "score both on the same cases"))
    else:
        problems += [
            Problem("comparison", f"case {id_}", "has another number of labelled figures")
            for id_ in ours
            if ours[id_] != theirs[id_]
        ]
    if problems:
        raise InputError(problems)
