"""Test protocols of others, so that their numbers can be compared with those on whole regions.

``exercise`` is the protocol of a student report on MIDOG 2021: the detector is tested on patches
that are placed by the labels, two around every mitotic figure, and on ten random patches in each
case. On MIDOG 2021 these cover a sixth of the area and all of the figures. False positives
elsewhere are not counted, so that precision is too high. The scores say nothing about the use of a
detector on whole regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any, Literal

import numpy as np

from metaphase.arrays import BoolArray, FloatArray
from metaphase.boxes import around, as_points
from metaphase.evaluation.casescore import CaseOutcome
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.matching import Rule, match
from metaphase.units import um_to_px

Protocol = Literal["whole", "exercise"]

PATCH_PX = 512
FIGURE_PX = 50
PATCHES_A_FIGURE = 2
RANDOM_PATCHES = 10


@dataclass(frozen=True, slots=True)
class ExerciseScore:
    """Scores on patches placed by the labels. ``share`` is the part of the area they cover."""

    counts: Counts
    patches: int
    share: float
    seed: int

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {
            **asdict(self.counts),
            "f1": self.counts.f1,
            "precision": self.counts.precision,
            "recall": self.counts.recall,
            "patches": self.patches,
            "share_looked_at": self.share,
            "seed": self.seed,
        }


def exercise_score(
    outcomes: Sequence[CaseOutcome],
    sizes: Sequence[tuple[int, int]],
    *,
    radius_um: float,
    rule: Rule = "midog",
    seed: int = 0,
) -> ExerciseScore:
    """Score detections of whole regions as if only the patches of the exercise had been analysed.

    ``sizes`` are the width and height in px of the image of each outcome. Every patch is scored as
    an image of its own, as in the report: a figure in two patches counts twice. The patches are a
    function of seed and case id.
    """
    counts, patches, covered, area = Counts(), 0, 0.0, 0.0
    for outcome, (width, height) in zip(outcomes, sizes, strict=True):
        corners = exercise_patches(outcome.truth, width, height, _seed(seed, outcome.case.id))
        radius_px = um_to_px(radius_um, outcome.case.mpp)
        points, score = (
            outcome.points[outcome.above_threshold],
            outcome.score[outcome.above_threshold],
        )
        for corner in corners:
            truth = outcome.truth[_inside(outcome.truth, corner)]
            inside = _inside(points, corner)
            matching = match(truth, points[inside], score[inside], radius_px, rule)
            counts += Counts(matching.tp, matching.fp, matching.fn)
        patches += len(corners)
        mm2 = outcome.case.mpp**2 * 1e-6
        covered += covered_px(corners, width, height) * mm2
        area += width * height * mm2
    return ExerciseScore(counts, patches, covered / area if area else 0.0, seed)


def exercise_patches(
    truth: FloatArray, width_px: int, height_px: int, seed: int | Sequence[int] = 0
) -> FloatArray:
    """Return the top-left corners [k, 2] of the patches of 512 px in an image.

    Two lie around each figure, at random such that its box of 50 px is inside; ten lie anywhere. A
    patch is moved into the image, unless the image is smaller than the patch.
    """
    rng = np.random.default_rng(seed)
    centres = np.repeat(as_points(truth), PATCHES_A_FIGURE, axis=0)
    slack = PATCH_PX - FIGURE_PX
    guided = around(centres, FIGURE_PX)[:, :2] - rng.uniform(0, slack, (len(centres), 2))
    furthest = np.maximum(np.array([width_px, height_px]) - PATCH_PX, 0)
    elsewhere = rng.uniform(0, 1, (RANDOM_PATCHES, 2)) * furthest
    corners = np.clip(np.concatenate([guided, elsewhere]), 0, furthest)
    return np.asarray(np.floor(corners))


def covered_px(corners: FloatArray, width_px: int, height_px: int) -> float:
    """Return the area in px of the image that patches at whole-pixel corners cover together."""
    low = corners
    high = np.minimum(corners + PATCH_PX, [width_px, height_px])
    xs, ys = np.unique([low[:, 0], high[:, 0]]), np.unique([low[:, 1], high[:, 1]])
    if len(xs) < 2 or len(ys) < 2:
        return 0.0
    covered = np.zeros((len(ys) - 1, len(xs) - 1), bool)
    first, last = np.searchsorted(xs, low[:, 0]), np.searchsorted(xs, high[:, 0])
    top, bottom = np.searchsorted(ys, low[:, 1]), np.searchsorted(ys, high[:, 1])
    for a, b, c, d in zip(top, bottom, first, last, strict=True):
        covered[a:b, c:d] = True
    return float((covered * np.outer(np.diff(ys), np.diff(xs))).sum())


def _inside(points: FloatArray, corner: FloatArray) -> BoolArray:
    return np.asarray(((points >= corner) & (points < corner + PATCH_PX)).all(axis=1))


def _seed(seed: int, case_id: str) -> list[int]:
    """Return a seed for one case, so that its patches do not depend on the other cases."""
    return [
        seed,
        int.from_bytes(sha256(case_id.encode("utf-8", "surrogatepass")).digest()[:8], "big"),
    ]
