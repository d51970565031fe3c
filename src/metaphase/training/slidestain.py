"""The stains of whole slides, for jitter along the directions in which a slide really varies.

A patch tells its stains badly where it holds one cell type only, and a figure more or less changes
them; a slide tells them once. Found by the same estimate as a patch's (``augment.macenko``).
"""

from __future__ import annotations

import numpy as np

from metaphase.slides.slide import Slide
from metaphase.training.augment import Float, macenko
from metaphase.training.patches import SlidePool
from metaphase.training.sections import Augment

TILES = 64
TILE_PX = 128
MPP = 1.0


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
    """Return the optical density [3 stains, RGB] of a slide's stains, of 64 tiles at most.

    The tiles lie evenly, so that every process that asks finds the same. A slide without enough
    stain has Ruifrok's.
    """
    step = TILE_PX * MPP / slide.mpp
    columns, rows = max(int(slide.width_px / step), 1), max(int(slide.height_px / step), 1)
    places = [(i * step, j * step) for j in range(rows) for i in range(columns)]
    chosen = np.unique(np.linspace(0, len(places) - 1, min(len(places), TILES)).round().astype(int))
    corners = [places[index] for index in chosen]
    tiles = [slide.read(x, y, TILE_PX, TILE_PX, MPP) for x, y in corners]
    return macenko(np.concatenate(tiles))
