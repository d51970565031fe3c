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

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from metaphase.boxes import as_boxes
from metaphase.evaluation.evaluate import evaluate
from metaphase.labels.dataset import Dataset
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.slides.open import open_case
from metaphase.training.data.masked import load_masked
from metaphase.units import area_mm2, um_to_px
from studies.common import Subject, arguments, finish, look_at, share_interval, subjects, tell

FOLDER = "icpr2012/hamamatsu_unlabelled"
MPP = 0.2274


def away(points: NDArray[np.float64], boxes: NDArray[np.float64], radius: float) -> int:
    """Return how many points [n, 2] lie farther than ``radius`` from all boxes x1, y1, x2, y2."""
    far = np.ones(len(points), bool)
    for x1, y1, x2, y2 in boxes:
        nearest = np.clip(points, (x1, y1), (x2, y2))
        far &= np.hypot(*(points - nearest).T) > radius
    return int(far.sum())


def twins(fields: Dataset, folder: Path) -> Dataset:
    """Return those fields that are in the folder too, as another scanner shows them."""
    images = {case.id: folder / f"H{Path(case.id).name[1:]}.jpg" for case in fields}
    return Dataset(
        replace(case, image=image, mpp=MPP, width_px=None, height_px=None)
        for case in fields
        if (image := images[case.id]).is_file()
    )


def counted(subject: Subject, folder: Path) -> Iterator[tuple[str, int, float]]:
    """Yield way, false positives and mm2 of every field that both scanners show."""
    runtime = subject.runtime()
    painted = twins(subject.fields, folder)
    masked = load_masked(folder / "painted.json", painted)
    for case in painted:
        alone = subject.fields.select([case.id])
        with open_case(alone[case.id]) as slide:
            found = {case.id: look_at(slide, subject, runtime)}
        scores = evaluate(found, alone).overall
        yield "Aperio XT, labelled", scores.counts.fp, scores.area_mm2
        with open_case(case) as slide:
            area = area_mm2(slide.width_px, slide.height_px, slide.mpp)
            radius = um_to_px(MATCH_RADIUS_UM, slide.mpp)
            for way, own in (("painted", False), ("its own stains", True)):
                seen = look_at(slide, subject, runtime, keep_stains=own)
                points = seen.with_label().above_threshold().points
                yield (
                    f"NanoZoomer, {way}",
                    away(points, masked.get(case.id, as_boxes([])), radius),
                    area,
                )


def main() -> None:
    parser = arguments(__doc__)
    data = Path(os.environ.get("METAPHASE_DATA", "../shared/data"))
    parser.add_argument("--painted", type=Path, default=data / FOLDER, help="folder of the images")
    given = parser.parse_args()
    ways: dict[str, list[tuple[int, float]]] = {}
    for subject in subjects(given):
        for way, count, area in counted(subject, given.painted):
            ways.setdefault(way, []).append((count, area))
    rows, result = [], {}
    for way, pairs in ways.items():
        fp, area = np.array(pairs, float).T
        each = [str(n) for n in range(len(fp))]
        low, high = share_interval(fp.tolist(), area.tolist(), each, given.seed)
        count, mm2 = int(fp.sum()), float(area.sum())
        interval = f"{low:.1f} to {high:.1f}"
        rows.append([way, len(fp), f"{mm2:.2f}", count, f"{count / mm2:.1f}", interval])
        result[way] = {"fp": count, "mm2": mm2, "interval": [low, high]}
    head = ["fields", "number", "mm2", "false positives", "per mm2", "95 % interval"]
    tell("False positives away from figures", head, rows)
    finish(result, given.json)


if __name__ == "__main__":
    main()
