"""From a recipe to the cases that are trained and judged on."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from metaphase.errors import Problem, RecipeError, SplitError
from metaphase.labels.dataset import Dataset
from metaphase.training.data.heldout import HeldOut
from metaphase.training.patches.unlabelledplaces import FloatArray, Masked, Unlabelled, load_masked
from metaphase.training.recipe.caselists import matches
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import Source, SplitTable

if TYPE_CHECKING:
    from pathlib import Path

    from metaphase.labels.splits import Split


@dataclass(frozen=True, slots=True)
class TrainingData:
    """What a recipe names. ``regions`` are labelled all over, ``crops`` around a figure only."""

    regions: Dataset
    crops: Dataset
    split: Split
    masked: Masked = field(default_factory=dict)

    @property
    def training(self) -> Dataset:
        """The region cases that are trained on."""
        return self.regions.select(self.split.training)

    @property
    def validation(self) -> Dataset:
        """The region cases that the run is judged on."""
        return self.regions.select(self.split.validation)

    @property
    def unlabelled(self) -> Unlabelled:
        """The region cases of which only the pixels are used."""
        return Unlabelled(self.regions.select(self.split.unlabelled), self.masked)


def load_data(recipe: Recipe, *, check: bool = True) -> TrainingData:
    """Read the labels of all sources and the split.

    Ids of several region sources are told apart by ``name/`` before them. Raises LabelError,
    RecipeError, and (unless ``check`` is false) SplitError for unlabelled or leaking cases.
    """
    crops = [s for s in recipe.data.sources if s.role == "crops"]
    whole = region_cases(recipe)
    split = read_split(recipe, whole)
    if check:
        from metaphase.labels.splits import check_split

        check_split(split, whole)
    data = TrainingData(whole, joined(crops), split, _masked(recipe, whole))
    if check:
        check_crops(data, (source.name for source in recipe.data.sources))
    return data


def _masked(recipe: Recipe, cases: Dataset) -> Masked:
    """Return what the sources mask, by the id of the case."""
    masked: dict[str, FloatArray] = {}
    regions = [source for source in recipe.data.sources if source.role == "regions"]
    for source in regions:
        if source.masked is not None:
            prefix = f"{source.name}/" if len(regions) > 1 else ""
            mine = cases.where(lambda case, p=prefix: case.id.startswith(p))  # type: ignore[misc]
            masked |= load_masked(source.masked, mine)
    return masked


def check_crops(data: TrainingData, names: Iterable[str | None] = ()) -> None:
    """Refuse crops of what the run is judged on: of the same group, or of a slide called the same
    on the same scanner. ``names`` are those of the sources, which do not count. Raises SplitError.
    """
    names = tuple(names)
    judged = {*data.split.validation, *data.split.test}
    held = HeldOut((case for case in data.regions if case.id in judged), names)
    leaks: dict[str, str] = {}
    for crop in data.crops:
        if other := held.leak(crop):
            leaks.setdefault(held.bare(crop.domain("group")), other)
    if leaks:
        raise SplitError(
            Problem(
                "recipe",
                f"crops of {group}",
                f"are trained on, and case {other} of the same slide is held out",
                f'add without = ["group:{group}"] to the source of crops',
            )
            for group, other in leaks.items()
        )


def region_cases(recipe: Recipe) -> Dataset:
    """Return all cases that are labelled all over or not at all, whatever the split."""
    return joined(s for s in recipe.data.sources if s.role == "regions")


def joined(sources: Iterable[Source]) -> Dataset:
    """Return one Dataset of all sources."""
    loaded = [(source, load_source(source)) for source in sources]
    if len(loaded) == 1:
        return loaded[0][1]
    named = [dataset.with_prefix(str(source.name)) for source, dataset in loaded]
    name = ", ".join(dataset.name for dataset in named)
    return Dataset((case for dataset in named for case in dataset), name=name)


def load_source(source: Source) -> Dataset:
    """Return the cases of one source that ``only`` and ``without`` leave."""
    from metaphase.labels.read import load_dataset

    dataset = load_dataset(
        source.labels,
        images=source.images,
        kind=source.kind,
        cases=source.cases,
        mpp=source.mpp,
        scanner=source.scanner,
        name=source.name,
    )
    return _part(source, dataset)


def _part(source: Source, dataset: Dataset) -> Dataset:
    """Return the cases that ``only`` and ``without`` leave."""
    problems = []
    for name, patterns in (("only", source.only), ("without", source.without)):
        for pattern in patterns:
            if not any(matches(case, pattern) for case in dataset):
                where = f"data.sources.{name}"
                way_out = f"cases are called {', '.join(dataset.ids[:3])}, ..."
                problems.append(Problem("recipe", where, f"{pattern!r} names no case", way_out))
    if problems:
        raise RecipeError(problems)
    only = source.only or ("*",)
    return dataset.where(
        lambda case: (
            any(matches(case, pattern) for pattern in only)
            and not any(matches(case, pattern) for pattern in source.without)
        )
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
            found = [case.id for case in dataset if matches(case, pattern)]
            if not found:
                way_out = f"cases are called {', '.join(dataset.ids[:3])}, ..."
                where = f"data.split.{part}"
                problems.append(Problem("recipe", where, f"{pattern!r} names no case", way_out))
            ids.update(dict.fromkeys(found))
        parts[part] = tuple(ids)
    if problems:
        raise RecipeError(problems)
    return Split(name=name, note="from the recipe", **parts)
