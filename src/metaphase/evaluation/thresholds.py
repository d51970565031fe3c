"""The choice of the operating threshold on validation cases, and freezing it in the model file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.arrays import FloatArray
from metaphase.errors import LabelError
from metaphase.evaluation.curves import Curve, pooled_curve
from metaphase.evaluation.matching import Gains, Rule, gains
from metaphase.evaluation.pairing import Pair, pair_cases
from metaphase.figures import Detections, Label
from metaphase.labels.dataset import Dataset
from metaphase.models.card import Threshold
from metaphase.models.modelfile import Model, load_model, rewrite_card
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.units import um_to_px

_EQUAL = 1e-12  # the F1 of equal counts differs by less
RESAMPLES = 1000
"""Bootstrap samples of the cases for ``bagged_threshold``."""
_CELLS = 4_000_000  # resamples times scores in one block
_DIGITS = 3  # of a mean of thresholds; the bootstrap is no more precise
_MIDDLE = 0.25  # share of the plateau on either side of its middle in which a round number is taken


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold, its F1, and the plateau ``(low, high]`` of thresholds with the same F1."""

    value: float
    f1: float
    low: float
    high: float


def choose_threshold(
    detections: Mapping[str, Detections] | str | Path,
    dataset: Dataset,
    *,
    radius_um: float = MATCH_RADIUS_UM,
    rule: Rule = "midog",
    tolerance: float = 0.0,
    allow_missing: bool = False,
) -> tuple[float, float]:
    """Return the threshold with the best F1 over all cases, and that F1. See ``best``."""
    pairs = pair_cases(detections, dataset, allow_missing=allow_missing)
    choice = best(curve_of(pairs, radius_um, rule), tolerance=tolerance, lowest=lowest_score(pairs))
    return choice.value, choice.f1


