"""Crops of held-out cases: recognised by name, excluded from training, or refused.

Pixels are compared only by ``refuse_shared_images``, which takes minutes and runs on request.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from metaphase.labels.dataset import Case, Dataset
from metaphase.training.data.sources import load_source
from metaphase.training.data.trainingdata import TrainingData
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import Source
from metaphase.units import scanner_name


class HeldOut:
    """Names of the cases that a run is validated or tested on.

    ``names`` are those of the recipe's sources: as a prefix of an id they are ignored.
    """

    def __init__(self, cases: Iterable[Case], names: Iterable[str | None] = ()) -> None:
        self._names = set(names)
        self._case_by_key: dict[object, str] = {}
        for case in cases:
            group = self.without_source(case.domain("group"))
            keys: list[object] = [group, self.without_source(case.id)]
            if case.scanner:
                keys.append((case.scanner, group.rpartition("/")[2]))
            self._case_by_key.update(dict.fromkeys(keys, case.id))

    def without_source(self, name: str) -> str:
        """Return a name without the source's name before it."""
        source, _, rest = name.partition("/")
        return rest if rest and source in self._names else name

    def case_of(self, crop: Case) -> str | None:
        """Return the held-out case of a crop's group, or of a slide of the same name on the same
        scanner; None where there is none."""
        group = self.without_source(crop.domain("group"))
        slide = crop.scanner, group.rpartition("/")[2]
        return self._case_by_key.get(group) or self._case_by_key.get(slide)


def could_be_domain(value: str, name: str, by: str) -> bool:
    """Whether a crop's domain ``value`` is, or could be, the domain ``name``.

    An unknown domain could be any. A scanner may be recorded as one of two ("Aperio ScanScope XT or
    Leica SCN400, not recorded").
    """
    if value in (name, "unknown"):
        return True
    if by != "scanner":
        return False
    parts = re.split(r"\bor\b|,|\(|\)|/|;", value)
    # A data set's name may stand before the scanner's.
    words = [part.strip() for part in parts if part.strip()]
    return any(scanner_name(word) == name for word in words)


def exclude_crops(recipe: Recipe, patterns: Sequence[str]) -> Recipe:
    """Return a recipe whose sources of crops leave out the cases that the patterns name."""
    if not patterns:
        return recipe
    sources = (
        _excluding(source, patterns) if source.role == "crops" else source
        for source in recipe.data.sources
    )
    return _with_sources(recipe, sources)


def exclude_related_crops(
    recipe: Recipe, left_out: Dataset, *, by: str, name: str, validation: Dataset | None = None
) -> Recipe:
    """Return a fold's recipe without the crops that are related to its held-out cases.

    Excluded are crops of the left-out domain ``name`` of kind ``by`` or of an unknown one, and
    crops of the slides of ``left_out`` and ``validation``, by name. A source of which no crop is
    left is dropped.
    """
    sources = recipe.data.sources
    held_out = HeldOut([*left_out, *(validation or ())], (source.name for source in sources))
    kept: list[Source] = []
    for source in sources:
        if source.role != "crops":
            kept.append(source)
            continue
        crops = load_source(source)
        related = [
            crop
            for crop in crops
            if could_be_domain(crop.domain(by), name, by) or held_out.case_of(crop)
        ]
        if len(related) < len(crops):
            patterns = dict.fromkeys(_pattern(crop, by, name) for crop in related)
            kept.append(_excluding(source, tuple(patterns)) if patterns else source)
    return _with_sources(recipe, kept)


def _excluding(source: Source, patterns: Sequence[str]) -> Source:
    return source.model_copy(update={"without": (*source.without, *patterns)})


def _with_sources(recipe: Recipe, sources: Iterable[Source]) -> Recipe:
    data = recipe.data.model_copy(update={"sources": tuple(sources)})
    return recipe.model_copy(update={"data": data})


def _pattern(crop: Case, by: str, name: str) -> str:
    """Return what excludes a crop: its domain where that is the reason, else its slide."""
    value = crop.domain(by)
    if by != "group" and could_be_domain(value, name, by):
        # "unknown" stands for a domain that is missing in the labels.
        return f"{by}:{literal_pattern(value)}"
    return f"group:{literal_pattern(crop.domain('group'))}"


def literal_pattern(text: str) -> str:
    """Return a pattern that matches this text alone."""
    return re.sub(r"([*?[])", r"[\1]", text)


def refuse_shared_images(
    data: TrainingData, *, progress: Callable[[str], None] | None = None
) -> None:
    """Raise SplitError where images of two parts of the split, or a crop and a held-out case, share
    pixels."""
    from metaphase.evaluation.leakage.crops import refuse_shared_crops
    from metaphase.evaluation.leakage.images import refuse_shared_images as refuse_regions

    parts = {part: data.regions.select(ids) for part, ids in data.split.parts().items() if ids}
    refuse_regions(parts, progress=progress)
    held_out = data.held_out
    if len(data.crops) and len(held_out):
        refuse_shared_crops(data.crops, held_out, progress=progress)
