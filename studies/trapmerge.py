"""Wrong merging of the candidates of a trained RetinaNet: the y position used as the score.

The exercise passed centres to a non-maximum suppression that takes the last column for the score;
it was y. The variants differ only in the merging.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from metaphase.boxes import as_points
from metaphase.detection.candidates import Candidates
from metaphase.detection.decode import decode
from metaphase.detection.merge import merge
from metaphase.detection.pipeline import candidates_of_tile
from metaphase.detection.plan import Settings, make_plan
from metaphase.detection.runtime import open_runtime
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.matching import match
from metaphase.figures import points_of
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import load_model
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.slides.open import open_case
from metaphase.units import um_to_px

MIN_SCORE = 0.02
WAYS = {
    "by score (one tested merge)": "score",
    "y taken for the score, then the threshold": "y first",
    "the threshold, then y taken for the score": "threshold first",
    "not at all": "none",
}


def merging_table(folder: Path, cases: Dataset) -> str:
    """Return the scores of a run's model on cases, for each way of merging."""
    model = load_model(folder / "model")
    runtime = open_runtime(model)
    threshold = model.card.threshold.value
    totals = dict.fromkeys(WAYS, Counts())
    for case in cases:
        with open_case(case) as slide:
            plan = make_plan(slide, model, Settings(min_score=MIN_SCORE))
            scale, side = plan.grid.scale, plan.grid.tile
            parts = []
            for number in plan.tiles.tolist():
                x, y = plan.grid.corner(number)
                pixels = slide.read(x * scale, y * scale, side, side, plan.mpp)
                maps = runtime.run(pixels[None])
                (found,) = decode(maps, model.card.head, min_score=MIN_SCORE)
                parts.append(candidates_of_tile(plan, number, found))
            rows = Candidates.join(parts).rows
            radius = um_to_px(MATCH_RADIUS_UM, slide.mpp)
        for name, way in WAYS.items():
            kept = _kept(rows, way, threshold, plan.merge_radius_px)
            matching = match(points_of(case.figures), as_points(kept[:, :2]), kept[:, 2], radius)
            totals[name] += Counts(matching.tp, matching.fp, matching.fn)
    lines = ["| merged | F1 | precision | recall |", "|---|---|---|---|"]
    for name, counts in totals.items():
        rates = (counts.f1 or 0, counts.precision or 0, counts.recall or 0)
        lines.append(f"| {name} | " + " | ".join(f"{value:.3f}" for value in rates) + " |")
    return "\n".join(lines) + "\n"


def _kept(rows: np.ndarray, way: str, threshold: float, radius_px: float) -> np.ndarray:
    if way == "threshold first":
        rows = rows[rows[:, 2] >= threshold]
    if way != "none" and len(rows):
        rank = rows[:, 2] if way == "score" else rows[:, 1]
        rows = rows[merge(rows[:, 0], rows[:, 1], rank, rows[:, 3], radius_px)]
    return np.asarray(rows[rows[:, 2] >= threshold])
