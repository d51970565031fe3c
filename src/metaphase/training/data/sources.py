"""The sources of a recipe read into data sets, and its split of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from metaphase.errors import Problem, RecipeError
from metaphase.labels.dataset import Dataset
from metaphase.labels.split import Split
from metaphase.training.recipe.caselists import matches
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import Source, SplitTable


def region_cases(recipe: Recipe) -> Dataset:
    """Return the cases of all sources of regions, whatever the split."""
    return join_sources(source for source in recipe.data.sources if source.role == "regions")


def crop_cases(recipe: Recipe) -> Dataset:
    """Return the cases of all sources of crops."""
    return join_sources(source for source in recipe.data.sources if source.role == "crops")


def join_sources(sources: Iterable[Source]) -> Dataset:
    """Return one data set of several sources; ids of several have ``name/`` before them."""
    loaded = [(source, load_source(source)) for source in sources]
    if len(loaded) == 1:
        return loaded[0][1]
    named = [dataset.with_prefix(str(source.name)) for source, dataset in loaded]
    name = ", ".join(dataset.name for dataset in named)
    return Dataset((case for dataset in named for case in dataset), name=name)


def load_source(source: Source) -> Dataset:
    """Return the cases of one source that its ``only`` and ``without`` leave.

    Raises LabelError, and RecipeError for a pattern that names no case.
    """
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
    return select_cases(source, dataset)


def select_cases(source: Source, dataset: Dataset) -> Dataset:
    """Return the cases of a data set that the source's ``only`` and ``without`` leave."""
    problems = []
    for name, patterns in (("only", source.only), ("without", source.without)):
        problems += _unmatched(f"data.sources.{name}", patterns, dataset)
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
    """Return the recipe's split of a data set: from a table, a file, or by a built-in name."""
    from metaphase.labels.publishedsplits import PUBLISHED
    from metaphase.labels.split import load_split
    from metaphase.labels.stratify import stratified_split

    choice = recipe.data.split
    if isinstance(choice, SplitTable):
        return _split_of_table(recipe.name, choice, dataset)
    if choice in PUBLISHED:
        return PUBLISHED[choice]()
    if choice == "stratified":
        return stratified_split(dataset, seed=recipe.seed)
    return load_split(Path(choice))


def _split_of_table(name: str, table: SplitTable, dataset: Dataset) -> Split:
    parts: dict[str, tuple[str, ...]] = {}
    problems: list[Problem] = []
    for part, patterns in table.model_dump().items():
        problems += _unmatched(f"data.split.{part}", patterns, dataset)
        ids = (case.id for pattern in patterns for case in dataset if matches(case, pattern))
        parts[part] = tuple(dict.fromkeys(ids))
    if problems:
        raise RecipeError(problems)
    return Split(name=name, note="from the recipe", **parts)


def _unmatched(where: str, patterns: Sequence[str], dataset: Dataset) -> list[Problem]:
    """Return a problem for each pattern that names no case."""
    way_out = f"cases are called {', '.join(dataset.ids[:3])}, ..."
    return [
        Problem("recipe", where, f"{pattern!r} names no case", way_out)
        for pattern in patterns
        if not any(matches(case, pattern) for case in dataset)
    ]
