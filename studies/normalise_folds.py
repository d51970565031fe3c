"""F1 on left-out slides with stain normalisation of the whole slide before detection.

    METAPHASE_DATA=... python -m studies.normalise_folds RUNS OUT [--json normalise.json]

RUNS is the output of ``metaphase cross-validate``. The model of each fold is applied to the
left-out slides, normalised to the fold's training fields by Macenko's or Reinhard's method. The
stains of a slide are estimated once from all its fields, as for a whole slide, without labels.
Thresholds are chosen on the normalised fields of the other folds; the last two columns are F1 with
thresholds chosen on the test fields. Detections are kept in OUT, so that an interrupted study can
be resumed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from metaphase.arrays import Pixels
from metaphase.detectionfile import load_detections, save_detections
from metaphase.errors import DetectionsError
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.slides.open import open_case
from metaphase.stain.macenko import Macenko
from metaphase.stain.reinhard import Reinhard
from metaphase.training.folds.results import Fold, load_folds
from studies.common import Subject, detect_fields, finish, fold_arguments, table
from studies.design import scored

THUMBNAIL_PX = 512
Change = Callable[[Pixels], Pixels]


def together(cases: Dataset) -> Pixels:
    """Return small pictures of cases one below the other."""
    pictures = []
    for case in cases:
        with open_case(case) as slide:
            small = slide.thumbnail(THUMBNAIL_PX)
        side = min(small.shape[:2])
        pictures.append(small[:side, :side])
    width = min(picture.shape[1] for picture in pictures)
    return np.concatenate([picture[:, :width] for picture in pictures])


def change_of(method: str, fold: Fold, slide: Dataset) -> Change:
    """Return the normalisation of a left-out slide to a fold's training fields."""
    if method == "as it is":
        return lambda pixels: pixels
    kind = Macenko if method == "Macenko" else Reinhard
    wanted, own = kind.estimate(together(fold.training)), kind.estimate(together(slide))
    if wanted is None or own is None:
        raise SystemExit(f"{fold.name}: the stains of its fields cannot be estimated")
    return lambda pixels: wanted.transfer(pixels, own)  # type: ignore[arg-type]


METHODS = ("as it is", "Macenko", "Reinhard")


def main(words: Sequence[str] | None = None) -> None:
    given = fold_arguments(__doc__).parse_args(words)
    folds = load_folds(given.runs)
    head = ("left-out slides", "F1", "precision", "recall", "AP", "one threshold", "own thresholds")
    rows = []
    for method in METHODS:
        found: dict[str, Mapping[str, Detections]] = {}
        for fold in folds.folds:
            folder = given.out / method.replace(" ", "-") / fold.name
            found[fold.name] = find(method, fold, folder)
        rows.append((method, *scored(folds, found)))
    print("\n".join(table(head, rows)))
    finish({"rows": [dict(zip(head, row, strict=True)) for row in rows]}, given.json)


def find(method: str, fold: Fold, folder: Path) -> dict[str, Detections]:
    """Return what a fold's model finds in the fields of its left-out slides, or found before."""
    found: dict[str, Detections] = {}
    for slide in fold.left_out.by_domain("group").values():
        try:
            found |= {case.id: load_detections(folder / case.id) for case in slide}
            continue
        except DetectionsError:
            subject = Subject(fold.name, fold.model, fold.threshold, slide, fold.training)
        here = detect_fields(subject, subject.runtime(), change_of(method, fold, slide))
        for name, one in here.items():
            save_detections(one, folder / name)
        found |= here
    return found


if __name__ == "__main__":
    main()
