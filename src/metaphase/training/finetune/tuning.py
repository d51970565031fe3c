"""Fine-tune a second stage with decisions: the head alone, or the body too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaphase.arrays import Float32Array, FloatArray, IntArray, Pixels
from metaphase.models.modelfile import Model
from metaphase.training.finetune.bodytraining import fine_tune_body
from metaphase.training.finetune.crossvalidation import cross_validate, parts_of
from metaphase.training.finetune.features import (
    ClassifierNetwork,
    head_of,
    set_head,
    window_features,
)
from metaphase.training.finetune.finetunedmodel import load_window_network
from metaphase.training.finetune.head import Posterior, Prior, fit_head

PRECISION = 1000.0
"""Prior precision of the head before there are decisions, and after the body was trained."""
BODY_FOLDS = 3
"""Trainings of the body for the cross-validation."""

Progress = Callable[[str, float], None]


@dataclass(frozen=True, eq=False)
class Tuned:
    """A fine-tuned second stage.

    ``logits``: by image, [n, symmetries]. ``left_out_scores`` and ``left_out`` [n]: logits of all
    candidates by a network that did not learn from the decisions on their image, for their scores
    and for their probabilities. ``features`` [n, d] and ``posterior``: by
    which the next candidates are chosen. ``record``: how it was trained, for the card.
    """

    network: ClassifierNetwork
    logits: list[FloatArray]
    left_out_scores: FloatArray
    left_out: FloatArray
    features: FloatArray
    posterior: Posterior
    record: dict[str, Any]


def untuned(second: Model, mean: FloatArray, features: Sequence[Float32Array]) -> Tuned:
    """Return a second stage without decisions, to choose the first candidates by."""
    network = load_window_network(second)
    head = head_of(network)
    posterior = fit_head(Prior.of(head, mean, PRECISION), mean[:0], np.zeros(0))
    logits = [head.logits(one.astype(np.float64)) for one in features]
    scores = head.logits(mean)
    return Tuned(network, logits, scores, scores, mean, posterior, {})


def fine_tune(
    second: Model,
    *,
    features: Sequence[Float32Array],
    windows: Sequence[Pixels],
    target: FloatArray,
    slide: IntArray,
    depth: str,
    seed: int = 0,
    progress: Progress = lambda text, part: None,
) -> Tuned:
    """Fine-tune a second stage.

    ``features`` [n, symmetries, d] and ``windows`` [n, side, side, 3] by image; ``target`` [n] (NaN
    where undecided) and ``slide`` [n] of all candidates, in the order of the images.
    """
    network = load_window_network(second)
    if depth == "head":
        return _tune_head(network, features, target, slide, progress)
    if depth not in ("last", "all"):
        raise ValueError(f"unknown depth {depth!r}")
    return _tune_body(network, features, windows, target, slide, depth, seed, progress)


def _tune_head(
    network: ClassifierNetwork,
    features: Sequence[Float32Array],
    target: FloatArray,
    slide: IntArray,
    progress: Progress,
) -> Tuned:
    progress("fitting the last layer", 0.0)
    mean = _mean(features)
    prior = Prior.of(head_of(network), mean, PRECISION)
    validated = cross_validate(prior, mean, target, parts_of(slide, ~np.isnan(target)))
    posterior = validated.posterior
    head = posterior.score_head
    set_head(network, head)
    record = {
        "depth": "head",
        "prior_precision": posterior.prior.precision,
        "cross_entropy": {f"{key:g}": value for key, value in validated.losses.items()},
    }
    logits = [head.logits(one.astype(np.float64)) for one in features]
    progress("fitting the last layer", 1.0)
    return Tuned(
        network,
        logits,
        validated.score_logits,
        validated.probability_logits,
        mean,
        posterior,
        record,
    )


def _tune_body(
    network: ClassifierNetwork,
    features: Sequence[Float32Array],
    windows: Sequence[Pixels],
    target: FloatArray,
    slide: IntArray,
    depth: Any,
    seed: int,
    progress: Progress,
) -> Tuned:
    symmetries = features[0].shape[1]
    pixels = np.concatenate(list(windows))
    decided = ~np.isnan(target)
    fold = _folds(parts_of(slide, decided), decided)
    runs = int(fold.max()) + 2
    left_out = np.empty(len(target))

    def train(used: np.ndarray, run: int) -> ClassifierNetwork:
        def report(done: int, total: int) -> None:
            progress(f"training {run + 1} of {runs}", (run + 0.6 * done / total) / runs)

        return fine_tune_body(
            network, pixels[used], target[used], depth, seed=seed, progress=report
        )

    def features_of(tuned: ClassifierNetwork, rows: np.ndarray, run: int) -> Float32Array:
        def report(done: int, total: int) -> None:
            progress(f"scoring {run + 1} of {runs}", (run + 0.6 + 0.4 * done / total) / runs)

        return window_features(tuned, pixels[rows], symmetries, report)

    for number in range(runs - 1):
        tuned = train(np.flatnonzero(decided & (fold != number)), number)
        rows = np.flatnonzero(fold == number)
        left_out[rows] = head_of(tuned).logits(
            features_of(tuned, rows, number).mean(1, dtype=np.float64)
        )
    final = train(np.flatnonzero(decided), runs - 1)
    new = features_of(final, np.arange(len(target)), runs - 1)
    head, mean = head_of(final), new.mean(axis=1, dtype=np.float64)
    posterior = fit_head(Prior.of(head, mean, PRECISION), mean[decided], target[decided])
    edges = np.cumsum([len(one) for one in features])[:-1]
    logits = [head.logits(one.astype(np.float64)) for one in np.split(new, edges)]
    record = {"depth": depth, "seed": seed}
    return Tuned(final, logits, left_out, left_out, mean, posterior, record)


def _folds(part: IntArray, decided: np.ndarray) -> IntArray:
    """Group the parts into at most BODY_FOLDS folds with about as many decisions each."""
    numbers = np.unique(part)
    sizes = {int(n): int((decided & (part == n)).sum()) for n in numbers}
    totals = np.zeros(min(BODY_FOLDS, len(numbers)))
    fold = np.empty(len(part), np.int64)
    for number in sorted(sizes, key=lambda n: (-sizes[n], n)):
        least = int(np.argmin(totals))
        totals[least] += sizes[number]
        fold[part == number] = least
    return fold


def _mean(features: Sequence[Float32Array]) -> FloatArray:
    return np.concatenate([one.mean(axis=1, dtype=np.float64) for one in features])