def bagged_threshold(
    detections: Mapping[str, Detections] | str | Path,
    dataset: Dataset,
    *,
    radius_um: float = MATCH_RADIUS_UM,
    rule: Rule = "midog",
    resamples: int = RESAMPLES,
    seed: int = 0,
    allow_missing: bool = False,
) -> tuple[float, float]:
    """Return the threshold to freeze, chosen by bagging, and the F1 of all cases at it.

    Over few cases the curve of F1 has several maxima of nearly the same height, and which of them
    is the highest is chance. Therefore the best threshold is computed on ``resamples`` bootstrap
    samples of the cases, and their mean is returned (bagging, Breiman 1996, Machine Learning 24).
    For a single case it is the best threshold. Raises LabelError without mitotic figures.
    """
    pairs = pair_cases(detections, dataset, allow_missing=allow_missing)
    lowest = lowest_score(pairs)
    tables = [_scores_and_gains(pair, radius_um, rule) for pair in pairs]
    truths = np.array([len(pair.truth()) for pair in pairs])
    curve = pooled_curve([scores for scores, _ in tables], [g for _, g in tables], truths.sum())
    plain = best(curve, lowest=lowest)
    if not len(curve.threshold):
        return plain.value, plain.f1
    scores = np.concatenate([scores for scores, _ in tables])
    order = np.argsort(-scores, kind="stable")
    scores = scores[order]
    case = np.repeat(np.arange(len(pairs)), [len(scores) for scores, _ in tables])[order]
    tp, fp = (np.concatenate([getattr(g, name) for _, g in tables])[order] for name in ("tp", "fp"))
    last = np.flatnonzero(np.diff(scores, append=-1.0))  # equal scores enter together
    edges = np.append(scores[last], min(lowest, scores[-1]))
    share = np.full(len(pairs), 1 / len(pairs))
    drawn = np.random.default_rng(seed).multinomial(len(pairs), share, size=resamples)
    drawn = drawn[drawn @ truths > 0]
    values = [
        _best_of_each(part[:, case], part @ truths, tp, fp, last, edges)
        for part in np.array_split(drawn, 1 + len(drawn) * len(scores) // _CELLS)
    ]
    value = round(float(np.mean(np.concatenate(values))), _DIGITS) if len(drawn) else plain.value
    return value, curve.at(value).f1 or 0.0


def _scores_and_gains(pair: Pair, radius_um: float, rule: Rule) -> tuple[FloatArray, Gains]:
    """Return the scores of the mitotic detections of a case, and what each of them adds."""
    detections = pair.detections.with_label(Label.MITOTIC)
    radius = um_to_px(radius_um, pair.mpp)
    score = detections.score
    return score, gains(pair.truth(), detections.points, score, radius, rule)


def _best_of_each(
    times: NDArray[Any],
    truths: NDArray[Any],
    tp: NDArray[Any],
    fp: NDArray[Any],
    last: NDArray[Any],
    edges: NDArray[Any],
) -> FloatArray:
    """Return the middle of the best thresholds of each resample.

    ``times`` [resamples, detections] is how often the case of a detection was drawn.
    """
    correct = np.cumsum(times * tp, axis=1)[:, last]
    predicted = correct + np.cumsum(times * fp, axis=1)[:, last]
    f1 = 2 * correct / np.maximum(1, predicted + truths[:, None])
    top = f1.max(axis=1, keepdims=True) - _EQUAL
    first = np.argmax(f1 >= top, axis=1)
    places = np.arange(f1.shape[1])
    ends = (f1 < top) & (places > first[:, None])
    after = np.where(ends.any(axis=1), np.argmax(ends, axis=1), f1.shape[1])
    return np.asarray((edges[first] + edges[after]) / 2, dtype=np.float64)


def lowest_score(pairs: list[Pair]) -> float:
    """Return the highest minimum score of all cases; below it detections are incomplete."""
    minima = (pair.detections.provenance.parameters.min_score for pair in pairs)
    return max((value for value in minima if value is not None), default=0.0)


def curve_of(pairs: list[Pair], radius_um: float = MATCH_RADIUS_UM, rule: Rule = "midog") -> Curve:
    """Return the counts at every threshold, matched again at each, pooled over cases."""
    tables = [_scores_and_gains(pair, radius_um, rule) for pair in pairs]
    truths = sum(len(pair.truth()) for pair in pairs)
    return pooled_curve([scores for scores, _ in tables], [g for _, g in tables], truths)


def best(curve: Curve, *, tolerance: float = 0.0, lowest: float = 0.0) -> Choice:
    """Return the threshold with the highest F1 of all thresholds.

    F1 is constant between neighbouring scores, so that the best thresholds form intervals. The
    widest interval is taken, and its middle is rounded to few digits; a score in new images is then
    least likely to cross the threshold. With a ``tolerance``, the interval includes neighbouring
    thresholds whose F1 is lower by at most so much, which varies less on few cases. Thresholds
    below ``lowest``, the minimum score of the detections, are not considered.

    Raises LabelError without mitotic figures, because F1 is then undefined.
    """
    if not curve.truths:
        raise LabelError.of(
            "validation cases",
            "have no mitotic figures, so that no threshold can be chosen on them",
            way_out="validate on cases with figures, or give a threshold",
        )
    # Threshold k counts the scores down to edges[k]; the first counts none.
    edges = np.concatenate([[1.0], curve.threshold])
    f1 = np.concatenate([[0.0], curve.f1])
    lows = np.append(curve.threshold, min(lowest, edges[-1]))
    top = float(f1.max())
    low, high = _widest(f1 >= top - tolerance - _EQUAL, f1 >= top - _EQUAL, lows, edges)
    value = _round_middle(low, high)
    return Choice(value, curve.at(value).f1 or 0.0, low, high)


def _widest(
    good: NDArray[Any], top: NDArray[Any], lows: NDArray[Any], highs: NDArray[Any]
) -> tuple[float, float]:
    """Return the widest run of good thresholds that contains one of the best."""
    marks = np.diff(np.concatenate([[0], good.astype(np.int8), [0]]))
    starts, stops = np.flatnonzero(marks == 1), np.flatnonzero(marks == -1)
    runs = [
        (float(highs[a] - lows[b - 1]), float(lows[b - 1]), float(highs[a]))
        for a, b in zip(starts, stops, strict=True)
        if top[a:b].any()
    ]
    _, low, high = max(runs)
    return low, high


def _round_middle(low: float, high: float) -> float:
    """Return the shortest decimal number near the middle of the interval ``(low, high]``."""
    middle, reach = (low + high) / 2, (high - low) * _MIDDLE
    for digits in range(2, 9):
        value = round(middle, digits)
        if abs(value - middle) <= reach and low < value <= high:
            return value
    return middle if low < middle else high


def freeze_threshold(
    model: Model | str | Path,
    value: float,
    *,
    chosen_on: str,
    protocol: str,
    f1: float | None = None,
) -> Model:
    """Write a threshold and how it was chosen into a model's card, and return the changed model.

    The weights stay; the id of the model changes, because its results do.
    """
    model = model if isinstance(model, Model) else load_model(model)
    threshold = Threshold(value=value, chosen_on=chosen_on, protocol=protocol, f1=f1)
    return rewrite_card(model, threshold=threshold)


def protocol_text(radius_um: float, rule: str) -> str:
    """Return the text of ``protocol`` in a card."""
    kind = "many-to-many" if rule == "many-to-many" else f"one-to-one ({rule})"
    return (
        f"whole regions, {kind} within {radius_um:g} um, mean of the best thresholds (F1) of "
        f"{RESAMPLES:,} resamples of the cases"
    )
