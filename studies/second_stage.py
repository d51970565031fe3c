"""What settings of the second stage are worth on slides that were left out.

    METAPHASE_DATA=... python -m studies.second_stage RECIPE RUNS [--folds X1 Y1] [--only NAME...]

RUNS is the folder of ``studies.left_out``, with the proposals of the folds (``RUNS/detectors``, or
``--detectors``); they are used unchanged. For each variant, a second stage of one network is
trained for a short time in RUNS/second-stage/VARIANT/FOLD, with one change at a time, and applied
to the slides that the fold leaves out. Prints average precision, and F1 with the threshold chosen
on these slides, by scanner, over all folds together. Finished parts are kept; ``--print`` trains
nothing. ``--filters`` adds a variant with scanner filters to those of ``--only``.

The variant "ignored" needs the folds n1 and a1 in RUNS: candidates in training fields that are not
labelled, and that the model which never saw their scanner takes for figures, are not learnt from.
These models have seen the slides that X1 and Y1 leave out, but learn nothing of the fields in
question.

Variants are compared with "recipe": all are shorter and smaller than the recipe itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.boxes import as_points, distances
from metaphase.detection.decode import logit, sigmoid
from metaphase.detectionfile import save_detections
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.tables import number
from metaphase.evaluation.thresholds import choose_threshold
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import copy_model, load_model
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.training.data.heldout import exclude_crops
from metaphase.training.data.load import load_data
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.recipe.caselists import expand_lists
from metaphase.training.recipe.recipe import Recipe, load_recipe
from metaphase.training.runfolder import RunFolder
from metaphase.training.secondstage.contexts import away_from
from metaphase.training.secondstage.training import regions_to_learn
from metaphase.training.train import add_second_stage
from studies.common import table
from studies.left_out import DETECTORS, LEFT_OUT, MIN_SCORE, Found, found_in, of_sources, regions_of
from studies.leftoutfolds import (
    APERIO,
    FOLDS,
    HAMAMATSU_CROPS,
    NANOZOOMER,
    NO_APERIO,
    NO_NANOZOOMER,
    PAIRS,
    Fold,
    fold_recipe,
    scored_cases,
)

FOLDER = "second-stage"
SHORT = (
    "second_stage.windows=19200",
    "second_stage.members=[{ window_um = 16, window_px = 96 }]",
)


@dataclass(frozen=True)
class Variant:
    """A change to the short recipe. ``without`` are crops that it does not learn from. Candidates
    that are not labelled and score ``ignored`` or more elsewhere are not learnt from either."""

    what: str
    overrides: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    ignored: float | None = None


VARIANTS: dict[str, Variant] = {
    "recipe": Variant("the recipe, short, with one network"),
    "seed": Variant("another seed", ("seed=1",)),
    "no-nanozoomer": Variant(
        "no NanoZoomer fields",
        (f'second_stage.without_sources=["{PAIRS}", "{NANOZOOMER}"]',),
    ),
    "no-hamamatsu-crops": Variant("no crops of Hamamatsu scanners", without=(HAMAMATSU_CROPS,)),
    "no-nanozoomer-at-all": Variant(
        "neither",
        (f'second_stage.without_sources=["{PAIRS}", "{NANOZOOMER}"]',),
        (HAMAMATSU_CROPS,),
    ),
    "pairs": Variant(
        "with the NanoZoomer fields of ICPR 2012", ("second_stage.without_sources=[]",)
    ),
    "hard-0": Variant("no labelled hard negatives", ("second_stage.hard_negatives=0",)),
    "hard-0.3": Variant("three tenths of them", ("second_stage.hard_negatives=0.3",)),
    "confidence-0": Variant("confidence not used", ("second_stage.confidence_weight=0",)),
    "confidence-1": Variant("confidence as target", ("second_stage.confidence_weight=1",)),
    "crops": Variant("no crops", ("second_stage.crops=0", "second_stage.crop_negatives=0")),
    "lite2": Variant("EfficientNet-Lite2", ("second_stage.backbone=efficientnet_lite2",)),
    "strides": Variant("features at stride 16 and 32", ("second_stage.strides=[16, 32]",)),
    "wide": Variant(
        "window of 28 um",
        ("second_stage.members=[{ window_um = 28, window_px = 96 }]",),
    ),
    "all-layers": Variant("all layers trained", ("second_stage.trainable_backbone_layers=5",)),
    "colours": Variant("no colour transfer", ("second_stage.colour_transfer=0",)),
    "ignored": Variant("unlabelled candidates ignored that score 0.2 elsewhere", ignored=0.2),
}

AVERAGES = {
    "mean of two seeds": ("recipe", "seed"),
    "mean of windows of 16 and 28 um": ("recipe", "wide"),
}
"""Rows of the table that need no training: the logits of two variants, averaged."""
ELSEWHERE = {NANOZOOMER: NO_NANOZOOMER, APERIO[0]: NO_APERIO, APERIO[1]: NO_APERIO}
"""The fold whose model never saw the scanner of a source."""


FILTERS = "filters"
"""The variant with ``--filters``: windows of Aperio scanners are translated to the NanoZoomer."""


def with_filters(path: Path) -> Variant:
    """Return the variant with the scanner filters of a file (``studies.scanner_filters``)."""
    scanners = '["Aperio XT", "Aperio CS2"]'
    table = f'{{ filters = "{path.resolve()}", scanners = {scanners} }}'
    return Variant("with scanner filters", (f"augment.scanner={table}",))


def short_recipe(path: Path, name: str, hold_out: Sequence[str]) -> Recipe:
    """Return the recipe of a variant."""
    recipe = load_recipe(path, (*SHORT, *VARIANTS[name].overrides))
    return exclude_crops(recipe, expand_lists(hold_out))


def with_variant(fold: Fold, variant: Variant) -> Fold:
    """Return a fold that does not learn from the crops that a variant leaves out."""
    return replace(fold, without=(*fold.without, *variant.without))


def scored_elsewhere(runs: Path, regions: Dataset, at_least: float) -> dict[str, FloatArray]:
    """Return the places [n, 2] that a model which never saw the scanner scores at least so high."""
    places: dict[str, FloatArray] = {}
    for source, fold in ELSEWHERE.items():
        cases = [case.id for case in regions if case.id.partition("/")[0] == source]
        found = found_in(runs / fold.name / LEFT_OUT, cases)
        if len(found) < len(cases):
            raise SystemExit(f"{runs / fold.name / LEFT_OUT}: not complete, run studies.left_out")
        places |= {case_id: one.above(at_least).points for case_id, one in found.items()}
    return places


def leave_out_candidates(
    candidates: Mapping[str, Detections],
    regions: Dataset,
    places: Mapping[str, FloatArray],
    folder: Path,
) -> int:
    """Leave candidates near places out of what a training reads from its folder.

    Labelled figures and hard negatives are learnt from as before. Returns how many are left out.
    """
    count = 0
    for case_id, found in candidates.items():
        mpp = found.provenance.mpp
        labelled = as_points([(f.x_px, f.y_px) for f in regions[case_id].figures])
        near = away_from(labelled, as_points(places.get(case_id, [])), mpp, MATCH_RADIUS_UM)
        if not len(near) or not len(found):
            continue
        keep = distances(found.points, near).min(axis=1) * mpp > MATCH_RADIUS_UM
        count += int((~keep).sum())
        save_detections(found.where(keep), folder / case_id)
    return count


def run_variant(
    recipe: Recipe,
    fold: Fold,
    regions: Dataset,
    detectors: Path,
    out: Path,
    ignored: Mapping[str, FloatArray] | None = None,
) -> None:
    """Train a second stage for a fold's proposals, and detect in what the fold left out.

    Candidates near the places ``ignored`` [n, 2], by case, are not learnt from.
    """
    done = out / LEFT_OUT / "done"
    if done.exists():
        return
    proposals = load_model(detectors / fold.detector / "model")
    recipe = fold_recipe(recipe, fold, regions, fold.slides)
    folder = RunFolder(out)
    folder.path.mkdir(parents=True, exist_ok=True)
    model = copy_model(proposals, folder.model)
    data = load_data(recipe)
    if ignored is not None:
        assert recipe.second_stage is not None
        fields = regions_to_learn(recipe.second_stage, data.training)
        lowest = recipe.second_stage.min_score
        candidates = detect_cases(proposals, fields, folder.candidates, min_score=lowest)
        count = leave_out_candidates(candidates, regions, ignored, folder.candidates)
        print(f"{fold.name}: {count} candidates ignored")
    model = add_second_stage(recipe, model, data, folder, show=True)
    cases = scored_cases(fold, regions).where(lambda case: not case.id.startswith(f"{PAIRS}/"))
    detect_cases(model, cases, out / LEFT_OUT, min_score=MIN_SCORE)
    done.touch()


def scores_of(found: Found, regions: Dataset) -> tuple[str, str]:
    """Return average precision, and F1 with the threshold chosen on these fields."""
    if not found:
        return "–", "–"
    part = regions.select(found)
    return (
        number(evaluate(found, part).average_precision),
        number(choose_threshold(found, part)[1]),
    )


def found_by(name: str, folds: Sequence[Fold], regions: Dataset, out: Path) -> Found:
    """Return the detections of a variant in what the folds leave out, none if not finished."""
    found: Found = {}
    for fold in folds:
        folder = out / name / fold.name / LEFT_OUT
        if not (folder / "done").exists():
            return {}
        found |= found_in(folder, scored_cases(fold, regions).ids)
    return found


def averaged(parts: Sequence[Detections]) -> Detections:
    """Return the detections of several models with the mean of their logits.

    All score the candidates of the same proposals. Where one has a lower score than all that it
    keeps, ``MIN_SCORE`` is taken.
    """
    rows = [
        dict(zip(map(tuple, part.points.tolist()), logit(part.score), strict=True))
        for part in parts
    ]
    places = list(dict.fromkeys(place for part in rows for place in part))
    lowest = float(logit(np.array(MIN_SCORE)))
    score = [np.mean([part.get(place, lowest) for part in rows]) for place in places]
    x, y = as_points(places).T
    return Detections(x, y, sigmoid(np.array(score)), provenance=parts[0].provenance)


def row(what: str, found: Found, regions: Dataset) -> tuple[str, ...]:
    """Return a row of the table."""
    cells = [scores_of(of_sources(found, *part), regions) for part in ((NANOZOOMER,), APERIO)]
    return (what, *cells[0], *cells[1])


def rows_of(folds: Sequence[Fold], regions: Dataset, out: Path) -> list[tuple[str, ...]]:
    """Return the rows of all variants that are finished, then those of their averages."""
    found = {name: found_by(name, folds, regions, out) for name in VARIANTS}
    rows = [row(VARIANTS[name].what, one, regions) for name, one in found.items() if one]
    for what, names in AVERAGES.items():
        parts = [found[name] for name in names]
        if all(parts):
            mean = {case_id: averaged([part[case_id] for part in parts]) for case_id in parts[0]}
            rows.append(row(what, mean, regions))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("recipe", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--folds", nargs="+", default=["X1", "Y1"], choices=list(FOLDS))
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--hold-out", nargs="*", default=[], help="crops that no fold learns from")
    parser.add_argument("--detectors", type=Path, help="folder with the detectors of the folds")
    parser.add_argument("--filters", type=Path, help="file of studies.scanner_filters")
    parser.add_argument("--print", action="store_true", help="train nothing")
    given = parser.parse_args()
    if given.filters:
        VARIANTS[FILTERS] = with_filters(given.filters)
        given.only = [*given.only, FILTERS]
    folds, out = [FOLDS[name] for name in given.folds], given.runs / FOLDER
    detectors = given.detectors or given.runs / DETECTORS
    regions = regions_of(given.recipe)
    for name in () if given.print else given.only:
        recipe, variant = short_recipe(given.recipe, name, given.hold_out), VARIANTS[name]
        least = variant.ignored
        ignored = None if least is None else scored_elsewhere(given.runs, regions, least)
        for fold in folds:
            part = with_variant(fold, variant)
            run_variant(recipe, part, regions, detectors, out / name / fold.name, ignored)
    head = ("variant", "NanoZoomer AP", "F1", "Aperio XT AP", "F1")
    print("\n".join(table(head, rows_of(folds, regions, out))))


if __name__ == "__main__":
    main()
