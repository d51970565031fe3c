"""F1 on left-out slides under colour changes as large as those between real scanners.

    METAPHASE_DATA=... python -m studies.stress_folds RUNS OUT [--json stress.json]

RUNS is the output of ``metaphase cross-validate``. The model of each fold is applied to the
left-out slides, at the threshold that was chosen without them, with hue, saturation and brightness
changed by half and by the whole of the largest difference between two real scanners
(``metaphase.stress.stress.REAL_SHIFTS``, measured by ``studies.scanner_shifts``), in both
directions. Counts are pooled over the folds. Detections are kept in OUT, so that an interrupted
study can be resumed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from metaphase.detectionfile import load_detections
from metaphase.evaluation.evaluate import Scores, evaluate
from metaphase.figures import Detections
from metaphase.stress.perturbations import SWEEPS, Sweep
from metaphase.stress.stress import REAL_SHIFTS, level_name, stress
from metaphase.training.folds.results import Fold, Folds, load_folds
from studies.common import finish, fold_arguments, print_table

NAMES = ("hue", "saturation", "brightness")


def sweeps() -> list[Sweep]:
    """Return the sweeps at nothing, half and whole shifts."""
    chosen = [sweep for sweep in SWEEPS if sweep.name in NAMES]
    return [
        replace(
            sweep,
            levels=(
                sweep.neutral,
                *(float(f"{end:.4g}") for end in sweep.ends(REAL_SHIFTS[sweep.name] / 2)),
            ),
        ).reaching(REAL_SHIFTS[sweep.name])
        for sweep in chosen
    ]


def main(words: Sequence[str] | None = None) -> None:
    given = fold_arguments(__doc__).parse_args(words)
    folds = load_folds(given.runs)
    for fold in folds.folds:
        print(f"fold {fold.name}", file=sys.stderr, flush=True)
        stress(fold.model, fold.left_out, given.out / fold.name, sweeps=sweeps())
    base = pooled(folds, given.out, sweeps()[0], sweeps()[0].neutral)
    rows, figures = [], {"unchanged": base.to_dict()["f1"]}
    for sweep in sweeps():
        for level in sweep.levels:
            if level != sweep.neutral:
                scores = pooled(folds, given.out, sweep, level)
                name = f"{sweep.name} {level:g} {sweep.unit}".strip()
                rows.append((name, *rates(scores), f"{(scores.f1 or 0) - (base.f1 or 0):+.3f}"))
                figures[name] = scores.f1
    print_table(
        "F1 on left-out slides, their colours shifted",
        ("shift", "F1", "precision", "recall", "change of F1"),
        [("none", *rates(base), ""), *rows],
    )
    finish({"f1": figures}, given.json)


def pooled(folds: Folds, out: Path, sweep: Sweep, level: float) -> Scores:
    """Return the scores of all folds at one level, each at its own threshold."""
    found: dict[str, Detections] = {}
    for fold in folds.folds:
        found |= at_level(fold, out / fold.name / "detections" / level_name(sweep, level))
    return evaluate(found, folds.regions, radius_um=folds.radius_um)


def at_level(fold: Fold, folder: Path) -> dict[str, Detections]:
    """Return what a fold's model found at one level, at the threshold chosen without the fold."""
    return {
        case.id: load_detections(folder / case.id).with_provenance(threshold=fold.threshold)
        for case in fold.left_out
    }


def rates(scores: Scores) -> tuple[str, str, str]:
    """Return F1, precision and recall as words."""
    values = (scores.f1, scores.precision, scores.recall)
    f1, precision, recall = (f"{value:.3f}" if value is not None else "–" for value in values)
    return f1, precision, recall


if __name__ == "__main__":
    main()
