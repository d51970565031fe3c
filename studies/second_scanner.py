"""Scores on a scanner that no model was trained on, on the same tissue.

    python -m studies.second_scanner RUNS [--second $METAPHASE_DATA/icpr2012_hamamatsu]

The fields of a Hamamatsu NanoZoomer show the tissue of the fields of the Aperio XT: ``H00_01`` is
``A00_01`` (ICPR 2012). Each field is scored with the model of the fold that left its slide out, at
that fold's threshold, with and without stain normalisation, and compared with the same fields of
the Aperio. The pixels of the NanoZoomer's figures were translated from the Aperio, so that recall
there is an estimate; false positives are on the scanner's own pixels. Intervals: bootstrap over
fields.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Detections
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.slides.open import open_case
from studies.common import (
    Subject,
    arguments,
    detect_slide,
    finish,
    print_table,
    share_interval,
    subjects,
)

FOLDER = "icpr2012_hamamatsu"
SCANNER = "Hamamatsu NanoZoomer"


@dataclass(frozen=True)
class FieldScore:
    """True, false and missed figures of one field, and its area."""

    tp: int
    fp: int
    fn: int
    area_mm2: float


def same_tissue(fields: Dataset, second: Dataset) -> Dataset:
    """Return the cases of the second scanner that show the given fields."""
    names = {f"H{Path(case.id).name[1:]}" for case in fields}
    return second.where(lambda case: Path(case.id).name in names)


def scored(subject: Subject, second: Dataset) -> Iterator[tuple[str, FieldScore]]:
    """Yield the name of a row and the score of a field, for every field of both scanners."""
    runtime = subject.runtime()
    fields = same_tissue(subject.fields, second)
    shown = {f"A{Path(case.id).name[1:]}" for case in fields}
    for case in subject.fields.where(lambda case: Path(case.id).name in shown):
        with open_case(case) as slide:
            yield "Aperio XT", _score(case, detect_slide(slide, subject, runtime))
    for case in fields:
        with open_case(case) as slide:
            for row, keep in ((SCANNER, False), (f"{SCANNER}, without stain normalisation", True)):
                detections = detect_slide(slide, subject, runtime, keep_stains=keep)
                yield row, _score(case, detections)


def _score(case: Case, detections: Detections) -> FieldScore:
    overall = evaluate({case.id: detections}, Dataset([case])).overall
    counts = overall.counts
    return FieldScore(counts.tp, counts.fp, counts.fn, overall.area_mm2)


def row_of(name: str, fields: list[FieldScore], seed: int) -> tuple[list[str], dict[str, object]]:
    """Return the cells of a row and its numbers."""
    tp, fp, fn = (sum(getattr(f, key) for f in fields) for key in ("tp", "fp", "fn"))
    area = sum(f.area_mm2 for f in fields)
    groups = [str(number) for number in range(len(fields))]
    low, high = share_interval([f.fp for f in fields], [f.area_mm2 for f in fields], groups, seed)
    f1 = 2 * tp / (2 * tp + fp + fn) if tp else 0.0
    precision, recall = tp / max(tp + fp, 1), tp / max(tp + fn, 1)
    rate = fp / area if area else float(np.nan)
    cells = [name, str(len(fields)), f"{f1:.3f}", f"{precision:.3f}", f"{recall:.3f}"]
    cells += [str(fp), f"{rate:.1f}", f"{low:.1f} to {high:.1f}"]
    result = {"tp": tp, "fp": fp, "fn": fn, "area_mm2": area, "fp_per_mm2": [rate, low, high]}
    return cells, result


def main() -> None:
    parser = arguments(__doc__)
    data = Path(os.environ.get("METAPHASE_DATA", "../shared/data"))
    parser.add_argument("--second", type=Path, default=data / FOLDER, help="the second scanner")
    given = parser.parse_args()
    second = load_dataset(
        given.second / "annotations.json", images=given.second / "images", scanner=SCANNER
    )
    by_row: dict[str, list[FieldScore]] = defaultdict(list)
    for subject in subjects(given):
        for row, score in scored(subject, second):
            by_row[row].append(score)
    rows, result = [], {}
    for name, fields in by_row.items():
        cells, result[name] = row_of(name, fields, given.seed)
        rows.append(cells)
    head = ["scanner", "fields", "F1", "precision", "recall", "FP", "FP per mm2", "95 % interval"]
    print_table("The same fields on two scanners", head, rows)
    finish(result, given.json)


if __name__ == "__main__":
    main()
