"""Leave one group out: train without it, score on it, for every group in turn.

The threshold of a group is chosen without it. Two ways:

- ``"other-folds"`` (cross-fitting): on what the other folds' models found in *their* left-out
  groups. Every detection that chooses or is scored is of a case its model has not seen, and all
  groups but one are trained on.
- ``"inner"``: the recipe's own validation, on a part of the training groups that every fold sets
  aside.

All folds are pooled: true and false positives are added up over the left-out groups, each at the
threshold that was chosen for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

from metaphase.detection.overlay import marks_against, save_overlay
from metaphase.errors import SplitError
from metaphase.evaluation.evaluate import Scores, evaluate
from metaphase.evaluation.intervals import with_intervals
from metaphase.evaluation.leakage.crops import refuse_shared_crops
from metaphase.evaluation.leakage.images import refuse_shared_images
from metaphase.evaluation.scoresfile import save_scores
from metaphase.evaluation.thresholds import bagged_threshold
from metaphase.figures import Detections, Label
from metaphase.files import write_json
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import load_model
from metaphase.slides.open import open_case
from metaphase.training.data.heldout import exclude_crops, exclude_related_crops
from metaphase.training.data.sources import crop_cases, read_split, region_cases
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.folds.parallel import train_side_by_side
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import SplitTable
from metaphase.training.train import MODEL_NAME, train

How = Literal["other-folds", "inner"]
RESULT_NAME = "cross-validation.json"
SCORES_NAME = "scores.json"
LEFT_OUT = "left-out"
INNER_SHARE = 0.2
"""Part of the training cases that is set aside to choose a threshold "inner"; at least a group."""
_REPLACED = "stands for the one that is chosen on the other folds"


def cross_validate(
    recipe: Recipe,
    *,
    out: str | Path,
    by: str = "group",
    threshold: How = "other-folds",
    hold_out: Sequence[str] = (),
    check_pixels: bool = False,
    jobs: int = 1,
    show: bool = True,
    tell: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Train and score one fold a group, pool them, and return what is written to ``out``.

    ``by`` is the domain that is left out: "scanner", "tumour", "laboratory", "group", ... The
    recipe's labelled cases take part, whatever its split. Crops are trained on, but for those of
    the left-out domain (or of an unknown one) and those of a slide that is judged on, which every
    fold leaves out. ``check_pixels`` compares the images too, and refuses what is on two sides.
    ``hold_out`` names crops (ids, patterns, domains) that no fold trains on, so that the folds can
    be measured on them. ``jobs`` folds are trained at a time, each with its part of the processor's
    threads; sums are added in another order with another number of threads, so that weights differ
    a little.
    Finished folds are kept: the same command goes on after an interruption. Raises SplitError
    where there are fewer than two groups.
    """
    folder = Path(out)
    recipe = exclude_crops(recipe, hold_out)
    regions = region_cases(recipe).labelled()
    groups = regions.by_domain(by)
    if len(groups) < 2:
        raise SplitError.of(
            regions.source or regions.name,
            f"has one {by} only: {', '.join(groups)}",
            way_out="leave out another kind of domain with --by",
        )
    if check_pixels:
        _refuse_same_pixels(recipe, regions, groups, by, threshold, tell)
    runs = {
        name: (
            _fold(recipe, regions, left_out, name, by, threshold),
            folder / fold_folder(name),
        )
        for name, left_out in groups.items()
    }
    if jobs > 1:
        train_side_by_side(runs, jobs, show=show, tell=tell)
    detections: dict[str, dict[str, Detections]] = {}
    frozen: dict[str, float] = {}
    for number, (name, left_out) in enumerate(groups.items(), start=1):
        tell(f"fold {number} of {len(groups)}: without {by} {name}")
        fold, place = runs[name]
        run = train(fold, out=place, show=show)
        model = load_model(run / MODEL_NAME)
        frozen[name] = model.card.threshold.value
        detections[name] = detect_cases(
            model,
            left_out,
            run / LEFT_OUT,
            min_score=recipe.validation.min_score,
            show=show,
        )
    if threshold == "other-folds":
        frozen = {name: _chosen_without(name, detections, regions, recipe) for name in groups}
    at_threshold = {
        case_id: found.with_provenance(threshold=frozen[name])
        for name, fold in detections.items()
        for case_id, found in fold.items()
    }
    scores = with_intervals(evaluate(at_threshold, regions, radius_um=recipe.validation.radius_um))
    for name in groups:
        _draw(scores, groups[name], at_threshold, folder / fold_folder(name) / LEFT_OUT)
    save_scores(scores, folder / SCORES_NAME)
    result = {
        "recipe": recipe.name,
        "left_out": by,
        "threshold": threshold,
        "radius_um": recipe.validation.radius_um,
        "held_out": list(hold_out),
        "pooled": scores.to_dict(),
        "folds": {
            name: {"threshold": frozen[name], **_alone(groups[name], at_threshold, scores)}
            for name in groups
        },
        "threshold_of_all": bagged_threshold(
            {k: v for fold in detections.values() for k, v in fold.items()},
            regions,
            radius_um=recipe.validation.radius_um,
        )[0],
    }
    write_json(folder / RESULT_NAME, result)
    return result


