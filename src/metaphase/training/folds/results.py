"""A finished cross-validation, read back: who was left out, by which model, at which threshold."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from metaphase.detectionfile import load_detections
from metaphase.errors import DetectionsError, RecipeError
from metaphase.figures import Detections
from metaphase.files import read_text
from metaphase.labels.dataset import Dataset
from metaphase.training.data.sources import region_cases
from metaphase.training.folds.crossvalidation import LEFT_OUT, RESULT_NAME, fold_folder
from metaphase.training.recipe.recipe import Recipe, load_run_recipe
from metaphase.training.recipe.sections import SplitTable
from metaphase.training.train import MODEL_NAME

if TYPE_CHECKING:
    from metaphase.models.modelfile import Model

RECIPE_NAME = "recipe.toml"


@dataclass(frozen=True)
class Fold:
    """One fold. ``threshold`` was chosen without ``left_out``, ``training`` is what it learnt on
    (of whole regions; crops are in ``recipe``)."""

    name: str
    folder: Path
    threshold: float
    recipe: Recipe
    left_out: Dataset
    training: Dataset

    @property
    def model(self) -> Model:
        """The fold's model file."""
        from metaphase.models.modelfile import load_model

        return load_model(self.folder / MODEL_NAME)

    def detections(self) -> dict[str, Detections]:
        """Return what was found in the left-out cases, by id, at the fold's threshold."""
        places = {case.id: self.folder / LEFT_OUT / case.id for case in self.left_out}
        return {
            case_id: load_detections(place).with_provenance(threshold=self.threshold)
            for case_id, place in places.items()
        }


@dataclass(frozen=True)
class Folds:
    """All folds of a cross-validation; ``regions`` are their left-out cases together."""

    folds: tuple[Fold, ...]
    regions: Dataset
    radius_um: float

    def detections(self) -> dict[str, Detections]:
        """Return the detections of every case by the model that has not seen it."""
        return {k: found for fold in self.folds for k, found in fold.detections().items()}


def is_cross_validation(folder: str | Path) -> bool:
    """Whether a folder is one that ``metaphase cross-validate`` finished."""
    return (Path(folder) / RESULT_NAME).is_file()


def load_folds(folder: str | Path) -> Folds:
    """Read a folder that ``metaphase cross-validate`` wrote. Raises DetectionsError, RecipeError.

    The data are found where the folds' recipes say.
    """
    folder = Path(folder)
    told = _result(folder / RESULT_NAME)
    folds = []
    for name, fold in told["folds"].items():
        place = folder / fold_folder(name)
        recipe = load_run_recipe(place / RECIPE_NAME)
        split = recipe.data.split
        if not isinstance(split, SplitTable):
            raise RecipeError.of(place / RECIPE_NAME, "is not the recipe of a fold")
        regions = region_cases(recipe)
        left_out, training = regions.select(split.test), regions.select(split.training)
        folds.append(Fold(name, place, float(fold["threshold"]), recipe, left_out, training))
    if not folds:
        raise DetectionsError.of(folder / RESULT_NAME, "has no folds")
    everyone = [case_id for fold in folds for case_id in fold.left_out.ids]
    regions = region_cases(folds[0].recipe).select(everyone)
    return Folds(tuple(folds), regions, float(told["radius_um"]))


def _result(path: Path) -> Mapping[str, Any]:
    way_out = "name a folder that 'metaphase cross-validate' finished"
    try:
        told = json.loads(read_text(path))
    except (OSError, ValueError) as error:
        raise DetectionsError.of(path, f"cannot be read: {error}", way_out=way_out) from error
    if not isinstance(told, dict) or not {"folds", "radius_um"} <= set(told):
        raise DetectionsError.of(path, "is not the result of a cross-validation", way_out=way_out)
    return told
