"""The state that all requests share: slides, review store, review states and tile renderer."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from fastapi import HTTPException

from metaphase.viewer.comparison import Comparison, compare, is_frozen
from metaphase.viewer.counts import SlideCounter
from metaphase.viewer.earlierfigures import in_force, present_figures
from metaphase.viewer.reference import Reference
from metaphase.viewer.reviewedfigures import default_threshold
from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.slideremarks import SlideRemarks
from metaphase.viewer.store import Decision, Remark, ReviewStore
from metaphase.viewer.tiles import TileRenderer


class Session:
    """One reviewer and the slides under review. Thread-safe."""

    def __init__(
        self,
        slides: Sequence[CatalogueEntry],
        store: ReviewStore,
        reviewer: str,
        blind: bool,
        renderer: TileRenderer,
        counter: SlideCounter | None = None,
    ) -> None:
        self.slides = tuple(slides)
        self.store = store
        self.reviewer = reviewer
        self.blind = blind
        self.renderer = renderer
        self.counter = counter or SlideCounter()
        self._by_slug = {entry.slug: entry for entry in self.slides}
        self._states: dict[str, ReviewState] = {}
        self._remarks: dict[str, SlideRemarks] = {}
        self._compared: dict[str, Comparison] = {}
        self._present: dict[str, tuple[CatalogueEntry, int, dict[str, str]]] = {}
        self._lock = threading.Lock()

    @property
    def seen_reviewer(self) -> str | None:
        """Reviewer whose decisions are shown: this one if blind, else None for everybody."""
        return self.reviewer if self.blind else None

    def slide(self, slug: str) -> CatalogueEntry:
        """Return a slide by its address name; raises HTTPException 404 where there is none."""
        if slug not in self._by_slug:
            raise HTTPException(404, "There is no such slide.")
        return self._by_slug[slug]

    def replace_slides(self, slides: Sequence[CatalogueEntry]) -> None:
        """Show other detections on the same slides. Decisions stay: they are about positions."""
        with self._lock:
            self.slides = tuple(slides)
            self._by_slug = {entry.slug: entry for entry in self.slides}
            self._compared = {}

    def standing(self, entry: CatalogueEntry) -> dict[str, Decision]:
        """Return the current decisions that this reviewer may see, by figure id."""
        with self._lock:
            state = self._state(entry)
            return in_force(entry, state, self.seen_reviewer, self._figures_of_today(entry))

    def changed(
        self, entry: CatalogueEntry, after: int
    ) -> tuple[int, dict[str, Decision | None], bool]:
        """Return the last sequence number, the changes since ``after``, and completeness."""
        with self._lock:
            state, who = self._state(entry), self.seen_reviewer
            present = self._figures_of_today(entry)
            changed = state.changed(after, who)
            if present:
                standing = in_force(entry, state, who, present)
                names = {present.get(figure, figure) for figure in changed}
                changed = {name: standing.get(name) for name in names}
            return state.seq, changed, state.complete(who)

    def threshold(self, entry: CatalogueEntry) -> float:
        """Return the threshold that this reviewer set on a slide, or else the detector's."""
        own = self.remarks(entry).threshold(self.reviewer)
        return default_threshold(entry) if own is None else own

    def compared(self, entry: CatalogueEntry, reference: Reference, threshold: float) -> Comparison:
        """Return the comparison of a slide with a reference; that of two models is kept."""
        if not is_frozen(entry, reference):
            mpp = self.renderer.handles.get(entry).mpp
            return compare(entry, reference, self.standing(entry).values(), threshold, mpp)
        if entry.slug not in self._compared:
            mpp = reference.mpp or self.renderer.handles.get(entry).mpp
            self._compared[entry.slug] = compare(entry, reference, (), threshold, mpp)
        return self._compared[entry.slug]

    def remarks(self, entry: CatalogueEntry) -> SlideRemarks:
        """Return the remarks on a slide."""
        with self._lock:
            remarks = self._remarks.setdefault(entry.key, SlideRemarks(entry.key))
            return remarks.update(self.store)

    def comments(self, entry: CatalogueEntry) -> list[Remark]:
        """Return the comments that this reviewer may see, about the figures of today."""
        remarks = self.remarks(entry)
        with self._lock:
            return remarks.comments(self.seen_reviewer, self._figures_of_today(entry))

    def atypical(self, entry: CatalogueEntry) -> dict[str, bool]:
        """Return which figures of today the readers call atypical."""
        remarks = self.remarks(entry)
        with self._lock:
            return remarks.atypical(self.seen_reviewer, self._figures_of_today(entry))

    def _figures_of_today(self, entry: CatalogueEntry) -> dict[str, str]:
        """Return the figures of today for those of an earlier model; kept while nothing changes."""
        remarks = self._remarks.setdefault(entry.key, SlideRemarks(entry.key))
        ids = {*self._state(entry).figures, *remarks.figures}  # it only grows
        kept = self._present.get(entry.key)
        if kept is None or kept[0] is not entry or kept[1] != len(ids):
            kept = self._present[entry.key] = (entry, len(ids), present_figures(entry, ids))
        return kept[2]

    def _state(self, entry: CatalogueEntry) -> ReviewState:
        state = self._states.setdefault(entry.key, ReviewState(entry.key))
        return state.update(self.store)
