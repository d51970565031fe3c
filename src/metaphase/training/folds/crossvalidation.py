"""Cross-validation: leave one group out, train without it, score on it, for every group in turn.

The threshold of a group is chosen without it, in one of two ways:

- ``"other-folds"`` (cross-fitting): on the detections of the other folds' models in the groups
  that they left out. Every detection that is used is of a case that its model was not trained on,
  and all groups but one are trained on.
- ``"inner"``: the recipe's own validation, on a part of the training groups that every fold sets
  aside.

The folds are pooled: true and false positives are added up over the left-out groups, each at the
threshold that was chosen for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

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
from metaphase.locks import locked_folder
from metaphase.models.modelfile import load_model
from metaphase.slides.open import open_case
from metaphase.training.data.heldout import exclude_crops
from metaphase.training.data.sources import crop_cases, region_cases
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.folds.foldrecipe import ThresholdFrom, fold_recipe
from metaphase.training.folds.parallel import train_in_parallel
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.runfolder import CrossValidationFolder, RunFolder
from metaphase.training.train import train

DetectionsByFold = dict[str, dict[str, Detections]]
"""Detections by the group that was left out, then by case id."""


def cross_validate(
    recipe: Recipe,
    *,
    out: str | Path,
    by: str = "group",
    threshold: ThresholdFrom = "other-folds",
    hold_out: Sequence[str] = (),
    check_pixels: bool = False,
    jobs: int = 1,
    show: bool = True,
    progress: Callable[[str], None] = lambda message: None,
) -> dict[str, Any]:
    """Train and score one fold a group, pool them, and return what is written to ``out``.

    ``by`` is the domain that is left out: "scanner", "tumour", "laboratory", "group", ... All
    labelled cases of the recipe are used, whatever its split. Each fold trains on the crops, except
    those of the left-out domain (or of an unknown one) and of the slides that it is scored on.
    ``check_pixels`` compares the images, too, and refuses those that are on both sides of a fold.
    ``hold_out`` names crops (ids, patterns, domains) that no fold trains on, so that all folds can
    be scored on them. ``jobs`` folds are trained in parallel, each with its part of the processor's
    threads; the number of threads changes the order of sums, and so the weights a little.

    Finished folds are kept: the same call resumes an interrupted cross-validation. Raises
    SplitError where there are fewer than two groups, FolderInUseError where another command writes
    to ``out``.
    """
    recipe = exclude_crops(recipe, hold_out)
    regions = region_cases(recipe).labelled()
    groups = regions.by_domain(by)
    if len(groups) < 2:
        raise SplitError.of(
            regions.source or regions.name,
            f"has one {by} only: {', '.join(groups)}",
            way_out="leave out another kind of domain with --by",
        )
    folder = CrossValidationFolder(Path(out))
    plan = _Plan(recipe, regions, groups, by, threshold, folder)
    if check_pixels:
        progress("comparing images")
        plan.refuse_shared_pixels()
    with locked_folder(folder.path):
        detections = _train_and_detect(plan, jobs, show, progress)
        return _scored(plan, detections, held_out=list(hold_out))


@dataclass(frozen=True)
class _Plan:
    """The folds of a cross-validation."""

    recipe: Recipe
    regions: Dataset
    groups: dict[str, Dataset]
    by: str
    threshold: ThresholdFrom
    folder: CrossValidationFolder

    @cached_property
    def recipes(self) -> dict[str, Recipe]:
        """The recipe of each fold."""
        return {
            name: fold_recipe(
                self.recipe, self.regions, left_out, name, by=self.by, threshold=self.threshold
            )
            for name, left_out in self.groups.items()
        }

    @property
    def radius_um(self) -> float:
        """The matching radius."""
        return self.recipe.validation.radius_um

    def refuse_shared_pixels(self) -> None:
        """Compare the groups' images with each other, and with the crops that are trained on."""
        refuse_shared_images(self.groups)
        for name, left_out in self.groups.items():
            refuse_shared_crops(crop_cases(self.recipes[name]), left_out)


