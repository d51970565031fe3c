"""The decisions of a review as what training learns from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from metaphase.figures import Label
from metaphase.learning.slidereview import SlideReview
from metaphase.viewer.earlierfigures import in_force
from metaphase.viewer.export import ExportOptions, undecided_figures
from metaphase.viewer.reviewstate import ReviewState, verdict
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.store import ReviewStore


def slide_reviews(
    slides: Sequence[CatalogueEntry], store: ReviewStore, reviewer: str | None = None
) -> list[SlideReview]:
    """Return the decisions on each slide that has any.

    ``reviewer``: whose decisions; None takes the latest of any reader. A slide counts as completely
    reviewed by the rule of the export: it was marked as complete, and no figure above the threshold
    is undecided.
    """
    waiting = undecided_figures(slides, store, ExportOptions(reviewer))
    reviews = []
    for entry in slides:
        state = ReviewState(entry.key).update(store)
        rows = [
            (decision.x_px, decision.y_px, float(verdict(decision) == Label.MITOTIC))
            for decision in in_force(entry, state, reviewer).values()
            if decision.x_px is not None and decision.y_px is not None
        ]
        complete = state.complete(reviewer) and not waiting[entry.key]
        if rows or complete:
            table = np.array(rows, np.float64).reshape(-1, 3)
            reviews.append(SlideReview(entry.path, table[:, :2], table[:, 2], complete))
    return reviews
