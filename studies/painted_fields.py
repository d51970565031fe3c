"""False positives on a scanner that no model was trained on, whose figures are painted over.

    python -m studies.painted_fields RUNS [--painted $METAPHASE_DATA/icpr2012/hamamatsu_unlabelled]

The fields of a Hamamatsu NanoZoomer show the tissue of fields that are labelled on the Aperio XT:
``H00_01`` is ``A00_01`` (ICPR 2012). What the labels call a figure is painted over, so that recall
cannot be told, but what is found elsewhere is a false positive. Each field is looked at by the
model of the fold that left its slide out, at that fold's threshold; beside it stand the same fields
on the Aperio. What is found within the matching radius of a painted place does not count.
Intervals: bootstrap over fields.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.detect import detect
from metaphase.detection.runtime import open_runtime
from metaphase.evaluation.evaluate import evaluate
from metaphase.files import write_json
from metaphase.slides.open import open_slide
from metaphase.training.folds import Fold, load_folds
from metaphase.units import MATCH_RADIUS_UM, area_mm2, um_to_px
from studies.common import MIN_SCORE, share_interval, tell

FOLDER = "icpr2012/hamamatsu_unlabelled"
MPP = 0.2274


def away(points: NDArray[np.float64], boxes: Sequence[Sequence[float]], radius: float) -> int:
    """Return how many points [n, 2] lie farther than ``radius`` from all boxes x1, y1, x2, y2."""
    far = np.ones(len(points), bool)
    for x1, y1, x2, y2 in boxes:
        nearest = np.clip(points, (x1, y1), (x2, y2))
        far &= np.hypot(*(points - nearest).T) > radius
    return int(far.sum())


def twin(case_id: str) -> str:
    """Return what a field of the Aperio is called on the NanoZoomer."""
    return f"H{Path(case_id).name[1:]}.jpg"


def found_on(
    fold: Fold, images: dict[str, Path], painted: dict[str, list[list[float]]]
) -> list[tuple[str, float, int, int]]:
    """Return field, mm2, false positives with stains exchanged and with the image's own."""
    runtime = open_runtime(fold.model)
    rows = []
    for case in fold.left_out:
        if (path := images.get(twin(case.id))) is None:
            continue
        with open_slide(path, mpp=MPP) as slide:
            counts = []
            for own in (False, True):
                found = (
                    detect(
                        slide,
                        fold.model,
                        threshold=fold.threshold,
                        min_score=MIN_SCORE,
                        own_stains=own,
                        runtime=runtime,
                        tissue=False,
                    )
                    .with_label()
                    .above_threshold()
                )
                radius = um_to_px(MATCH_RADIUS_UM, slide.mpp)
                counts.append(away(found.points, painted.get(path.name, []), radius))
            area = area_mm2(slide.width_px, slide.height_px, slide.mpp)
            rows.append((case.id, area, *counts))
    return rows


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="folder of 'metaphase cross-validate'")
    data = Path(os.environ.get("METAPHASE_DATA", "../shared/data"))
    parser.add_argument("--painted", type=Path, default=data / FOLDER, help="folder of the images")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    given = parser.parse_args(words)
    painted = json.loads((given.painted / "painted.json").read_text())["painted"]
    images = {path.name: path for path in sorted(given.painted.glob("*.jpg"))}
    rates: dict[str, list[tuple[float, float]]] = {}
    for fold in load_folds(given.runs).folds:
        ours = found_on(fold, images, painted)
        known = fold.detections()
        for name, area, exchanged, own in ours:
            scores = evaluate({name: known[name]}, fold.left_out.select([name])).overall
            rates.setdefault("Aperio XT, labelled", []).append((scores.counts.fp, scores.area_mm2))
            rates.setdefault("NanoZoomer, painted", []).append((exchanged, area))
            rates.setdefault("NanoZoomer, its own stains", []).append((own, area))
    rows, result = [], {}
    for name, pairs in rates.items():
        fp, area = np.array(pairs, float).T
        low, high = share_interval(fp.tolist(), area.tolist(), [str(n) for n in range(len(fp))])
        rate = float(fp.sum() / area.sum())
        interval = f"{low:.1f} to {high:.1f}"
        rows.append([name, len(fp), f"{area.sum():.2f}", int(fp.sum()), f"{rate:.1f}", interval])
        result[name] = {"fp": int(fp.sum()), "mm2": float(area.sum()), "interval": [low, high]}
    head = ["fields", "number", "mm2", "false positives", "per mm2", "95 % interval"]
    tell("False positives away from figures", head, rows)
    if given.json is not None:
        write_json(given.json, result)


if __name__ == "__main__":
    main()