def _fold(
    recipe: Recipe, regions: Dataset, left_out: Dataset, name: str, by: str, how: How
) -> Recipe:
    """Return the recipe of one fold. It knows nothing of the left-out group."""
    rest = [case.id for case in regions if case.id not in left_out]
    validation: list[str] = []
    if how == "inner":
        rest, validation = _set_aside(regions, rest, recipe.seed)
    recipe = exclude_related_crops(
        recipe, left_out, by=by, name=name, validation=regions.select(validation)
    )
    split = SplitTable(
        training=tuple(rest),
        validation=tuple(validation),
        test=tuple(left_out.ids),
        unlabelled=_unlabelled(recipe),
    )
    data = recipe.data.model_copy(update={"split": split})
    trainer, judged = recipe.trainer, recipe.validation
    if how == "other-folds":  # nothing to judge by on the way: the last weights are the model
        trainer = trainer.model_copy(update={"keep": "last", "early_stopping": None})
        if judged.threshold != "chosen":  # perhaps on all the groups, this one among them
            judged = judged.model_copy(update={"threshold": 0.5, "threshold_note": _REPLACED})
    return recipe.model_copy(
        update={
            "name": f"{recipe.name} without {name}",
            "data": data,
            "trainer": trainer,
            "validation": judged,
        }
    )


def _unlabelled(recipe: Recipe) -> tuple[str, ...]:
    """Return the unlabelled cases, where the recipe makes use of their look. They are in every
    fold: nobody knows their figures, so nothing of a left-out group is learnt."""
    if not (recipe.adapt or recipe.augment.stain_transfer or recipe.augment.fourier):
        return ()
    cases = region_cases(recipe)
    named = set(read_split(recipe, cases).unlabelled)
    return tuple(case.id for case in cases if case.id in named and not case.labelled)


def _refuse_same_pixels(
    recipe: Recipe,
    regions: Dataset,
    groups: dict[str, Dataset],
    by: str,
    how: How,
    tell: Callable[[str], None],
) -> None:
    """Compare the groups' images with each other, and with the crops that are trained on."""
    tell("comparing images")
    refuse_shared_images(groups)
    for name, left_out in groups.items():
        fold = _fold(recipe, regions, left_out, name, by, how)
        refuse_shared_crops(crop_cases(fold), left_out)


def _set_aside(regions: Dataset, ids: list[str], seed: int) -> tuple[list[str], list[str]]:
    from metaphase.labels.splits import stratified_split

    cases = regions.select(ids)
    one = 1 / len(cases.by_domain("group"))
    split = stratified_split(cases, validation=max(INNER_SHARE, one), seed=seed)
    return list(split.training), list(split.validation)


def _chosen_without(
    name: str,
    detections: dict[str, dict[str, Detections]],
    regions: Dataset,
    recipe: Recipe,
) -> float:
    others = {k: v for fold, found in detections.items() if fold != name for k, v in found.items()}
    cases = regions.select(others)
    return bagged_threshold(others, cases, radius_um=recipe.validation.radius_um)[0]


def _alone(cases: Dataset, detections: dict[str, Detections], pooled: Scores) -> dict[str, Any]:
    """Return the scores of one left-out group."""
    here = {case.id: detections[case.id] for case in cases}
    return evaluate(here, cases, radius_um=pooled.radius_um).to_dict()


def _draw(scores: Scores, cases: Dataset, detections: dict[str, Detections], folder: Path) -> None:
    """Draw what was found, missed and false in every left-out case."""
    outcomes = {outcome.case.id: outcome for outcome in scores.outcomes}
    for case in cases:
        outcome = outcomes[case.id]
        kept = detections[case.id].above_threshold().with_label(Label.MITOTIC)
        marks = marks_against(
            kept, outcome.true_positive[outcome.above_threshold], outcome.truth[~outcome.detected]
        )
        with open_case(case) as slide:
            save_overlay(slide, marks, folder / case.id / "overlay.png")


def fold_folder(name: str) -> str:
    """Return the name of the folder of a fold."""
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
