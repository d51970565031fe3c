"""Paired differences between two evaluations of the same cases."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from metaphase.errors import InputError, Problem
from metaphase.evaluation.bootstrap import (
    LEVEL,
    RESAMPLES,
    Interval,
    Method,
    Statistic,
    Units,
    bootstrap,
    interval_of,
)
from metaphase.evaluation.intervals import STRATA, score_steps, statistics, units_of
from metaphase.evaluation.scores import Scores

COMPARED = ("f1", "precision", "recall", "average_precision", "false_positives_per_mm2")
LOWER_IS_BETTER = ("false_positives_per_mm2",)


@dataclass(frozen=True, slots=True)
class Difference:
    """A score of two models on the same cases, and second minus first with its interval.

    ``share_better`` is the share of resamples in which the second is better: higher, or lower for
    false positives.
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

    Raises InputError where the two were not scored on the same cases, figures, radius and rule.
    """
    _refuse_unlike(first, second)
    steps = score_steps([*first.outcomes, *second.outcomes])
    left, right = (units_of(scores.outcomes, steps, strata) for scores in (first, second))
    width = left.sums.shape[1]
    units = Units(np.hstack([left.sums, right.sums]), left.stratum)
    differences = {
        name: _minus(statistic, width)
        for name, statistic in statistics().items()
        if name in COMPARED
    }
    values = bootstrap(units, differences, resamples, seed) if len(units) > 1 else {}
    result = {}
    for name, statistic in differences.items():
        low = high = share = None
        if name in values:
            low, high = interval_of(values[name], units, statistic, method, LEVEL)
            better = values[name] < 0 if name in LOWER_IS_BETTER else values[name] > 0
            share = float(np.mean(better))
        a, b = getattr(first, name), getattr(second, name)
        result[name] = Difference(
            first=a,
            second=b,
            difference=None if a is None or b is None else b - a,
            interval=Interval(low, high, LEVEL, method, resamples, len(units)),
            share_better=share,
        )
    return result


def _minus(statistic: Statistic, width: int) -> Statistic:
    return lambda sums: statistic(sums[:, width:]) - statistic(sums[:, :width])


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
