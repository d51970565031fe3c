"""One case, matched at its threshold: counts, and what each figure and detection came to."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from metaphase.evaluation.curves import Counts
from metaphase.evaluation.matching import Gains, Rule, gains, match
from metaphase.evaluation.pairing import Pair
from metaphase.figures import Label
from metaphase.labels.dataset import DOMAINS
from metaphase.units import um_to_px


class Mistake(StrEnum):
    """What a false positive lies on, the first that is true within the radius."""

    DOUBLE = "double"  # a mitotic figure that another detection has
    HARD_NEGATIVE = "hard negative"
    OTHER = "other"


MISTAKES: tuple[Mistake, ...] = tuple(Mistake)


@dataclass(frozen=True, slots=True)
class CaseScore:
    """The numbers of one case."""

    id: str
    domains: dict[str, str]
    group: str
    mpp: float
    area_mm2: float
    threshold: float
    labelled: int
    predicted: int
    counts: Counts
    mistakes: dict[str, int]
    hard_negatives: int


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """Every mitotic detection and figure of a case, in full-resolution pixels.

    ``points`` [m, 2] and ``score`` [m] are sorted by falling score. ``above_threshold`` [m] marks
    the detections that count, ``true_positive`` [m] those of them that are matched; ``mistake`` [m]
    is an index into ``MISTAKES`` for false positives, else -1. ``truth`` [n, 2] are the labelled
    figures, ``detected`` [n] marks the matched ones. ``gains`` [m] holds the counts at every
    threshold. ``image`` is the path of the pixels; ``model`` and ``model_id`` name the detector.
    """

    case: CaseScore
    points: NDArray[np.float64]
    score: NDArray[np.float64]
    above_threshold: NDArray[np.bool_]
    true_positive: NDArray[np.bool_]
    mistake: NDArray[np.int8]
    truth: NDArray[np.float64]
    detected: NDArray[np.bool_]
    gains: Gains
    image: str = ""
    model: str = ""
    model_id: str = ""


def score_case(pair: Pair, threshold: float, radius_um: float, rule: Rule) -> CaseOutcome:
    """Match one case at a threshold and name every mistake.

    Detections labelled hard negative are a detector's own second class and take no part.
    """
    detections = pair.detections.with_label(Label.MITOTIC)
    points, score, truth = detections.points, detections.score, pair.truth()
    radius_px = um_to_px(radius_um, pair.mpp)
    kept = score >= threshold
    matching = match(truth, points[kept], score[kept], radius_px, rule)
    right = np.zeros(len(score), bool)
    right[kept] = matching.truth_of_point >= 0
    mistake = np.full(len(score), -1, np.int8)
    wrong = kept & ~right
    negatives = pair.truth(Label.HARD_NEGATIVE)
    mistake[wrong] = _mistakes(points[wrong], truth, negatives, radius_px)
    case = pair.case
    return CaseOutcome(
        case=CaseScore(
            id=case.id,
            domains={by: case.domain(by) for by in DOMAINS if by != "group"},
            group=case.domain("group"),
            mpp=pair.mpp,
            area_mm2=pair.area_mm2,
            threshold=threshold,
            labelled=len(truth),
            predicted=int(kept.sum()),
            counts=Counts(matching.tp, matching.fp, matching.fn),
            mistakes={
                str(kind): int((mistake[kept] == i).sum()) for i, kind in enumerate(MISTAKES)
            },
            hard_negatives=len(negatives),
        ),
        points=points,
        score=score,
        above_threshold=kept,
        true_positive=right,
        mistake=mistake,
        truth=truth,
        detected=matching.point_of_truth >= 0,
        gains=gains(truth, points, score, radius_px, rule),
        image=str(case.image or detections.provenance.image),
        model=detections.provenance.model,
        model_id=detections.provenance.model_id,
    )


def _mistakes(
    points: NDArray[np.float64],
    truth: NDArray[np.float64],
    negatives: NDArray[np.float64],
    radius: float,
) -> NDArray[np.int8]:
    kinds = np.full(len(points), MISTAKES.index(Mistake.OTHER), np.int8)
    kinds[_near_any(points, negatives, radius)] = MISTAKES.index(Mistake.HARD_NEGATIVE)
    kinds[_near_any(points, truth, radius)] = MISTAKES.index(Mistake.DOUBLE)
    return kinds


def _near_any(
    points: NDArray[np.float64], places: NDArray[np.float64], radius: float
) -> NDArray[np.bool_]:
    if not len(points) or not len(places):
        return np.zeros(len(points), bool)
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(places).query(points)[0] <= radius)
