"""A finished cross-validation: groups left out, models, thresholds and detections."""

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
from metaphase.training.recipe.recipe import Recipe, load_run_recipe
from metaphase.training.recipe.sections import SplitTable
from metaphase.training.runfolder import CrossValidationFolder, RunFolder
from metaphase.values import finite

if TYPE_CHECKING:
    from metaphase.models.modelfile import Model


@dataclass(frozen=True)
class Fold:
    """One fold. ``threshold`` was chosen without ``left_out``; ``training`` are the regions that it
    was trained on (``recipe`` names the crops)."""

    name: str
    folder: Path
    threshold: float
    recipe: Recipe
    left_out: Dataset
    training: Dataset

    @property
    def run(self) -> RunFolder:
        """The fold's run."""
        return RunFolder(self.folder)

    @property
    def model(self) -> Model:
        """The fold's model file."""
        from metaphase.models.modelfile import load_model

        return load_model(self.run.model)

    def detections(self) -> dict[str, Detections]:
        """Return the detections in the left-out cases, by id, at the fold's threshold."""
        places = {case.id: self.run.left_out / case.id for case in self.left_out}
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
    return CrossValidationFolder(Path(folder)).result.is_file()


def load_folds(folder: str | Path) -> Folds:
    """Read a folder that ``metaphase cross-validate`` wrote. Raises DetectionsError, RecipeError.

    The data are read from where the folds' recipes say.
    """
    files = CrossValidationFolder(Path(folder))
    result = _result(files.result)
    folds = tuple(
        _fold(files.fold(name), name, float(fold["threshold"]))
        for name, fold in result["folds"].items()
    )
    if not folds:
        raise DetectionsError.of(files.result, "has no folds")
    left_out = [case_id for fold in folds for case_id in fold.left_out.ids]
    regions = region_cases(folds[0].recipe).select(left_out)
    return Folds(folds, regions, float(result["radius_um"]))


def _fold(run: RunFolder, name: str, threshold: float) -> Fold:
    recipe = load_run_recipe(run.recipe)
    split = recipe.data.split
    if not isinstance(split, SplitTable):
        raise RecipeError.of(run.recipe, "is not the recipe of a fold")
    regions = region_cases(recipe)
    left_out, training = regions.select(split.test), regions.select(split.training)
    return Fold(name, run.path, threshold, recipe, left_out, training)


def _result(path: Path) -> Mapping[str, Any]:
    way_out = "name a folder that 'metaphase cross-validate' finished"
    try:
        result = json.loads(read_text(path))
    except (OSError, ValueError, RecursionError) as error:
        raise DetectionsError.of(path, f"cannot be read: {error}", way_out=way_out) from error
    if not isinstance(result, dict) or not _is_result(result):
        raise DetectionsError.of(path, "is not the result of a cross-validation", way_out=way_out)
    return result


def _is_result(result: Mapping[str, Any]) -> bool:
    folds, radius_um = result.get("folds"), finite(result.get("radius_um"))
    if not isinstance(folds, dict) or radius_um is None or radius_um <= 0:
        return False
    return all(
        name.strip(".")  # a name of dots would be another folder
        and isinstance(fold, dict)
        and finite(fold.get("threshold")) is not None
        for name, fold in folds.items()
    )
