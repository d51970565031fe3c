"""Does a model recognise, without labels, the slides on which it fails?

    python -m studies.failure_prediction RECIPE OUT [--svg FILE] [--json FILE]

``OUT`` is the folder of ``studies.left_out`` with finished folds. For every slide that a fold left
out, prints F1, precision and false positives per mm2 at the fold's threshold beside what detection
knows without labels, and the rank correlation (Spearman) of each with the scores:

- the domain shift: the largest ratio, and that of stain, sharpness and response alone (the median
  over the fields of the slide);
- the level of the scores before their normalisation (a logit);
- the mean score of the detections at or above the threshold;
- the detections just below the threshold (down to a third of it) for each one above;
- detections at or above the threshold per mm2.

Slides with fewer than five figures are left out of the correlations. ``--svg`` draws F1 against the
domain shift and against the mean score. Then it prints precision and recall of the slides with a
domain shift (median ratio above 1) and of the others, counts pooled. ``--json`` writes these: they
are part of the warning of ``metaphase detect`` (``studies.ship --domain-shift``).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from scipy.stats import spearmanr

from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.tables import number
from metaphase.files import write_json, write_text
from metaphase.labels.dataset import Dataset
from metaphase.report.svg import Chart, Scale, series
from studies.left_out import BOTH_SCANNERS, CONTEST_SPLIT, Folds, Found, protocols, regions_of

LEAST_FIGURES = 5
SHIFTED, OTHERS = "with a domain shift", "without"
COMPONENTS = ("stain", "sharpness", "response")


@dataclass(frozen=True)
class Row:
    """One slide, as one protocol scored it. ``signs`` are known without labels."""

    protocol: str
    slide: str
    figures: int
    tp: int
    fp: int
    f1: float
    precision: float
    recall: float
    false_positives_per_mm2: float
    signs: dict[str, float]


SCORES: dict[str, Callable[[Row], float]] = {
    "F1": lambda row: row.f1,
    "precision": lambda row: row.precision,
    "recall": lambda row: row.recall,
    "FP/mm2": lambda row: row.false_positives_per_mm2,
}


def signs_of(found: Found, mm2: float) -> dict[str, float]:
    """Return what detection knows of the fields of a slide without their labels."""
    shifts = [one.provenance.parameters.domain_shift for one in found.values()]
    known = [shift for shift in shifts if shift is not None]
    signs = {"domain shift": median(shift.ratio for shift in known)} if known else {}
    for name in COMPONENTS:
        ratios = [s.components[name].ratio for s in known if name in s.components]
        if ratios:
            signs[name] = median(ratios)
    above = np.concatenate(
        [one.score[one.score >= one.provenance.threshold] for one in found.values()]
    )
    below = sum(
        int(np.sum((one.score < one.provenance.threshold)
                   & (one.score >= one.provenance.threshold / 3)))
        for one in found.values()
    )  # fmt: skip
    levels = [one.provenance.parameters.score_level for one in found.values()]
    measured = [level for level in levels if level is not None]
    if measured:
        signs["score level"] = median(measured)
    signs["mean score"] = float(above.mean()) if len(above) else 0.0
    signs["below for each above"] = below / max(1, len(above))
    signs["detections/mm2"] = len(above) / mm2
    return signs


def rows_of(title: str, found: Found, regions: Dataset) -> list[Row]:
    """Return a row for each slide of a protocol."""
    slides: dict[str, Found] = {}
    for case_id, one in found.items():
        slides.setdefault(regions[case_id].domain("group"), {})[case_id] = one
    rows = []
    for slide, part in slides.items():
        group = evaluate(part, regions.select(part)).overall
        rows.append(
            Row(
                title,
                slide,
                group.labelled,
                group.counts.tp,
                group.counts.fp,
                group.f1 or 0.0,
                group.precision or 0.0,
                group.recall or 0.0,
                group.false_positives_per_mm2 or 0.0,
                signs_of(part, group.area_mm2),
            )
        )
    return rows


def print_rows(rows: Sequence[Row]) -> None:
    """Print the slides, the worst first, and the correlations."""
    names = list(rows[0].signs)
    print("| protocol | slide | figures | " + " | ".join([*SCORES, *names]) + " |")
    print("|" + "---|" * (3 + len(SCORES) + len(names)))
    for row in sorted(rows, key=lambda row: row.f1):
        cells = [row.protocol, row.slide, str(row.figures)]
        cells += [number(score(row), 2) for score in SCORES.values()]
        cells += [number(row.signs[name], 2) for name in names]
        print("| " + " | ".join(cells) + " |")
    used = [row for row in rows if row.figures >= LEAST_FIGURES]
    print(f"\nRank correlation over {len(used)} slides\n")
    print("| known without labels | " + " | ".join(SCORES) + " |")
    print("|" + "---|" * (1 + len(SCORES)))
    for name in names:
        values = [row.signs[name] for row in used]
        cells = [
            number(float(spearmanr(values, [score(row) for row in used]).statistic), 2)
            for score in SCORES.values()
        ]
        print("| " + " | ".join([name, *cells]) + " |")


def pooled(rows: Sequence[Row], *, shifted: bool) -> dict[str, float] | None:
    """Return slides, figures, precision and recall of the slides with a domain shift, or of the
    others; None where there are none."""
    part = [row for row in rows if (row.signs["domain shift"] > 1) == shifted]
    detected = sum(row.tp + row.fp for row in part)
    figures = sum(row.figures for row in part)
    if not detected or not figures:
        return None
    right = sum(row.tp for row in part)
    return {
        "slides": len(part),
        "figures": figures,
        "precision": round(right / detected, 3),
        "recall": round(right / figures, 3),
    }


def print_groups(groups: Mapping[str, dict[str, float] | None]) -> None:
    """Print what was measured with and without a domain shift."""
    print("\n| slides | number | figures | precision | recall |\n|---|---|---|---|---|")
    for name, group in groups.items():
        if group is not None:
            cells = [str(group["slides"]), str(group["figures"])]
            cells += [number(group["precision"], 2), number(group["recall"], 2)]
            print("| " + " | ".join([name, *cells]) + " |")


def drawing(rows: Sequence[Row], sign: str) -> str:
    """Return F1 against a sign as SVG, a colour for each protocol."""
    used = [row for row in rows if row.figures >= LEAST_FIGURES]
    highest = max(row.signs[sign] for row in used)
    chart = Chart(f"F1 against {sign}", Scale(0, highest), Scale(0, 1), sign, "F1")
    chart.x_axis()
    chart.y_axis()
    names = list(dict.fromkeys(row.protocol for row in used))
    for row in used:
        kind = series(names.index(row.protocol))
        chart.dot(row.signs[sign], row.f1, kind, f"{row.slide}, {row.protocol}")
    return str(chart)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--svg", type=Path, help="write the drawings as an HTML page")
    parser.add_argument("--json", type=Path, help="write precision and recall with and without")
    given = parser.parse_args()
    regions = regions_of(given.recipe)
    rows = [
        row
        for title, found in protocols(Folds(given.out, regions))
        for row in rows_of(title, found, regions)
        # The others repeat these slides.
        if title not in (BOTH_SCANNERS, CONTEST_SPLIT) and "28 training fields" not in title
    ]
    if not rows:
        parser.error(f"{given.out}: no fold has detected yet; run studies.left_out first")
    print_rows(rows)
    groups = {name: pooled(rows, shifted=name == SHIFTED) for name in (SHIFTED, OTHERS)}
    print_groups(groups)
    if given.json:
        write_json(given.json, {"scores_shifted": groups[SHIFTED], "scores_others": groups[OTHERS]})
    if given.svg:
        write_text(given.svg, "".join(drawing(rows, s) for s in ("domain shift", "mean score")))


if __name__ == "__main__":
    main()
