"""Pitfalls of evaluation, on the left-out detections of a cross-validation: nothing is trained.

Every detection is of a case that its model was not trained on, so only the evaluation differs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any

from metaphase.evaluation.evaluate import Scores, evaluate
from metaphase.evaluation.thresholds import choose_threshold
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.training.folds.results import Folds, load_folds

RADII_UM = (3.0, 6.25, MATCH_RADIUS_UM, 12.5)
RULES = ("midog", "greedy", "optimal", "many-to-many")
SEEDS = 20


def folds_table(folder: Path) -> str:
    """Return Markdown tables of thresholds, protocols, radii and rules."""
    folds = load_folds(folder)
    parts = (thresholds(folds), protocols(folds), matching(folds))
    return "\n".join(parts)


def thresholds(folds: Folds) -> str:
    """Return the scores of the same detections with each way to choose the threshold."""
    found, cases = folds.detections(), folds.regions
    all_chosen, _ = choose_threshold(found, cases, radius_um=folds.radius_um)
    own = {}
    for fold in folds.folds:
        mine = fold.detections()
        value, _ = choose_threshold(mine, fold.left_out, radius_um=folds.radius_um)
        own |= {k: d.with_provenance(threshold=value) for k, d in mine.items()}
    rows = [
        ("chosen on the other folds", _score(found, cases, folds)),
        ("0.5 for all", _score(found, cases, folds, threshold=0.5)),
        (
            f"one for all, chosen on the test cases ({all_chosen:.2f})",
            _score(found, cases, folds, threshold=all_chosen),
        ),
        ("one per fold, chosen on its test cases", _score(own, cases, folds)),
    ]
    frozen = ", ".join(f"{fold.name} {fold.threshold:.2f}" for fold in folds.folds)
    head = (
        f"Thresholds chosen without the fold: {frozen}.\n\n| threshold | F1 | precision | recall |"
    )
    return head + "\n|---|---|---|---|\n" + "".join(_row(name, s) for name, s in rows)


def protocols(folds: Folds) -> str:
    """Return the scores on patches placed by the labels and on whole regions, for each fold."""
    found = folds.detections()
    lines = [
        "| test on | share of the area | F1 | precision | recall |",
        "|---|---|---|---|---|",
    ]
    for name, at in (("chosen threshold", None), ("threshold 0.5", 0.5)):
        whole = _score(found, folds.regions, folds, threshold=at)
        lines.append(f"| whole regions, {name} | 100 % | {_rates(whole)} |")
        drawn = []
        for seed in range(SEEDS):
            scores = _score(
                found, folds.regions, folds, threshold=at, protocol="exercise", seed=seed
            )
            assert scores.exercise is not None
            drawn.append(scores.exercise.to_dict())
        share = mean(one["share_looked_at"] for one in drawn)
        rates = " | ".join(
            f"{mean(d[n] for d in drawn):.3f}" for n in ("f1", "precision", "recall")
        )
        lines.append(
            f"| truth-guided patches, {name} (mean of {SEEDS} draws) | {share:.0%} | {rates} |"
        )
    return "\n".join(lines) + "\n"


def matching(folds: Folds) -> str:
    """Return F1 by rule and radius, at the thresholds chosen at the recipe's radius."""
    found = folds.detections()
    head = "| rule | " + " | ".join(f"{radius:g} um" for radius in RADII_UM) + " |\n"
    lines = [head + "|---" * (len(RADII_UM) + 1) + "|"]
    for rule in RULES:
        scores = [evaluate(found, folds.regions, radius_um=r, rule=rule) for r in RADII_UM]  # type: ignore[arg-type]
        lines.append(f"| {rule} | " + " | ".join(f"{s.f1:.3f}" for s in scores) + " |")
    return "\n".join(lines) + "\n"


def _score(found: Mapping[str, Detections], cases: Dataset, folds: Folds, **how: Any) -> Scores:
    return evaluate(found, cases, radius_um=folds.radius_um, **how)


def _row(name: str, scores: Scores) -> str:
    return f"| {name} | {_rates(scores)} |\n"


def _rates(scores: Scores) -> str:
    return " | ".join(f"{v or 0:.3f}" for v in (scores.f1, scores.precision, scores.recall))
