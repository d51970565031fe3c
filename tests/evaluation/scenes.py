"""Data sets and detections made by hand or by seed, for the tests of this folder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metaphase.figures import Detections, Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance

MPP = 0.25
Point = Sequence[float]


def case(
    name: str,
    figures: Sequence[Point] = (),
    negatives: Sequence[Point] = (),
    **facts: object,
) -> Case:
    """Return a labelled case with figures at points in px."""
    made = [Figure(f"{name}-m{i}", x, y) for i, (x, y) in enumerate(figures)]
    made += [
        Figure(f"{name}-h{i}", x, y, Label.HARD_NEGATIVE) for i, (x, y) in enumerate(negatives)
    ]
    return Case(name, figures=tuple(made), **facts)  # type: ignore[arg-type]


def found(
    name: str,
    points: Sequence[Point] = (),
    scores: Sequence[float] = (),
    labels: Sequence[int] | None = None,
    *,
    threshold: float = 0.5,
    mpp: float = MPP,
    **parameters: object,
) -> Detections:
    """Return detections at points in px, in an image of 4000 x 4000 px (1 mm2)."""
    xy = np.asarray(points, float).reshape(-1, 2)
    return Detections(
        xy[:, 0],
        xy[:, 1],
        scores,
        labels,
        provenance=Provenance(
            f"{name}.tiff",
            4000,
            4000,
            mpp,
            model="hand",
            threshold=threshold,
            parameters=dict(parameters),
        ),
    )


def random_scene(
    seed: int, cases: int = 12, domains: int = 3
) -> tuple[Dataset, dict[str, Detections]]:
    """Return cases of several scanners with detections that are right more often at high scores."""
    rng = np.random.default_rng(seed)
    made, detections = [], {}
    for i in range(cases):
        figures = rng.uniform(50, 3950, (rng.poisson(6), 2))
        negatives = rng.uniform(50, 3950, (rng.poisson(6), 2))
        noise = rng.uniform(50, 3950, (rng.poisson(6), 2))
        points = np.concatenate([figures, negatives, noise]) + rng.normal(
            0, 8, (len(figures) + len(negatives) + len(noise), 2)
        )
        scores = np.concatenate(
            [
                rng.beta(5, 2, len(figures)),
                rng.beta(2, 3, len(negatives)),
                rng.beta(1, 5, len(noise)),
            ]
        ).round(2)
        name = f"case{i:02}"
        made.append(
            case(name, figures.tolist(), negatives.tolist(), scanner=f"scanner {i % domains}")
        )
        detections[name] = found(name, points.tolist(), scores.tolist())
    return Dataset(made, name="random"), detections
