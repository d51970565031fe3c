"""The stains of whole slides: for jitter along the directions in which a slide really varies, and
of all training regions together, as what the second stage exchanges others for.

A patch tells its stains badly where it holds one cell type only, and a figure more or less changes
them; a slide tells them once. Found by the same estimate as a patch's (``augment.macenko``).
"""

from __future__ import annotations

import numpy as np

from metaphase.errors import RecipeError
from metaphase.labels.dataset import Dataset
from metaphase.models.card import StainReference
from metaphase.slides.open import open_case
from metaphase.slides.slide import Slide
from metaphase.slides.stain import stain_of, stain_tiles
from metaphase.training.patches.augment import RUIFROK, Float, macenko
from metaphase.training.patches.patch import SlidePool
from metaphase.training.recipe.sections import Augment


class SlideStains:
    """Optical densities [3 stains, RGB] of slides by case id, each estimated once a process."""

    def __init__(self, slides: SlidePool) -> None:
        self._slides = slides
        self._known: dict[str, Float] = {}

    def __getitem__(self, case_id: str) -> Float:
        if case_id not in self._known:
            self._known[case_id] = slide_vectors(self._slides[case_id])
        return self._known[case_id]


def slide_stains(settings: Augment | None, slides: SlidePool) -> SlideStains | None:
    """Return the stains of slides if augmentation asks for them (``vectors = "slide"``)."""
    if settings is None or settings.stain.vectors != "slide":
        return None
    return SlideStains(slides)


def slide_vectors(slide: Slide) -> Float:
    """Return the optical density [3 stains, RGB] of a slide's stains.

    Every process that asks finds the same. A slide without enough stain has Ruifrok's.
    """
    tiles = stain_tiles(slide)
    return macenko(np.concatenate(tiles)) if tiles else RUIFROK


def reference_stain(training: Dataset) -> StainReference:
    """Return the stains of all training regions together. Raises RecipeError, SlideError."""
    tiles = []
    for case in training:
        with open_case(case) as slide:
            tiles += stain_tiles(slide)
    found = stain_of(tiles)
    if found is None:
        raise RecipeError.of(
            "recipe",
            "the training regions hold too little stain to exchange others for theirs",
            record="second_stage.stain_normalisation",
            way_out='leave it out, or say stain_normalisation = "none"',
        )
    return StainReference.model_validate(found.to_json())
