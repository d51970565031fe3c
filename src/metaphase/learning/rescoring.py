"""The scores that a fine-tuned second stage gives to the candidates of an image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.detection.decode import sigmoid
from metaphase.detection.scorenormalisation import (
    level_and_shift,
    score_logits,
    shifted_scores,
)
from metaphase.detection.secondstage import combined_score, reaches_floor
from metaphase.figures import SCORE_DECIMALS, Detections, Label
from metaphase.learning.candidates import SlideCandidates
from metaphase.models.card import SecondStage

_LOWEST_SHARE = 0.25
"""Of the candidates, by whose change that of the other detections is estimated."""


@dataclass(frozen=True, slots=True, eq=False)
class NewScores:
    """Final scores [n] of the candidates of an image.

    ``level`` is the logit that the normalisation measured on the image, ``shift`` what it added to
    the logits (0 for a model that does not normalise).
    """

    score: FloatArray
    level: float | None
    shift: float


def new_scores(candidates: SlideCandidates, logits: FloatArray, stage: SecondStage) -> NewScores:
    """Return the final scores from new logits [n, symmetries], by the rules of detection."""
    alone = _normalised(
        candidates, combined_score(candidates.first, sigmoid(logits[:, 0]), stage), stage
    )
    score = final_scores(candidates.first, logits, stage, alone.shift)
    return _normalised(candidates, score, stage)


def final_scores(
    first: FloatArray, logits: FloatArray, stage: SecondStage, shift: float = 0.0
) -> FloatArray:
    """Return the final scores [n] before normalisation, from logits [n, symmetries].

    As in detection, a candidate whose score after one window is below ``stage.floor`` keeps that
    score. ``shift`` is added to the logits of these scores for this.
    """
    alone = sigmoid(logits[:, 0])
    promising = reaches_floor(combined_score(first, alone, stage), shift, stage)
    second = np.where(promising, sigmoid(logits.mean(axis=1)), alone)
    return combined_score(first, second, stage)


def _normalised(candidates: SlideCandidates, score: FloatArray, stage: SecondStage) -> NewScores:
    """Return new scores [n] of the candidates, normalised if the model normalises scores."""
    normalisation = stage.score_normalisation
    if normalisation is None:
        return NewScores(score, None, 0.0)
    new = score_logits(np.round(score, SCORE_DECIMALS))
    everything = np.concatenate([new, candidates.others + _change(candidates, new)])
    level, shift = level_and_shift(everything, candidates.area_mm2, normalisation)
    return NewScores(shifted_scores(new, shift), level, shift)


def shifted(score: FloatArray, shift: FloatArray) -> FloatArray:
    """Return scores [n] with what a normalisation adds to their logits [n]."""
    return np.where(shift == 0, score, shifted_scores(score_logits(score), shift))


def rescored(
    detections: Detections, candidates: SlideCandidates, second: FloatArray, stage: SecondStage
) -> Detections:
    """Return detections with new final scores of the candidates.

    ``second`` [n, symmetries] are the logits of each candidate by the new second stage. Other
    mitotic figures keep their score, apart from the normalisation; other labels keep theirs.
    """
    new = new_scores(candidates, second, stage)
    before = detections.provenance.parameters.score_shift or 0.0
    mitotic = detections.label == Label.MITOTIC.code
    score = np.array(detections.score)
    change = np.full(int(mitotic.sum()), new.shift - before)
    score[mitotic] = shifted(score[mitotic], change)
    row = {(x, y): i for i, (x, y) in enumerate(candidates.points.tolist())}
    for number in np.flatnonzero(mitotic).tolist():
        at = row.get((float(detections.x_px[number]), float(detections.y_px[number])))
        if at is not None:
            score[number] = new.score[at]
    changed = detections.with_score(np.round(score, SCORE_DECIMALS))
    if stage.score_normalisation is None:
        return changed
    level = None if new.level is None else round(new.level, 3)
    return changed.with_parameters(score_level=level, score_shift=new.shift)


def _change(candidates: SlideCandidates, new: FloatArray) -> float:
    """Return how much lower logits rose: the median change of the lowest candidates.

    The level of a large image is that of detections which are no candidates, so that the new
    network has not scored them.
    """
    before = score_logits(candidates.score) - candidates.shift
    lowest = np.argsort(before, kind="stable")
    lowest = lowest[: max(1, round(_LOWEST_SHARE * len(lowest)))]
    return float(np.median(new[lowest] - before[lowest])) if len(lowest) else 0.0
