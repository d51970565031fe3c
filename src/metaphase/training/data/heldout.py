"""Crops of what a run is judged on: found by name, left out, or refused.

Pixels are compared by ``refuse_shared_images``, which takes minutes and is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from metaphase.labels.dataset import Case, Dataset
from metaphase.units import scanner_name

if TYPE_CHECKING:
    from metaphase.training.data.load import TrainingData
    from metaphase.training.recipe.recipe import Recipe


class HeldOut:
    """What is known of the cases that a run is judged on. ``names`` of sources do not count."""

    def __init__(self, cases: Iterable[Case], names: Iterable[str | None] = ()) -> None:
        self._names = set(names)
        self._keys: dict[object, str] = {}
        for case in cases:
            group = self.bare(case.domain("group"))
            keys: list[object] = [group, self.bare(case.id)]
            if case.scanner:
                keys.append((case.scanner, group.rpartition("/")[2]))
            self._keys.update(dict.fromkeys(keys, case.id))

    def bare(self, name: str) -> str:
        """Return a name without the source's before it."""
        source, _, rest = name.partition("/")
        return rest if rest and source in self._names else name

    def leak(self, crop: Case) -> str | None:
        """Return the held-out case of a crop's group, or of a slide called the same on the same
        scanner."""
        group = self.bare(crop.domain("group"))
        return self._keys.get(group) or self._keys.get((crop.scanner, group.rpartition("/")[2]))


def may_be(value: str, name: str, by: str) -> bool:
    """Tell whether a crop's domain is, or may be, the one that is left out.

    An unknown domain may be any. A scanner may be told as one of two ("Aperio ScanScope XT or Leica
    SCN400, not recorded").
    """
    if value in (name, "unknown"):
        return True
    if by != "scanner":
        return False
    parts = re.split(r"\bor\b|,|\(|\)|/|;", value)
    # A data set's name may stand before the scanner's.
    words = [part.strip() for part in parts if part.strip()]
    return any(scanner_name(word) == name for word in words)


def without_crops(recipe: Recipe, patterns: Sequence[str]) -> Recipe:
    """Return a recipe whose sources of crops leave out what the patterns mean."""
    if not patterns:
        return recipe
    sources = tuple(
        source.model_copy(update={"without": (*source.without, *patterns)})
        if source.role == "crops"
        else source
        for source in recipe.data.sources
    )
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"sources": sources})})


def without_crops_of(
    recipe: Recipe, left_out: Dataset, *, by: str, name: str, validation: Dataset | None = None
) -> Recipe:
    """Return a fold's recipe without the crops that would tell of what it is judged on.

    Those of the left-out domain ``name``, or of an unknown one, go; and those of any held-out
    case's slide, by name. A source of which nothing is left goes too.
    """
    from metaphase.training.data.load import load_source

    sources = recipe.data.sources
    held = HeldOut([*left_out, *(validation or ())], (source.name for source in sources))
    kept = []
    for source in sources:
        if source.role != "crops":
            kept.append(source)
            continue
        crops = load_source(source)
        gone = [c for c in crops if may_be(c.domain(by), name, by) or held.leak(c)]
        if len(gone) == len(crops):
            continue
        patterns = dict.fromkeys(_pattern(c, by, name, held) for c in gone)
        without = (*source.without, *patterns)
        kept.append(source.model_copy(update={"without": without}) if patterns else source)
    data = recipe.data.model_copy(update={"sources": tuple(kept)})
    return recipe.model_copy(update={"data": data})


def _pattern(crop: Case, by: str, name: str, held: HeldOut) -> str:
    """Return what leaves out a crop: its domain where that is the reason, else its slide."""
    value = crop.domain(by)
    if by != "group" and may_be(value, name, by):
        # "unknown" is no value that is written in the labels, but a domain's word for none.
        return f"{by}:{escaped(value)}"
    return f"group:{escaped(crop.domain('group'))}"


def escaped(text: str) -> str:
    """Return a pattern that means this text alone."""
    return re.sub(r"([*?[])", r"[\1]", text)


def refuse_shared_images(
    data: TrainingData, *, progress: Callable[[str], None] | None = None
) -> None:
    """Raise SplitError where cases that are judged on share pixels with what is trained on, whole
    regions or crops, or with each other's parts."""
    from metaphase.evaluation.leakage.crops import refuse_shared_crops
    from metaphase.evaluation.leakage.images import refuse_shared_images as refuse_regions

    parts = {part: data.regions.select(ids) for part, ids in data.split.parts().items() if ids}
    refuse_regions(parts, progress=progress)
    held = {*data.split.validation, *data.split.test}
    if len(data.crops) and held:
        refuse_shared_crops(data.crops, data.regions.select(held), progress=progress)
