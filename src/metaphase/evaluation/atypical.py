"""How well atypical mitotic figures are recognised among the labelled figures that were detected.

A labelled figure takes part where its label says whether it is atypical and where a detection that
was matched with it has a probability. Sensitivity is the share of atypical figures that are called
atypical, specificity the share of the others that are not; balanced accuracy is their mean, and
AUROC the area under the ROC curve, ties counted by half (Hanley and McNeil 1982). Figures are
pooled over cases; intervals are 95 %, by bootstrap over groups of cases.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from metaphase.arrays import BoolArray, FloatArray
from metaphase.evaluation.bootstrap import Interval, Statistic, Units, intervals
from metaphase.evaluation.casescore import CaseOutcome

RATES = ("balanced_accuracy", "auroc", "sensitivity", "specificity")
_STEPS = 256  # parts of equal size into which scores are divided to resample AUROC
_COUNTS = 4  # columns of a unit: tp, fn, tn, fp


@dataclass(frozen=True, slots=True, eq=False)
class AtypicalRows:
    """Figures [n]: whether each is atypical, its score, whether it is called atypical, its group of
    cases and its domain."""

    truth: BoolArray
    score: FloatArray
    called: BoolArray
    group: Sequence[str]
    domain: Sequence[str]

    def __len__(self) -> int:
        return len(self.truth)

    def where(self, keep: BoolArray) -> AtypicalRows:
        """Return the figures for which the mask [n] is true."""
        chosen = np.flatnonzero(keep).tolist()
        return AtypicalRows(
            self.truth[keep],
            self.score[keep],
            self.called[keep],
            [self.group[i] for i in chosen],
            [self.domain[i] for i in chosen],
        )


@dataclass(frozen=True, slots=True)
class AtypicalScore:
    """The numbers of some figures. Rates are None where they are undefined."""

    tp: int
    fn: int
    tn: int
    fp: int
    groups: int
    auroc: float | None
    intervals: dict[str, Interval] = field(default_factory=dict)

    @property
    def figures(self) -> int:
        """All figures."""
        return self.tp + self.fn + self.tn + self.fp

    @property
    def atypical(self) -> int:
        """Figures that the readers called atypical."""
        return self.tp + self.fn

    @property
    def sensitivity(self) -> float | None:
        """tp / (tp + fn), or None."""
        return _share(self.tp, self.atypical)

    @property
    def specificity(self) -> float | None:
        """tn / (tn + fp), or None."""
        return _share(self.tn, self.tn + self.fp)

    @property
    def balanced_accuracy(self) -> float | None:
        """Mean of sensitivity and specificity, or None."""
        if self.sensitivity is None or self.specificity is None:
            return None
        return (self.sensitivity + self.specificity) / 2

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            "figures": self.figures,
            "atypical": self.atypical,
            "groups": self.groups,
            **{name: getattr(self, name) for name in ("tp", "fn", "tn", "fp")},
            **{name: getattr(self, name) for name in RATES},
            "intervals": {name: interval.to_dict() for name, interval in self.intervals.items()},
        }


@dataclass(frozen=True, slots=True)
class AtypicalScores:
    """The scores of all figures and of each domain, the lowest balanced accuracy first."""

    overall: AtypicalScore
    domains: dict[str, AtypicalScore]

    @property
    def rows(self) -> list[tuple[str, AtypicalScore]]:
        """The rows of a table: each domain, then all figures."""
        return [*self.domains.items(), ("all", self.overall)]

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            **self.overall.to_dict(),
            "domains": {name: score.to_dict() for name, score in self.domains.items()},
        }


def atypical_over(
    outcomes: Sequence[CaseOutcome], *, resamples: int = 0, seed: int = 0
) -> AtypicalScores | None:
    """Return how well atypical figures are recognised, by scanner; None if nothing says so."""
    known = [(outcome.case, outcome.atypical) for outcome in outcomes if outcome.atypical]
    if not known:
        return None
    parts = [figures for _, figures in known]
    rows = AtypicalRows(
        np.concatenate([part.truth for part in parts]),
        np.concatenate([part.probability for part in parts]),
        np.concatenate([part.probability >= part.threshold for part in parts]),
        [case.group for case, part in known for _ in part.truth],
        [case.domains["scanner"] for case, part in known for _ in part.truth],
    )
    return atypical_scores(rows, resamples=resamples, seed=seed)


def atypical_scores(rows: AtypicalRows, *, resamples: int = 0, seed: int = 0) -> AtypicalScores:
    """Return the scores of figures, with intervals where ``resamples`` is not 0."""
    domains = {
        name: atypical_score(
            rows.where(np.array([domain == name for domain in rows.domain], bool)),
            resamples=resamples,
            seed=seed,
        )
        for name in dict.fromkeys(rows.domain)
    }
    ordered = sorted(domains, key=lambda name: _order(domains[name]))
    overall = atypical_score(rows, resamples=resamples, seed=seed)
    return AtypicalScores(overall, {name: domains[name] for name in ordered})


def atypical_score(rows: AtypicalRows, *, resamples: int = 0, seed: int = 0) -> AtypicalScore:
    """Return the score of some figures."""
    truth, called = rows.truth, rows.called
    parts = (truth & called, truth & ~called, ~truth & ~called, ~truth & called)
    tp, fn, tn, fp = (int(part.sum()) for part in parts)
    computed: Mapping[str, Interval] = {}
    if resamples and len(rows):
        units = Units.gather(_sums(rows), rows.group, rows.domain)
        computed = intervals(units, _STATISTICS, resamples=resamples, seed=seed)
    return AtypicalScore(
        tp=tp,
        fn=fn,
        tn=tn,
        fp=fp,
        groups=len(set(rows.group)),
        auroc=auroc(truth, rows.score),
        intervals=dict(computed),
    )


def auroc(truth: BoolArray, score: FloatArray) -> float | None:
    """Return the area under the ROC curve, None without figures of both kinds."""
    positive, negative = int(truth.sum()), int((~truth).sum())
    if not positive or not negative:
        return None
    from scipy.stats import rankdata

    ranks = rankdata(score)[truth].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _order(score: AtypicalScore) -> float:
    value = score.balanced_accuracy
    return np.inf if value is None else value


def _sums(rows: AtypicalRows) -> FloatArray:
    """Return one row a figure: its count, then its place among the steps of the score by kind."""
    steps = np.unique(np.quantile(rows.score, np.linspace(0, 1, _STEPS + 1)[:-1], method="lower"))
    place = np.searchsorted(steps, rows.score, side="right") - 1
    n, size = len(rows), len(steps)
    sums = np.zeros((n, _COUNTS + 2 * size))
    column = np.where(rows.truth, np.where(rows.called, 0, 1), np.where(rows.called, 3, 2))
    sums[np.arange(n), column] = 1
    sums[np.arange(n), _COUNTS + np.where(rows.truth, 0, size) + place] = 1
    return sums


def _resampled_auroc(sums: FloatArray) -> FloatArray:
    positive, negative = np.hsplit(sums[:, _COUNTS:], 2)
    below = np.cumsum(negative, axis=1) - negative / 2
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return _ratio((positive * below).sum(axis=1), pairs)


def _ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    undefined = np.full(len(part), np.nan)
    return np.asarray(np.divide(part, whole, out=undefined, where=whole > 0))


_STATISTICS: dict[str, Statistic] = {
    "balanced_accuracy": lambda s: (
        (_ratio(s[:, 0], s[:, 0] + s[:, 1]) + _ratio(s[:, 2], s[:, 2] + s[:, 3])) / 2
    ),
    "auroc": _resampled_auroc,
    "sensitivity": lambda s: _ratio(s[:, 0], s[:, 0] + s[:, 1]),
    "specificity": lambda s: _ratio(s[:, 2], s[:, 2] + s[:, 3]),
}
