"""The slides of a learning loop on the review page, and the candidates to review next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metaphase.detectionfile import load_detections
from metaphase.errors import InputError
from metaphase.learning.loopfolder import LoopFolder
from metaphase.slides.address import url_of
from metaphase.viewer.columns import PER_PX, Source
from metaphase.viewer.slidecatalogue import CatalogueEntry, SlideDetections, catalogue_entry


def loop_slides(loop: LoopFolder) -> list[CatalogueEntry]:
    """Return the slides of a loop with their latest detections.

    A slide is known to the store by its name in the loop. Slides whose detection failed are left
    out. Raises InputError where none is left, or an image is missing.
    """
    slides = []
    for image in loop.settings().images:
        folder = loop.detections / image.name
        if not loop.candidates(image.name).is_file():
            continue
        if url_of(image.path) is None and not image.path.is_file():
            raise InputError.of(
                image.path, "is missing, though it is part of the loop", way_out="restore it"
            )
        found = SlideDetections(load_detections(folder), folder)
        slides.append(catalogue_entry(image.path, image.name, found, mpp=image.mpp))
    if not slides:
        raise InputError.of(
            loop.path, "has no slides to review", way_out="repeat 'metaphase learn start'"
        )
    return slides


def proposed_figures(loop: LoopFolder, slides: Sequence[CatalogueEntry]) -> dict[str, list[str]]:
    """Return by slide key the ids of the candidates to review next, the most informative first.

    Every slide that has any comes in the order of its best one.
    """
    by_key = {entry.key: entry for entry in slides}
    found: dict[str, list[str]] = {}
    for name, x, y in loop.order():
        entry = by_key.get(name)
        figure = None if entry is None else _figure_at(entry, x, y)
        if figure is not None:
            found.setdefault(name, []).append(figure)
    return found


def _figure_at(entry: CatalogueEntry, x_px: float, y_px: float) -> str | None:
    """Return the id of the detected mitotic figure at a position."""
    x, y = (int(np.round(value * PER_PX)) for value in (x_px, y_px))
    id_ = f"d{x}_{y}_0"
    row = entry.columns.index.get(id_)
    return id_ if row is not None and entry.columns.source[row] == Source.DETECTION else None
