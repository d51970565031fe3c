"""The operating point: chosen on validation data, frozen in the model file, then left alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.errors import LabelError
from metaphase.evaluation.matching import Rule, gains
from metaphase.evaluation.pairing import Pair, pair_up
from metaphase.evaluation.scores import Curve, pooled_curve
from metaphase.figures import Detections, Label
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import Model, load_model, rewrite_card
from metaphase.models.spec import Threshold
from metaphase.units import MATCH_RADIUS_UM, um_to_px

_SAME = 1e-12  # F1 of equal counts differs by no more
_MIDDLE = 0.25  # share of the plateau on either side of its middle in which a round number is taken


@dataclass(frozen=True, slots=True)
class Choice:
    """A threshold with its F1 and the plateau ``(low, high]`` that has the same or nearly so."""

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
    pairs = pair_up(detections, dataset, allow_missing=allow_missing)
    choice = best(curve_of(pairs, radius_um, rule), tolerance=tolerance, lowest=lowest_score(pairs))
    return choice.value, choice.f1


def lowest_score(pairs: list[Pair]) -> float:
    """Return the score below which some case's detector told nothing."""
    asked = (pair.detections.provenance.parameters.get("min_score", 0) for pair in pairs)
    return max((float(value) for value in asked if isinstance(value, int | float)), default=0.0)


def curve_of(pairs: list[Pair], radius_um: float = MATCH_RADIUS_UM, rule: Rule = "midog") -> Curve:
    """Return the counts at every threshold, each as if matched anew, pooled over cases."""
    scores, gained, truths = [], [], 0
    for pair in pairs:
        found = pair.detections.with_label(Label.MITOTIC)
        truth = pair.truth()
        scores.append(found.score)
        gained.append(gains(truth, found.points, found.score, um_to_px(radius_um, pair.mpp), rule))
        truths += len(truth)
    return pooled_curve(scores, gained, truths)


def best(curve: Curve, *, tolerance: float = 0.0, lowest: float = 0.0) -> Choice:
    """Return the best threshold: every score that occurs is a candidate, nothing is skipped.

    F1 is constant between neighbouring scores, so the best is an interval: of equally good ones the
    widest, and of it the middle, rounded as far as that stays near the middle. New images then move
    a figure across the threshold least easily. With a ``tolerance``, the interval is widened to all
    neighbouring thresholds whose F1 is at most so much lower: steadier on few cases. Nothing is
    known of thresholds under ``lowest``, the score at which detections were cut off.

    Raises LabelError where there are no mitotic figures, because F1 then says nothing.
    """
    if not curve.truths:
        raise LabelError.of(
            "validation cases",
            "have no mitotic figures, so no threshold can be chosen on them",
            way_out="validate on cases that have some, or give a threshold",
        )
    # Candidate k keeps the scores down to edges[k]; the first keeps nothing.
    edges = np.concatenate([[1.0], curve.threshold])
    f1 = np.concatenate([[0.0], curve.f1])
    lows = np.append(curve.threshold, min(lowest, edges[-1]))
    top = float(f1.max())
    low, high = _widest(f1 >= top - tolerance - _SAME, f1 >= top - _SAME, lows, edges)
    value = _round_middle(low, high)
    return Choice(value, curve.at(value).f1 or 0.0, low, high)


def _widest(
    good: NDArray[Any], top: NDArray[Any], lows: NDArray[Any], highs: NDArray[Any]
) -> tuple[float, float]:
    """Return the widest run of good candidates that holds one of the top."""
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
    """Write a threshold into a model's card, with what chose it, and return the model as it is now.

    The weights stay; the model's id changes, because its results do.
    """
    model = model if isinstance(model, Model) else load_model(model)
    threshold = Threshold(value=value, chosen_on=chosen_on, protocol=protocol, f1=f1)
    return rewrite_card(model, threshold=threshold)


def protocol_text(radius_um: float, rule: str) -> str:
    """Return the words for a card's ``protocol``."""
    kind = "many-to-many" if rule == "many-to-many" else f"one-to-one ({rule})"
    return f"whole regions, {kind} within {radius_um:g} um, best F1 of all thresholds"
