"""Agreement of predicted and labelled counts, case by case."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metaphase.arrays import IntArray

CATEGORY_EDGES_PER_MM2 = (4.0, 8.0)
"""Mitotic-count categories of the Nottingham grade per mm2 (CAP protocol for invasive breast
carcinoma: up to 3, 4 to 7, 8 and more). Here they are computed for the whole image of a case, not
for a hotspot: they compare counts and are no grade."""

CATEGORIES = ("< 4", "4 to < 8", ">= 8")


@dataclass(frozen=True, slots=True)
class CountAgreement:
    """Predicted minus labelled counts over cases (Bland and Altman 1986), and their categories.

    ``bias`` is the mean difference, ``low, high`` the 95 % limits of agreement (bias -/+ 1.96 sd;
    None with fewer than two cases). ``confusion[i][j]`` counts the cases of labelled category i and
    predicted j. ``kappa`` is Cohen's with quadratic weights (None where agreement by chance is
    complete). ``in_category`` is the share of cases with equal categories.
    """

    cases: int
    bias: float | None
    low: float | None
    high: float | None
    mean_absolute: float | None
    confusion: tuple[tuple[int, ...], ...]
    in_category: float | None
    kappa: float | None


def count_agreement(
    labelled: ArrayLike, predicted: ArrayLike, area_mm2: ArrayLike
) -> CountAgreement:
    """Compare labelled with predicted counts [n] of cases with areas [n] in mm2.

    Cases without an area have no density and no category.
    """
    truth, counted = np.asarray(labelled, np.float64), np.asarray(predicted, np.float64)
    area = np.asarray(area_mm2, np.float64)
    difference = counted - truth
    n = len(difference)
    bias = float(difference.mean()) if n else None
    spread = 1.96 * float(difference.std(ddof=1)) if n > 1 else None
    sized = area > 0
    table = confusion(
        categories(truth[sized] / area[sized]), categories(counted[sized] / area[sized])
    )
    return CountAgreement(
        cases=n,
        bias=bias,
        low=None if bias is None or spread is None else bias - spread,
        high=None if bias is None or spread is None else bias + spread,
        mean_absolute=float(np.abs(difference).mean()) if n else None,
        confusion=tuple(tuple(int(v) for v in row) for row in table),
        in_category=float(np.trace(table) / table.sum()) if table.sum() else None,
        kappa=quadratic_kappa(table),
    )


def categories(per_mm2: ArrayLike) -> IntArray:
    """Return the category 0, 1 or 2 of densities [n] of mitotic figures."""
    return np.searchsorted(CATEGORY_EDGES_PER_MM2, np.asarray(per_mm2, np.float64), side="right")


def confusion(labelled: IntArray, predicted: IntArray) -> IntArray:
    """Return how many cases have each pair of categories [3, 3]."""
    size = len(CATEGORIES)
    flat = np.bincount(labelled * size + predicted, minlength=size * size)
    return flat.reshape(size, size)


def quadratic_kappa(table: IntArray) -> float | None:
    """Return Cohen's kappa with quadratic weights of a confusion table (Cohen 1968)."""
    total = table.sum()
    if not total:
        return None
    size = len(table)
    weight = np.subtract.outer(np.arange(size), np.arange(size)) ** 2
    chance = np.outer(table.sum(axis=1), table.sum(axis=0)) / total
    by_chance = float((weight * chance).sum())
    return 1 - float((weight * table).sum()) / by_chance if by_chance else None
