"""The folds of ``studies.left_out``: which slides are left out, and what may be learnt from.

Sources are those of ``recipes/compact.toml``: the fields of two scanners and crops of others. The
fields of ``aperio``, ``aperio-test`` and ``nanozoomer-pairs`` with one slide's name show one slide,
the last two scanners the same tissue, so that they are left out together.
"""

from __future__ import annotations

from dataclasses import dataclass

from metaphase.labels.dataset import Dataset
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import SecondStage, Source, SplitTable

APERIO = ("aperio", "aperio-test")
PAIRS = "nanozoomer-pairs"
NANOZOOMER = "nanozoomer"
TUPAC = "tupac"
HAMAMATSU_CROPS = "scanner:Hamamatsu*"
REGIONS = (*APERIO, PAIRS, NANOZOOMER)


@dataclass(frozen=True)
class Fold:
    """One training. ``slides`` are left out of every source; ``sources`` are not used at all;
    ``without`` are crops that are not used. ``tested`` are the sources that are scored, all their
    slides or those left out. ``detector`` names the detector, which folds may share: it has seen
    no slide of any of them."""

    name: str
    detector: str
    slides: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    tested: tuple[str, ...] = REGIONS


SLIDES = (
    Fold("X1", "X", ("A02", "S17")),
    Fold("X2", "X", ("A04", "S07", "S15")),
    Fold("Y1", "Y", ("A00", "S05")),
    Fold("Y2", "Y", ("A01", "S11", "S12")),
)
"""Every slide is left out once. Slides are left out in groups, so that four trainings serve ten."""

NO_NANOZOOMER = Fold(
    "n1",
    "n1",
    sources=(PAIRS, NANOZOOMER),
    without=(HAMAMATSU_CROPS,),
    tested=(NANOZOOMER,),
)
"""No pixel of any NanoZoomer, crops of MIDOG's two included."""

NO_APERIO = Fold("a1", "a1", sources=(*APERIO, PAIRS, TUPAC), tested=APERIO)
"""No pixel of an Aperio XT: the pairs show the same tissue, TUPAC16's scanner is not known."""

CONTEST = Fold("contest", "contest", sources=(APERIO[1],), tested=(APERIO[1],))
"""The contest's own split: its test fields are other fields of the slides of its training fields: a
slide is in both."""

FOLDS = {fold.name: fold for fold in (*SLIDES, NO_NANOZOOMER, NO_APERIO, CONTEST)}


def detector_slides(name: str) -> tuple[str, ...]:
    """Return the slides that a detector must not see: those of all folds that share it."""
    return tuple(slide for fold in FOLDS.values() if fold.detector == name for slide in fold.slides)


def slide_name(group: str) -> str:
    """Return the slide's own name of a group: ``A01`` of ``aperio/A01``."""
    return group.rpartition("/")[2]


def fold_recipe(recipe: Recipe, fold: Fold, regions: Dataset, slides: tuple[str, ...]) -> Recipe:
    """Return a recipe that trains on what a fold may use, without some slides."""
    sources = tuple(
        _without(source, fold) for source in recipe.data.sources if source.name not in fold.sources
    )
    names = {source.name for source in sources}
    training = [
        case.id
        for case in regions
        if case.id.partition("/")[0] in names and slide_name(case.domain("group")) not in slides
    ]
    if sum(source.role == "regions" for source in sources) == 1:
        training = [case_id.partition("/")[2] for case_id in training]
    data = recipe.data.model_copy(
        update={"sources": sources, "split": SplitTable(training=tuple(training))}
    )
    return recipe.model_copy(
        update={
            "name": f"{recipe.name} {fold.name}",
            "data": data,
            "second_stage": recipe.second_stage and _without_absent(recipe.second_stage, names),
        }
    )


def _without_absent(stage: SecondStage, sources: set[str]) -> SecondStage:
    """Return a second stage that leaves out only sources that a fold has."""
    without = tuple(name for name in stage.without_sources if name in sources)
    return stage.model_copy(update={"without_sources": without})


def scored_cases(fold: Fold, regions: Dataset) -> Dataset:
    """Return the cases that a fold is scored on."""
    return regions.where(
        lambda case: (
            case.id.partition("/")[0] in fold.tested
            and (not fold.slides or slide_name(case.domain("group")) in fold.slides)
        )
    )


def _without(source: Source, fold: Fold) -> Source:
    if source.role != "crops" or not fold.without:
        return source
    patterns = [p for p in fold.without if source.name != TUPAC]
    return source.model_copy(update={"without": (*source.without, *patterns)})
