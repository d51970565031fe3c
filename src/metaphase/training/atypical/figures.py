"""The labelled mitotic figures of which it is known whether they are atypical, cut out once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.detection.secondstage import read_window
from metaphase.errors import RecipeError
from metaphase.evaluation.casescore import MAJORITY
from metaphase.figures import Figure
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.card import InputSpec
from metaphase.slides.array import ArraySlide
from metaphase.slides.mpp import MppHints
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from metaphase.training.patches.crops import usable_crops
from metaphase.training.patches.picture import valid_part
from metaphase.training.recipe.sections import Atypical
from metaphase.training.secondstage.contexts import Contexts, Kind, Origin, context_side

_LEAST = 10
"""Fewest atypical figures, and fewest others, from which anything can be learnt."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFigures:
    """Figures [n]: their contexts, and the share of readers who called each one atypical."""

    contexts: Contexts
    share: FloatArray

    def __len__(self) -> int:
        return len(self.share)

    @property
    def atypical(self) -> BoolArray:
        """Whether the majority of the readers called each figure atypical [n]."""
        return self.share >= MAJORITY

    @property
    def group(self) -> list[str]:
        """The group of cases of each figure: what a split must not separate."""
        return [self.contexts.origins[i].group for i in self.contexts.origin]

    @property
    def scanner(self) -> list[str]:
        """The scanner of each figure."""
        return [self.contexts.origins[i].scanner for i in self.contexts.origin]

    def folds(self, count: int) -> IntArray:
        """Return the fold [n] of each figure: whole groups, stratified by scanner.

        The groups of a scanner, those with most atypical figures first, go to the fold that has the
        fewest atypical figures of that scanner. Raises RecipeError for fewer groups than folds.
        """
        group, scanner = np.array(self.group), np.array(self.scanner)
        if len(set(group)) < count:
            raise RecipeError.of(
                "recipe",
                f"{len(set(group))} cases cannot be divided into {count} folds",
                record="atypical.folds",
                way_out="name more cases, or fewer folds",
            )
        fold = np.zeros(len(self), np.int64)
        total = np.zeros((count, 2))
        for name in sorted(set(scanner)):
            load = np.zeros((count, 2))
            for one in sorted(set(group[scanner == name]), key=lambda g: self._order(group, g)):
                members = group == one
                best = np.lexsort((total[:, 1], total[:, 0], load[:, 1], load[:, 0]))[0]
                fold[members] = best
                amount = [self.atypical[members].sum(), members.sum()]
                load[best] += amount
                total[best] += amount
        return fold

    def _order(self, group: np.ndarray, one: str) -> tuple[int, int, str]:
        members = group == one
        return -int(self.atypical[members].sum()), -int(members.sum()), one


def labelled_figures(
    regions: Dataset, crops: Dataset, settings: Atypical, spec: InputSpec
) -> LabelledFigures:
    """Cut out the figures of regions and crops. Raises RecipeError for too few of either kind."""
    side = context_side(spec)
    pixels, share, origin = [], [], []
    origins: dict[Origin, int] = {}
    for slide, x, y, figure, at in chain(_of_regions(regions), _of_crops(crops)):
        pixels.append(read_window(slide, x, y, side, spec.mpp))
        share.append(_target(figure, settings.soft))
        origin.append(origins.setdefault(at, len(origins)))
    values = np.array(share, np.float64)
    for number, what in (
        (int((values >= MAJORITY).sum()), "atypical mitotic figures"),
        (int((values < MAJORITY).sum()), "mitotic figures that are known not to be atypical"),
    ):
        if number < _LEAST:
            raise RecipeError.of(
                "recipe",
                f"the sources have {number} {what}; at least {_LEAST} are needed",
                record="atypical",
                way_out="name labels that say of each figure whether it is atypical, or leave out "
                "[atypical]",
            )
    contexts = Contexts(
        np.stack(pixels),
        values.astype(np.float32),
        (Kind.FIGURE,) * len(values),
        np.array(origin, np.int64),
        tuple(origins),
        spec.mpp,
    )
    return LabelledFigures(contexts, values)


def _target(figure: Figure, soft: float) -> float:
    """Return the majority, moved towards the share of readers."""
    share = figure.atypical or 0.0
    majority = float(share >= MAJORITY)
    return majority + soft * (share - majority)


_Place = tuple[Slide, float, float, Figure, Origin]


def _of_regions(regions: Dataset) -> Iterator[_Place]:
    for case in regions:
        figures = _known(case)
        if figures:
            at = Origin(case.domain("scanner"), case.domain("group"), crop=False)
            with open_case(case) as slide:
                for figure in figures:
                    yield slide, figure.x_px, figure.y_px, figure, at


def _of_crops(crops: Dataset) -> Iterator[_Place]:
    known = crops.where(lambda case: bool(_known(case)))
    for case, image, mpp in usable_crops(known) if len(known) else ():
        x1, y1, x2, y2 = valid_part(image)
        inside = np.ascontiguousarray(image[y1:y2, x1:x2])
        slide = ArraySlide(inside, Path(str(case.image)), MppHints(user=mpp))
        at = Origin(case.domain("scanner"), case.domain("group"), crop=True)
        for figure in _known(case):
            yield slide, figure.x_px - x1, figure.y_px - y1, figure, at


def _known(case: Case) -> list[Figure]:
    return [figure for figure in case.figures if figure.atypical is not None]