def _train_and_detect(
    plan: _Plan, jobs: int, show: bool, progress: Callable[[str], None]
) -> DetectionsByFold:
    """Train every fold that is not finished, and detect in the cases that it left out."""
    runs = {name: (recipe, plan.folder.fold(name).path) for name, recipe in plan.recipes.items()}
    if jobs > 1:
        train_in_parallel(runs, jobs, show=show, progress=progress)
    detections: DetectionsByFold = {}
    for number, (name, left_out) in enumerate(plan.groups.items(), start=1):
        progress(f"fold {number} of {len(runs)}: without {plan.by} {name}")
        recipe, out = runs[name]
        run = RunFolder(train(recipe, out=out, show=show))
        detections[name] = detect_cases(
            load_model(run.model),
            left_out,
            run.left_out,
            min_score=plan.recipe.validation.min_score,
            show=show,
        )
    return detections


def _scored(plan: _Plan, detections: DetectionsByFold, *, held_out: list[str]) -> dict[str, Any]:
    """Choose the thresholds, score, and write scores, overlays and the result."""
    thresholds = {name: _threshold(plan, name, detections) for name in plan.groups}
    at_threshold = {
        case_id: of_case.with_provenance(threshold=thresholds[name])
        for name, fold in detections.items()
        for case_id, of_case in fold.items()
    }
    scores = with_intervals(evaluate(at_threshold, plan.regions, radius_um=plan.radius_um))
    for name, left_out in plan.groups.items():
        _draw(scores, left_out, at_threshold, plan.folder.fold(name).left_out)
    save_scores(scores, plan.folder.scores)
    result = {
        "recipe": plan.recipe.name,
        "left_out": plan.by,
        "threshold": plan.threshold,
        "radius_um": plan.radius_um,
        "held_out": held_out,
        "pooled": scores.to_dict(),
        "folds": {
            name: {"threshold": thresholds[name], **_scores_of(left_out, at_threshold, scores)}
            for name, left_out in plan.groups.items()
        },
        "threshold_of_all": _chosen(plan, detections),
    }
    write_json(plan.folder.result, result)
    return result


def _threshold(plan: _Plan, name: str, detections: DetectionsByFold) -> float:
    """Return the threshold of a fold, chosen without the group that it left out."""
    if plan.threshold == "inner":
        return load_model(plan.folder.fold(name).model).card.threshold.value
    return _chosen(plan, {other: fold for other, fold in detections.items() if other != name})


def _chosen(plan: _Plan, detections: DetectionsByFold) -> float:
    """Return the best threshold for the detections of some folds."""
    by_case = {case_id: d for fold in detections.values() for case_id, d in fold.items()}
    cases = plan.regions.select(by_case)
    return bagged_threshold(by_case, cases, radius_um=plan.radius_um)[0]


def _scores_of(cases: Dataset, detections: dict[str, Detections], pooled: Scores) -> dict[str, Any]:
    """Return the scores of one left-out group."""
    of_group = {case.id: detections[case.id] for case in cases}
    return evaluate(of_group, cases, radius_um=pooled.radius_um).to_dict()


def _draw(scores: Scores, cases: Dataset, detections: dict[str, Detections], folder: Path) -> None:
    """Draw true positives, false positives and missed figures of every left-out case."""
    outcomes = {outcome.case.id: outcome for outcome in scores.outcomes}
    for case in cases:
        outcome = outcomes[case.id]
        kept = detections[case.id].above_threshold().with_label(Label.MITOTIC)
        marks = marks_against(
            kept, outcome.true_positive[outcome.above_threshold], outcome.truth[~outcome.detected]
        )
        with open_case(case) as slide:
            save_overlay(slide, marks, folder / case.id / "overlay.png")
