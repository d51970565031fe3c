"""One case, matched at its threshold: its counts, and the result of every figure and detection."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from metaphase.arrays import BoolArray, CodeArray, FloatArray
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.matching import Gains, Matching, Rule, gains, match
from metaphase.evaluation.pairing import Pair
from metaphase.figures import Label
from metaphase.labels.dataset import DOMAINS
from metaphase.provenance import ATYPICAL_THRESHOLD
from metaphase.units import um_to_px

MAJORITY = 0.5
"""Share of readers from which a labelled figure is atypical."""


class Mistake(StrEnum):
    """What lies within the radius of a false positive; of several the first in this order."""

    DOUBLE = "double"  # a mitotic figure that another detection was matched with
    HARD_NEGATIVE = "hard negative"
    OTHER = "other"


MISTAKES: tuple[Mistake, ...] = tuple(Mistake)


@dataclass(frozen=True, slots=True)
class CaseScore:
    """The numbers of one case.

    ``labelled`` and ``predicted`` are counts of mitotic figures, ``hard_negatives`` of labelled
    hard negatives. ``mistakes`` counts the false positives of each kind.
    """

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

    def domain(self, by: str) -> str:
        """Return the scanner, tumour, species, laboratory or group of the case."""
        return self.group if by == "group" else self.domains[by]


@dataclass(frozen=True, slots=True, eq=False)
class AtypicalFigures:
    """Detected figures [k] whose label says whether they are atypical, and whose detection has the
    probability of it; ``threshold`` is the probability from which a figure is called atypical."""

    truth: BoolArray
    probability: FloatArray
    threshold: float


@dataclass(frozen=True, slots=True)
class CaseOutcome:
    """Every mitotic detection and figure of a case, in full-resolution pixels.

    ``points`` [m, 2] and ``score`` [m] are sorted by falling score. ``above_threshold`` [m] marks
    the detections that count, ``true_positive`` [m] those of them that are matched; ``mistake`` [m]
    is an index into ``MISTAKES`` for false positives, else -1. ``truth`` [n, 2] are the labelled
    figures, ``detected`` [n] marks the matched ones. ``gains`` [m] holds the counts at every
    threshold. ``image`` is the path of the pixels; ``model`` and ``model_id`` name the detector.
    ``atypical`` is None where labels or detections say nothing about it.
    """

    case: CaseScore
    points: FloatArray
    score: FloatArray
    above_threshold: BoolArray
    true_positive: BoolArray
    mistake: CodeArray
    truth: FloatArray
    detected: BoolArray
    gains: Gains
    image: str = ""
    model: str = ""
    model_id: str = ""
    atypical: AtypicalFigures | None = None


def score_case(pair: Pair, threshold: float, radius_um: float, rule: Rule) -> CaseOutcome:
    """Match one case at a threshold and classify every false positive.

    Detections labelled as hard negatives are a second class of the detector and are not scored.
    """
    detections = pair.detections.with_label(Label.MITOTIC)
    points, score, truth = detections.points, detections.score, pair.truth()
    radius_px = um_to_px(radius_um, pair.mpp)
    above = score >= threshold
    matching = match(truth, points[above], score[above], radius_px, rule)
    correct = np.zeros(len(score), bool)
    correct[above] = matching.truth_of_point >= 0
    mistake = np.full(len(score), -1, np.int8)
    false = above & ~correct
    negatives = pair.truth(Label.HARD_NEGATIVE)
    mistake[false] = _mistakes(points[false], truth, negatives, radius_px)
    counts = Counts(matching.tp, matching.fp, matching.fn)
    return CaseOutcome(
        case=_case_score(pair, threshold, len(truth), counts, mistake[above], len(negatives)),
        points=points,
        score=score,
        above_threshold=above,
        true_positive=correct,
        mistake=mistake,
        truth=truth,
        detected=matching.point_of_truth >= 0,
        gains=gains(truth, points, score, radius_px, rule),
        image=str(pair.case.image or detections.provenance.image),
        model=detections.provenance.model,
        model_id=detections.provenance.model_id,
        atypical=_atypical(pair, detections.atypical_or_nan[above], matching),
    )


def _atypical(pair: Pair, probability: FloatArray, matching: Matching) -> AtypicalFigures | None:
    """Return the matched figures of which label and detection say whether they are atypical."""
    share, partner = pair.truth_atypical(), matching.point_of_truth
    matched = np.full(len(share), np.nan)
    matched[partner >= 0] = probability[partner[partner >= 0]]
    both = np.isfinite(share) & np.isfinite(matched)
    if not both.any():
        return None
    parameters = pair.detections.provenance.parameters.atypical
    threshold = ATYPICAL_THRESHOLD if parameters is None else parameters.threshold
    return AtypicalFigures(share[both] >= MAJORITY, matched[both], threshold)


def _case_score(
    pair: Pair,
    threshold: float,
    labelled: int,
    counts: Counts,
    mistake: CodeArray,
    hard_negatives: int,
) -> CaseScore:
    case = pair.case
    return CaseScore(
        id=case.id,
        domains={by: case.domain(by) for by in DOMAINS if by != "group"},
        group=case.domain("group"),
        mpp=pair.mpp,
        area_mm2=pair.area_mm2,
        threshold=threshold,
        labelled=labelled,
        predicted=len(mistake),
        counts=counts,
        mistakes={str(kind): int((mistake == i).sum()) for i, kind in enumerate(MISTAKES)},
        hard_negatives=hard_negatives,
    )


def _mistakes(
    points: FloatArray, truth: FloatArray, negatives: FloatArray, radius: float
) -> CodeArray:
    kinds = np.full(len(points), MISTAKES.index(Mistake.OTHER), np.int8)
    kinds[_near_any(points, negatives, radius)] = MISTAKES.index(Mistake.HARD_NEGATIVE)
    kinds[_near_any(points, truth, radius)] = MISTAKES.index(Mistake.DOUBLE)
    return kinds


def _near_any(points: FloatArray, places: FloatArray, radius: float) -> BoolArray:
    if not len(points) or not len(places):
        return np.zeros(len(points), bool)
    from scipy.spatial import cKDTree

    return np.asarray(cKDTree(places).query(points)[0] <= radius)
