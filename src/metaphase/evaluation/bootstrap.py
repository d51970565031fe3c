"""95 % intervals by bootstrap over cases, and paired differences between two models.

What is drawn with replacement is a *unit*: a case, or all cases of a group (one slide's fields, one
patient), because they are not independent. Draws are stratified by domain, so that every resample
has as many units of each scanner as the data (Davison and Hinkley 1997, ch. 3.2). A resample is a
vector of weights; every score here is a function of sums over cases, so all resamples of a block
are one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

Method = Literal["bca", "percentile"]
METHODS: tuple[Method, ...] = get_args(Method)
LEVEL = 0.95
RESAMPLES = 2000
UNDEFINED_AT_MOST = 0.05
"""An interval is told only where the score is defined in at least 95 % of the resamples."""

_BLOCK = 500  # resamples at once
_NORMAL = NormalDist()

Statistic = Callable[[FloatArray], FloatArray]
"""From sums [r, k] to values [r], nan where undefined."""


@dataclass(frozen=True, slots=True)
class Interval:
    """An interval; None where the score is undefined in too many resamples or never varies."""

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
    """What is resampled: the sums of each unit [u, k], and the stratum of each [u], from 0."""

    sums: FloatArray
    stratum: IntArray

    @classmethod
    def gather(cls, rows: FloatArray, groups: Sequence[str], domains: Sequence[str]) -> Units:
        """Add up rows [n, k] of cases by group; a stratum of a single unit joins the others such.

        A group that spans domains belongs to the domain of its first case.
        """
        names: dict[str, int] = {}
        unit = np.array([names.setdefault(g, len(names)) for g in groups], np.int64)
        sums = np.zeros((len(names), rows.shape[1]))
        np.add.at(sums, unit, rows)
        _, first = np.unique(unit, return_index=True)
        _, stratum = np.unique(np.asarray(domains)[first], return_inverse=True)
        lonely = np.bincount(stratum)[stratum] < 2
        _, stratum = np.unique(np.where(lonely, -1, stratum), return_inverse=True)
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
        for who in members:
            weights[:, who] = _draw(rng, size, len(who))
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
        nothing = Interval(None, None, level, method, resamples, len(units))
        return dict.fromkeys(statistics, nothing)
    values = bootstrap(units, statistics, resamples, seed)
    found = {}
    for name, statistic in statistics.items():
        low, high = interval_of(values[name], units, statistic, method, level)
        found[name] = Interval(low, high, level, method, resamples, len(units))
    return found


def interval_of(
    values: FloatArray, units: Units, statistic: Statistic, method: Method, level: float
) -> tuple[float | None, float | None]:
    """Return the interval that resampled values give; (None, None) where too few are defined."""
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
    """Return the tails corrected for bias and for acceleration (Efron 1987).

    With strata, the influence of a unit is weighted by its stratum's size (Davison and Hinkley
    1997, eq. 5.31). Where nothing varies, the tails are returned as they are.
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
    """Return the acceleration constant, from leaving out one unit at a time."""
    size = np.bincount(units.stratum)[units.stratum].astype(np.float64)
    total = units.sums.sum(axis=0)
    # The others of the stratum stand in for the one left out, so that strata keep their weight.
    own = np.zeros((int(units.stratum.max()) + 1, units.sums.shape[1]))
    np.add.at(own, units.stratum, units.sums)
    others = own[units.stratum] - units.sums
    rest = total - own[units.stratum] + others * (size / np.maximum(size - 1, 1))[:, None]
    without = statistic(rest)
    known = np.isfinite(without)
    influence = (float(np.mean(without[known])) - without[known]) * (size[known] - 1)
    weighted = influence / size[known]
    spread = float((weighted**2).sum())
    return float((weighted**3).sum()) / (6 * spread**1.5) if spread > 0 else 0.0


def _draw(rng: np.random.Generator, resamples: int, units: int) -> IntArray:
    """Return how often each unit is drawn [resamples, units]; every row sums to ``units``."""
    drawn = rng.integers(0, units, (resamples, units)) + np.arange(resamples)[:, None] * units
    return np.bincount(drawn.ravel(), minlength=resamples * units).reshape(resamples, units)
