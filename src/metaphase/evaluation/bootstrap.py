"""The bootstrap over cases: resampled sums, and the intervals of any score computed from them.

A *unit* is drawn with replacement: a case, or all cases of a group (the fields of one slide, one
patient), because they are not independent. Draws are stratified by domain, so that every resample
has as many units of each scanner as the data (Davison and Hinkley 1997, ch. 3.2). A resample is a
vector of weights, and every score is a function of sums over cases, so that a block of resamples is
one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal, get_args

import numpy as np

from metaphase.arrays import FloatArray, IntArray

Method = Literal["bca", "percentile"]
METHODS: tuple[Method, ...] = get_args(Method)
LEVEL = 0.95
RESAMPLES = 2000
UNDEFINED_AT_MOST = 0.05
"""An interval needs a score that is defined in at least 95 % of the resamples."""

_BLOCK = 500  # resamples in one matrix product
_NORMAL = NormalDist()

Statistic = Callable[[FloatArray], FloatArray]
"""A function from sums [r, k] to values [r]; nan where the score is undefined."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval; None where the score is undefined in too many resamples."""

    low: float | None
    high: float | None
    level: float = LEVEL
    method: str = "bca"
    resamples: int = RESAMPLES
    units: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Units:
    """What is resampled: the sums of each unit [u, k] and its stratum [u], from 0."""

    sums: FloatArray
    stratum: IntArray

    @classmethod
    def gather(cls, rows: FloatArray, groups: Sequence[str], domains: Sequence[str]) -> Units:
        """Add up the rows [n, k] of cases by group; the stratum is the domain.

        A group that spans domains belongs to the domain of its first case. Strata of a single unit
        are merged into one.
        """
        names: dict[str, int] = {}
        unit = np.array([names.setdefault(g, len(names)) for g in groups], np.int64)
        sums = np.zeros((len(names), rows.shape[1]))
        np.add.at(sums, unit, rows)
        _, first = np.unique(unit, return_index=True)
        _, stratum = np.unique(np.asarray(domains)[first], return_inverse=True)
        single = np.bincount(stratum)[stratum] < 2
        _, stratum = np.unique(np.where(single, -1, stratum), return_inverse=True)
        return cls(sums, stratum.astype(np.int64))

    def __len__(self) -> int:
        return len(self.sums)


def resampled(units: Units, resamples: int, seed: int = 0) -> Iterator[FloatArray]:
    """Yield blocks of resampled sums [r, k], ``resamples`` rows in all."""
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(units.stratum == s) for s in range(int(units.stratum.max()) + 1)]
    for start in range(0, resamples, _BLOCK):
        size = min(_BLOCK, resamples - start)
        weights = np.empty((size, len(units)))
        for indices in members:
            weights[:, indices] = _draw(rng, size, len(indices))
        yield weights @ units.sums


def bootstrap(
    units: Units, statistics: dict[str, Statistic], resamples: int, seed: int = 0
) -> dict[str, FloatArray]:
    """Return the values [resamples] of each statistic, all from the same resamples."""
    values: dict[str, list[FloatArray]] = {name: [] for name in statistics}
    for sums in resampled(units, resamples, seed):
        for name, statistic in statistics.items():
            values[name].append(statistic(sums))
    return {name: np.concatenate(parts) for name, parts in values.items()}


def intervals(
    units: Units,
    statistics: dict[str, Statistic],
    *,
    resamples: int = RESAMPLES,
    method: Method = "bca",
    level: float = LEVEL,
    seed: int = 0,
) -> dict[str, Interval]:
    """Return the interval of each statistic. Raises ValueError for an unknown method."""
    if method not in METHODS:
        raise ValueError(f"a method is one of {', '.join(METHODS)}, not {method!r}")
    if len(units) < 2:
        undefined = Interval(None, None, level, method, resamples, len(units))
        return dict.fromkeys(statistics, undefined)
    values = bootstrap(units, statistics, resamples, seed)
    result = {}
    for name, statistic in statistics.items():
        low, high = interval_of(values[name], units, statistic, method, level)
        result[name] = Interval(low, high, level, method, resamples, len(units))
    return result


def interval_of(
    values: FloatArray, units: Units, statistic: Statistic, method: Method, level: float
) -> tuple[float | None, float | None]:
    """Return the interval of resampled values; (None, None) where too few are defined."""
    defined = values[np.isfinite(values)]
    if len(defined) < (1 - UNDEFINED_AT_MOST) * len(values) or not len(defined):
        return None, None
    tails = np.array([(1 - level) / 2, (1 + level) / 2])
    if method == "bca":
        tails = bca_tails(defined, units, statistic, tails)
    low, high = np.quantile(defined, tails)
    return float(low), float(high)


def bca_tails(
    values: FloatArray, units: Units, statistic: Statistic, tails: FloatArray
) -> FloatArray:
    """Return the tails corrected for bias and for acceleration (BCa; Efron 1987).

    With strata, the influence of a unit is weighted by the size of its stratum (Davison and Hinkley
    1997, eq. 5.31). Without variation the tails are returned unchanged.
    """
    estimate = float(statistic(units.sums.sum(axis=0, keepdims=True))[0])
    below = (np.sum(values < estimate) + 0.5 * np.sum(values == estimate)) / len(values)
    if not 0 < below < 1:
        return tails
    bias = _NORMAL.inv_cdf(float(below))
    a = acceleration(units, statistic)
    z = np.array([_NORMAL.inv_cdf(float(tail)) for tail in tails]) + bias
    return np.array([_NORMAL.cdf(float(bias + v / (1 - a * v))) for v in z])


def acceleration(units: Units, statistic: Statistic) -> float:
    """Return the acceleration constant, by leaving out one unit at a time (jackknife)."""
    size = np.bincount(units.stratum)[units.stratum].astype(np.float64)
    total = units.sums.sum(axis=0)
    # The other units of the stratum replace the one left out, so that strata keep their weight.
    of_stratum = np.zeros((int(units.stratum.max()) + 1, units.sums.shape[1]))
    np.add.at(of_stratum, units.stratum, units.sums)
    others = of_stratum[units.stratum] - units.sums
    rest = total - of_stratum[units.stratum] + others * (size / np.maximum(size - 1, 1))[:, None]
    without = statistic(rest)
    defined = np.isfinite(without)
    influence = (float(np.mean(without[defined])) - without[defined]) * (size[defined] - 1)
    weighted = influence / size[defined]
    spread = float((weighted**2).sum())
    return float((weighted**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def _draw(rng: np.random.Generator, resamples: int, units: int) -> IntArray:
    """Return how often each unit is drawn [resamples, units]; every row sums to ``units``."""
    drawn = rng.integers(0, units, (resamples, units)) + np.arange(resamples)[:, None] * units
    return np.bincount(drawn.ravel(), minlength=resamples * units).reshape(resamples, units)
