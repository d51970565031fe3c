"""From a recipe to the cases that are trained and judged on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from metaphase.errors import Problem, RecipeError
from metaphase.labels.dataset import DOMAINS, Case, Dataset
from metaphase.training.recipe import Recipe
from metaphase.training.sections import Source, SplitTable

if TYPE_CHECKING:
    from pathlib import Path

    from metaphase.labels.splits import Split


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a recipe names. ``regions`` are labelled all over, ``crops`` around a figure only."""

    regions: Dataset
    crops: Dataset
    split: Split

    @property
    def training(self) -> Dataset:
        """The region cases that are trained on."""
        return self.regions.select(self.split.training)

    @property
    def validation(self) -> Dataset:
        """The region cases that the run is judged on."""
        return self.regions.select(self.split.validation)


def load_data(recipe: Recipe, *, check: bool = True) -> TrainingData:
    """Read the labels of all sources and the split.

    Ids of several region sources are told apart by ``name/`` before them. Raises LabelError,
    RecipeError, and (unless ``check`` is false) SplitError for unlabelled or leaking cases.
    """
    regions = [s for s in recipe.data.sources if s.role == "regions"]
    crops = [s for s in recipe.data.sources if s.role == "crops"]
    whole = joined(regions)
    split = read_split(recipe, whole)
    if check:
        from metaphase.labels.splits import check_split

        check_split(split, whole)
    return TrainingData(whole, joined(crops), split)


def joined(sources: Iterable[Source]) -> Dataset:
    """Return one Dataset of all sources."""
    loaded = [(source, _load(source)) for source in sources]
    if len(loaded) == 1:
        return loaded[0][1]
    named = [dataset.with_prefix(str(source.name)) for source, dataset in loaded]
    name = ", ".join(dataset.name for dataset in named)
    return Dataset((case for dataset in named for case in dataset), name=name)


def _load(source: Source) -> Dataset:
    from metaphase.labels.read import load_dataset

    return load_dataset(
        source.labels,
        images=source.images,
        kind=source.kind,
        cases=source.cases,
        mpp=source.mpp,
        scanner=source.scanner,
        name=source.name,
    )


def read_split(recipe: Recipe, dataset: Dataset) -> Split:
    """Return the recipe's split of a dataset, whatever way it is named."""
    from metaphase.labels import splits

    choice = recipe.data.split
    if isinstance(choice, SplitTable):
        return _from_table(recipe.name, choice, dataset)
    if choice == "midog21-official":
        return splits.midog21_official()
    if choice in ("exercise", "exercise-as-handed-out"):
        return splits.exercise_split(repaired=choice == "exercise")
    if choice == "stratified":
        return splits.stratified_split(dataset, seed=recipe.seed)
    return splits.load_split(_path(choice))


def _path(choice: str) -> Path:
    from pathlib import Path

    return Path(choice)


def _from_table(name: str, table: SplitTable, dataset: Dataset) -> Split:
    from metaphase.labels.splits import Split

    problems: list[Problem] = []
    parts = {}
    for part, patterns in table.model_dump().items():
        ids: dict[str, None] = {}
        for pattern in patterns:
            found = [case.id for case in dataset if _matches(case, pattern)]
            if not found:
                way_out = f"cases are called {', '.join(dataset.ids[:3])}, ..."
                where = f"data.split.{part}"
                problems.append(Problem("recipe", where, f"{pattern!r} names no case", way_out))
            ids.update(dict.fromkeys(found))
        parts[part] = tuple(ids)
    if problems:
        raise RecipeError(problems)
    return Split(name=name, note="from the recipe", **parts)


def _matches(case: Case, pattern: str) -> bool:
    by, colon, value = pattern.partition(":")
    if colon and by in DOMAINS:
        return fnmatchcase(case.domain(by), value)
    return fnmatchcase(case.id, pattern)
