"""Normalisation of scores for each image, so that one threshold fits more scanners.

On a scanner that is new, ordinary nuclei score higher or lower than on those of the training, and a
frozen threshold then finds too much or too little. Mitotic figures are few, so the scores of an
image's many candidates show this without labels. The level of an image is the logit that
``per_mm2`` candidates for each mm2 exceed. A final score has the logit

    z - weight * (level - reference)

(as scores are normalised by those of impostors in speaker verification, Auckenthaler et al. 2000).
The order of the scores in an image stays.

The area is that of the squares of ``CELL_UM`` that hold a candidate: tissue without nuclei does not
lower the level of a whole slide.
"""

from __future__ import annotations

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.detection.decode import logit, sigmoid
from metaphase.detection.plan import Plan
from metaphase.figures import SCORE_DECIMALS, Detections, Label
from metaphase.models.card import ScoreNormalisation

CELL_UM = 200.0
LEAST_CANDIDATES = 8
"""With fewer candidates above the level, an image has the usual level."""
_LEAST_SCORE = 10.0**-SCORE_DECIMALS


def with_normalised_scores(
    detections: Detections, plan: Plan, normalisation: ScoreNormalisation | None
) -> Detections:
    """Return detections with normalised scores of mitotic figures.

    ``score_level`` and ``score_shift`` (what was added to the logits) are written to the
    parameters. Unchanged without a normalisation. An image that is too small to measure its level
    gets the usual one.
    """
    if normalisation is None:
        return detections
    mitotic = detections.label == Label.MITOTIC.code
    mpp = detections.provenance.mpp
    area = cellular_area_mm2(detections.points[mitotic], plan.box_px, mpp)
    logits = score_logits(detections.score[mitotic])
    level, shift = level_and_shift(logits, area, normalisation)
    score = np.array(detections.score)
    score[mitotic] = shifted_scores(logits, shift)
    kept = None if level is None else round(level, 3)
    return detections.with_score(score).with_parameters(score_level=kept, score_shift=shift)


def level_and_shift(
    logits: FloatArray, area_mm2: float, normalisation: ScoreNormalisation
) -> tuple[float | None, float]:
    """Return the level of the logits [n] of all candidates of an area, and what is added to them.

    Without enough candidates the level is None, and the shift that of the usual level.
    """
    level = score_level(logits, area_mm2, normalisation.per_mm2)
    return level, normalised_shift(level, normalisation)


def score_logits(score: FloatArray) -> FloatArray:
    """Return the logits of scores, of 0 and 1 those of the nearest score that a file can hold."""
    return logit(np.clip(score, _LEAST_SCORE, 1 - _LEAST_SCORE))


def shifted_scores(logits: FloatArray, shift: FloatArray | float) -> FloatArray:
    """Return the scores of logits to which ``shift`` is added, as exact as a file holds them."""
    return np.round(sigmoid(logits + shift), SCORE_DECIMALS)


def normalised_shift(level: float | None, normalisation: ScoreNormalisation) -> float:
    """Return what is added to the logits of an image. Without a level it has the usual one."""
    known = normalisation.usual if level is None else level
    shift = normalisation.weight * (normalisation.reference - known)
    return round(float(np.clip(shift, -normalisation.most, normalisation.most)), 3)


def score_level(logits: FloatArray, area_mm2: float, per_mm2: float) -> float | None:
    """Return the logit that ``per_mm2`` of the candidates [n] for each mm2 exceed.

    That of the last candidate where there are fewer; None where less than ``LEAST_CANDIDATES``
    would be above it.
    """
    above = int(per_mm2 * area_mm2)
    if above < LEAST_CANDIDATES or len(logits) < LEAST_CANDIDATES:
        return None
    ordered = np.sort(logits)[::-1]
    return float(ordered[min(above, len(ordered) - 1)])


def cellular_area_mm2(
    points: FloatArray, box: tuple[float, float, float, float], mpp: float
) -> float:
    """Return the area (mm2) of the squares of ``CELL_UM`` that hold a point [n, 2], px."""
    return cellular_area_px(points, box, CELL_UM / mpp) * mpp**2 / 1e6


def cellular_area_px(
    points: FloatArray, box: tuple[float, float, float, float], cell_px: float
) -> float:
    """Return the area of the squares of a grid that hold a point [n, 2], inside of a box, px^2.

    ``box`` is x1, y1, x2, y2; the grid begins at its corner.
    """
    if not len(points):
        return 0.0
    low, high = np.array(box[:2], dtype=np.float64), np.array(box[2:], dtype=np.float64)
    cells = np.unique(np.floor((points - low) / cell_px), axis=0)
    first = low + cells * cell_px
    sides = np.clip(np.minimum(first + cell_px, high) - first, 0, None)
    return float(np.prod(sides, axis=1).sum())
