"""The recipe of one fold of a cross-validation: it contains nothing of the group left out."""

from __future__ import annotations

from typing import Literal

from metaphase.labels.dataset import Dataset
from metaphase.training.data.heldout import exclude_related_crops
from metaphase.training.data.sources import read_split, region_cases
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import SplitTable

ThresholdFrom = Literal["other-folds", "inner"]
INNER_SHARE = 0.2
"""Part of the training cases that is set aside to choose a threshold "inner"; at least a group."""
_PLACEHOLDER = "placeholder for the threshold that is chosen on the other folds"


def fold_recipe(
    recipe: Recipe,
    regions: Dataset,
    left_out: Dataset,
    name: str,
    *,
    by: str,
    threshold: ThresholdFrom,
) -> Recipe:
    """Return the recipe of the fold that leaves the group ``name`` of domain ``by`` out."""
    training = [case.id for case in regions if case.id not in left_out]
    validation: list[str] = []
    if threshold == "inner":
        training, validation = _set_aside(regions, training, recipe.seed)
    recipe = exclude_related_crops(
        recipe, left_out, by=by, name=name, validation=regions.select(validation)
    )
    split = SplitTable(
        training=tuple(training),
        validation=tuple(validation),
        test=tuple(left_out.ids),
        unlabelled=_unlabelled(recipe),
    )
    update = {
        "name": f"{recipe.name} without {name}",
        "data": recipe.data.model_copy(update={"split": split}),
    }
    if threshold == "other-folds":
        update |= _without_validation(recipe)
    return recipe.model_copy(update=update)


def _without_validation(recipe: Recipe) -> dict[str, object]:
    """Return the changes of a recipe without validation cases: the last weights are the model."""
    trainer = recipe.trainer.model_copy(update={"keep": "last", "early_stopping": None})
    validation = recipe.validation
    if validation.threshold != "chosen":  # it may have been chosen on all groups, this one included
        fixed = {"threshold": 0.5, "threshold_note": _PLACEHOLDER}
        validation = validation.model_copy(update=fixed)
    return {"trainer": trainer, "validation": validation}


def _unlabelled(recipe: Recipe) -> tuple[str, ...]:
    """Return the unlabelled cases, where the recipe uses their pixels.

    They are part of every fold: their figures are not known, so that none of a left-out group is
    learnt.
    """
    if not (recipe.adapt or recipe.augment.stain_transfer or recipe.augment.fourier):
        return ()
    cases = region_cases(recipe)
    unlabelled = set(read_split(recipe, cases).unlabelled)
    return tuple(case.id for case in cases if case.id in unlabelled and not case.labelled)


def _set_aside(regions: Dataset, ids: list[str], seed: int) -> tuple[list[str], list[str]]:
    """Return training and validation cases of those that a fold may use."""
    from metaphase.labels.stratify import stratified_split

    cases = regions.select(ids)
    one_group = 1 / len(cases.by_domain("group"))
    split = stratified_split(cases, validation=max(INNER_SHARE, one_group), seed=seed)
    return list(split.training), list(split.validation)
