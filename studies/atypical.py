"""How well atypical mitotic figures are recognised, by cross-validation by case.

    metaphase train recipes/atypical.toml --out RUN
    python -m studies.atypical scores RUN [--resamples 2000] [--json scores.json]
    python -m studies.atypical baseline recipes/atypical.toml
    python -m studies.atypical add MODEL RUN/model OUT

``scores`` prints, from the logits of left-out figures that the run wrote: balanced accuracy, AUROC,
sensitivity and specificity of all figures and of each scanner, the worst one first, with intervals
by bootstrap over cases. Calibration and threshold of a fold come from the figures of the other
folds. ``baseline`` prints the same for a logistic regression on features that are not trained.
``add`` writes a copy of a model file with the network for atypical figures of another one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from metaphase.arrays import FloatArray
from metaphase.csvfile import CsvTable
from metaphase.detection.decode import sigmoid
from metaphase.errors import InputError
from metaphase.evaluation.atypical import AtypicalScore, AtypicalScores
from metaphase.evaluation.bootstrap import RESAMPLES
from metaphase.evaluation.casescore import MAJORITY
from metaphase.evaluation.tables import interval_text, number
from metaphase.files import write_json
from metaphase.models.atypicalpart import add_atypical
from metaphase.models.modelfile import load_model
from metaphase.models.networks.window import WindowNetwork
from metaphase.training.atypical.calibration import Calibration, calibrate, nested_scores
from metaphase.training.atypical.features import HalfArray
from metaphase.training.runfolder import RunFolder

RIDGE = 1000.0
"""Penalty of the baseline's weights, in figures."""


def main() -> None:
    """Print the scores of a run or of the baseline, or add a network to a model."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    scores = commands.add_parser("scores")
    scores.add_argument("run", type=Path)
    baseline = commands.add_parser("baseline")
    baseline.add_argument("recipe", type=Path)
    for one in (scores, baseline):
        one.add_argument("--resamples", type=int, default=RESAMPLES)
        one.add_argument("--json", type=Path)
    add = commands.add_parser("add")
    for name in ("model", "source", "out"):
        add.add_argument(name, type=Path)
    given = parser.parse_args()
    if given.command == "add":
        model = add_atypical(load_model(given.model), load_model(given.source), given.out)
        print(f"{model.folder}: {model.id}")
        return
    result, calibration = (
        of_run(given.run, given.resamples)
        if given.command == "scores"
        else of_baseline(given.recipe, given.resamples)
    )
    print(table(result))
    print(
        f"Threshold {calibration.threshold:.3f}; log-odds = {calibration.slope:.3f} x logit "
        f"{calibration.intercept:+.3f}; spread between cases {calibration.spread:.2f}."
    )
    if given.json is not None:
        write_json(given.json, result.to_dict())


def of_run(run: Path, resamples: int) -> tuple[AtypicalScores, Calibration]:
    """Return the scores of a run from its left-out logits, and the calibration from all of them."""
    path = RunFolder(run).atypical_logits
    rows = [dict(zip(("case", "scanner", "fold", "atypical", "logit"), values, strict=True))
            for _, values in CsvTable(path, InputError)]  # fmt: skip
    logits = np.array([float(row["logit"]) for row in rows])
    truth = np.array([float(row["atypical"]) for row in rows]) >= MAJORITY
    fold = np.array([int(row["fold"]) for row in rows])
    group, scanner = [row["case"] for row in rows], [row["scanner"] for row in rows]
    scores = nested_scores(logits, truth, group, scanner, fold, resamples=resamples)
    return scores, calibrate(logits, truth, group)


def of_baseline(recipe_path: Path, resamples: int) -> tuple[AtypicalScores, Calibration]:
    """Return the scores of a logistic regression on pooled features that are not trained."""
    from metaphase.training.atypical.features import compute_features
    from metaphase.training.atypical.figures import labelled_figures
    from metaphase.training.atypical.training import starting_network
    from metaphase.training.data.sources import crop_cases, region_cases
    from metaphase.training.recipe.recipe import load_recipe

    recipe = load_recipe(recipe_path)
    settings = recipe.atypical
    if settings is None or settings.model is None:
        raise SystemExit(f"{recipe_path} names no model in a section [atypical]")
    network = starting_network(recipe, load_model(settings.model))
    figures = labelled_figures(region_cases(recipe), crop_cases(recipe), settings, network.input)
    features = compute_features(network, figures, settings, recipe.augment, recipe.seed)
    stages = settings.trained_stages
    views, plain = (_pooled(network, part, stages) for part in (features.views, features.plain))
    truth, fold = figures.atypical, figures.folds(settings.folds)
    logits = np.zeros(len(figures))
    for left_out in np.unique(fold):
        chosen = fold != left_out
        x = np.concatenate([views[:, chosen].reshape(-1, views.shape[2]), plain[:, chosen].mean(0)])
        y = np.tile(truth[chosen], len(views) + 1)
        weights, bias = regression(x, y)
        logits[~chosen] = plain[:, ~chosen].mean(0) @ weights + bias
    scores = nested_scores(logits, truth, figures.group, figures.scanner, fold, resamples=resamples)
    return scores, calibrate(logits, truth, figures.group)


def _pooled(network: WindowNetwork, maps: HalfArray, stages: int) -> FloatArray:
    """Return pooled features [views, n, channels] of maps [views, n, c, h, w]."""
    parts = []
    with torch.inference_mode():
        for view in maps:
            tensors = torch.from_numpy(view.astype(np.float32)).split(256)
            parts.append(
                torch.cat([network.pooled_after(one, stages) for one in tensors]).double().numpy()
            )
    return np.stack(parts)


def regression(x: FloatArray, y: FloatArray, steps: int = 30) -> tuple[FloatArray, float]:
    """Return weights [k] and bias of a logistic regression with balanced classes, by Newton's
    method."""
    mean, std = x.mean(axis=0), x.std(axis=0) + 1e-6
    z = np.column_stack([(x - mean) / std, np.ones(len(x))])
    weight = np.where(y, 0.5 / y.mean(), 0.5 / (1 - y.mean()))
    penalty = np.diag([RIDGE] * x.shape[1] + [0.0])
    beta = np.zeros(z.shape[1])
    for _ in range(steps):
        p = sigmoid(z @ beta)
        hessian = (z * (weight * p * (1 - p))[:, None]).T @ z + penalty
        step = np.linalg.solve(hessian, z.T @ (weight * (y - p)) - penalty @ beta)
        beta += step
        if np.abs(step).max() < 1e-8:
            break
    weights = beta[:-1] / std
    return weights, float(beta[-1] - mean @ weights)


def table(scores: AtypicalScores) -> str:
    """Return a Markdown table: each scanner, the worst one first, and all figures."""
    head = ("scanner", "cases", "figures", "atypical", "balanced accuracy", "95 %", "AUROC",
            "sensitivity", "specificity")  # fmt: skip
    lines = [head, ("---",) * len(head)]
    lines += [_cells(name, score) for name, score in scores.rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cells(name: str, score: AtypicalScore) -> tuple[str, ...]:
    rates = (score.auroc, score.sensitivity, score.specificity)
    return (
        name,
        str(score.groups),
        str(score.figures),
        str(score.atypical),
        number(score.balanced_accuracy),
        interval_text(score.intervals.get("balanced_accuracy")),
        *map(number, rates),
    )


if __name__ == "__main__":
    main()
