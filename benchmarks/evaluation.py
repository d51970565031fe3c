"""Evaluation of 503 cases with 26,286 labels and 100,000 detections, and its bootstrap.

Random positions; the sizes are those of MIDOG++.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.figures import LABELS, Detections, Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance

_CASES, _LABELS, _DETECTIONS, _SIDE = 503, 26_286, 100_000, 7000


def rows() -> Iterator[tuple[str, str, str, str]]:
    dataset, detections = _made()
    start = time.perf_counter()
    scores = evaluate(detections, dataset)
    first = time.perf_counter() - start
    yield "evaluate, with AP and FROC", f"{first:.2f} s", "target: 5 s", f"{first / 5:.2f}"
    start = time.perf_counter()
    with_intervals(scores, resamples=10_000)
    second = time.perf_counter() - start
    yield "10,000 resamples", f"{second:.2f} s", "target: 10 s", f"{second / 10:.2f}"


def _made() -> tuple[Dataset, dict[str, Detections]]:
    rng = np.random.default_rng(0)
    owner = rng.integers(_CASES, size=_LABELS)
    places = rng.uniform(0, _SIDE, (_LABELS, 2))
    codes = rng.integers(2, size=_LABELS)
    cases, found = [], {}
    for number in range(_CASES):
        name = f"{number:03d}"
        mine = np.flatnonzero(owner == number)
        figures = tuple(Figure(str(i), *map(float, places[i]), LABELS[int(codes[i])]) for i in mine)
        cases.append(Case(name, mpp=0.25, figures=figures, scanner=f"scanner {number % 5}"))
        count = _DETECTIONS // _CASES
        near = places[mine][: count // 2] + rng.normal(0, 10, (min(len(mine), count // 2), 2))
        points = np.concatenate([near, rng.uniform(0, _SIDE, (count - len(near), 2))])
        points = points.clip(0, _SIDE)
        provenance = Provenance(name, _SIDE, _SIDE, 0.25, threshold=0.5)
        found[name] = Detections(
            points[:, 0], points[:, 1], rng.uniform(0, 1, count), provenance=provenance
        )
    return Dataset(cases, name="random"), found
