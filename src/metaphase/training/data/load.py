"""From a recipe to the cases of a run."""

from __future__ import annotations

from collections.abc import Iterable

from metaphase.arrays import FloatArray
from metaphase.errors import Problem, RecipeError, SplitError
from metaphase.labels.dataset import Dataset
from metaphase.training.data.heldout import HeldOut
from metaphase.training.data.masked import Masked, load_masked
from metaphase.training.data.sources import crop_cases, read_split, region_cases
from metaphase.training.data.trainingdata import TrainingData
from metaphase.training.recipe.recipe import Recipe


def load_data(recipe: Recipe, *, check: bool = True) -> TrainingData:
    """Read the labels of all sources and the split.

    Ids of several region sources have ``name/`` before them. Raises LabelError, RecipeError, and
    (unless ``check`` is false) SplitError for unlabelled or leaking cases.
    """
    regions = region_cases(recipe)
    split = read_split(recipe, regions)
    if check:
        from metaphase.labels.split import check_split

        check_split(split, regions)
    data = TrainingData(regions, crop_cases(recipe), split, _masked(recipe, regions))
    if check:
        check_crops(data, (source.name for source in recipe.data.sources))
    return data


def check_figures(recipe: Recipe, data: TrainingData) -> None:
    """Raise RecipeError where there are no mitotic figures to train on, or none to validate on.

    A threshold that is chosen on cases without figures, or the best of such epochs, means nothing.
    """
    if not data.training.count() and not data.crops.count():
        raise RecipeError.of(
            "recipe",
            "no training case has a mitotic figure",
            record="data.split.training",
            way_out="name cases with figures",
        )
    if not len(data.validation) or data.validation.count():
        return
    what = ["threshold"] if recipe.validation.threshold == "chosen" else []
    what += ["epoch"] if recipe.trainer.keep == "best" else []
    if what:
        raise RecipeError.of(
            "recipe",
            f"no validation case has a mitotic figure: no {' and no '.join(what)} can be chosen",
            record="data.split.validation",
            way_out="name cases with figures, or none and set validation.threshold",
        )


def _masked(recipe: Recipe, cases: Dataset) -> Masked:
    """Return the masked places of all sources of regions, by case id."""
    masked: dict[str, FloatArray] = {}
    regions = [source for source in recipe.data.sources if source.role == "regions"]
    for source in regions:
        if source.masked is not None:
            prefix = f"{source.name}/" if len(regions) > 1 else ""
            of_source = cases.where(lambda case, p=prefix: case.id.startswith(p))  # type: ignore[misc]
            masked |= load_masked(source.masked, of_source)
    return masked


def check_crops(data: TrainingData, names: Iterable[str | None] = ()) -> None:
    """Raise SplitError for crops of held-out cases: of the same group, or of a slide of the same
    name on the same scanner. ``names`` are those of the sources, which are ignored in ids."""
    held_out = HeldOut(data.held_out, tuple(names))
    leaks: dict[str, str] = {}
    for crop in data.crops:
        if case_id := held_out.case_of(crop):
            leaks.setdefault(held_out.without_source(crop.domain("group")), case_id)
    if leaks:
        raise SplitError(
            Problem(
                "recipe",
                f"crops of {group}",
                f"are trained on, and case {case_id} of the same slide is held out",
                f'add without = ["group:{group}"] to the source of crops',
            )
            for group, case_id in leaks.items()
        )
