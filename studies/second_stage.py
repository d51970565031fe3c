"""What settings of the second stage are worth on slides that were left out.

    METAPHASE_DATA=... python -m studies.second_stage RECIPE RUNS [--folds X1 Y1] [--only NAME...]

RUNS is the folder of ``studies.left_out``, with the proposals of the folds (``RUNS/detectors``, or
``--detectors``); they are used unchanged. For each variant, a second stage of one network is
trained for a short time in RUNS/second-stage/VARIANT/FOLD, with one change at a time, and applied
to the slides that the fold leaves out. Prints average precision, and F1 with the threshold chosen
on these slides, by scanner, over all folds together. Finished parts are kept; ``--print`` trains
nothing. ``--filters`` adds a variant with scanner filters to those of ``--only``.

Variants are compared with "recipe": all are shorter and smaller than the recipe itself.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.tables import number
from metaphase.evaluation.thresholds import choose_threshold
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import copy_model, load_model
from metaphase.training.data.heldout import exclude_crops
from metaphase.training.data.load import load_data
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.recipe.caselists import expand_lists
from metaphase.training.recipe.recipe import Recipe, load_recipe
from metaphase.training.runfolder import RunFolder
from metaphase.training.train import add_second_stage
from studies.common import table
from studies.left_out import DETECTORS, LEFT_OUT, MIN_SCORE, Found, found_in, of_sources, regions_of
from studies.leftoutfolds import (
    APERIO,
    FOLDS,
    HAMAMATSU_CROPS,
    NANOZOOMER,
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
    """A change to the short recipe. ``without`` are crops that it does not learn from."""

    what: str
    overrides: tuple[str, ...] = ()
    without: tuple[str, ...] = ()


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
}


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


def run_variant(recipe: Recipe, fold: Fold, regions: Dataset, detectors: Path, out: Path) -> None:
    """Train a second stage for a fold's proposals, and detect in what the fold left out."""
    done = out / LEFT_OUT / "done"
    if done.exists():
        return
    proposals = load_model(detectors / fold.detector / "model")
    recipe = fold_recipe(recipe, fold, regions, fold.slides)
    folder = RunFolder(out)
    folder.path.mkdir(parents=True, exist_ok=True)
    model = copy_model(proposals, folder.model)
    model = add_second_stage(recipe, model, load_data(recipe), folder, show=True)
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


def row(name: str, folds: Sequence[Fold], regions: Dataset, out: Path) -> tuple[str, ...] | None:
    """Return a row of the table, None where the variant is not finished."""
    found: Found = {}
    for fold in folds:
        folder = out / name / fold.name / LEFT_OUT
        if not (folder / "done").exists():
            return None
        found |= found_in(folder, scored_cases(fold, regions).ids)
    cells = [scores_of(of_sources(found, *part), regions) for part in ((NANOZOOMER,), APERIO)]
    return (VARIANTS[name].what, *cells[0], *cells[1])


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
        recipe = short_recipe(given.recipe, name, given.hold_out)
        for fold in folds:
            part = with_variant(fold, VARIANTS[name])
            run_variant(recipe, part, regions, detectors, out / name / fold.name)
    rows = [cells for name in VARIANTS if (cells := row(name, folds, regions, out))]
    head = ("variant", "NanoZoomer AP", "F1", "Aperio XT AP", "F1")
    print("\n".join(table(head, rows)))


if __name__ == "__main__":
    main()
