"""What all requests share: the opened slides, the store, the ledgers, the pictures."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from fastapi import HTTPException

from metaphase.viewer.counts import Counter
from metaphase.viewer.ledger import Ledger
from metaphase.viewer.opened import Opened
from metaphase.viewer.store import Decision, ReviewStore
from metaphase.viewer.tiles import Pictures


class Room:
    """One reviewer with slides on the table."""

    def __init__(
        self,
        slides: Sequence[Opened],
        store: ReviewStore,
        reviewer: str,
        blind: bool,
        pictures: Pictures,
        counter: Counter | None = None,
    ) -> None:
        self.slides = tuple(slides)
        self.store = store
        self.reviewer = reviewer
        self.blind = blind
        self.pictures = pictures
        self.counter = counter or Counter()
        self._by_slug = {opened.slug: opened for opened in self.slides}
        self._ledgers: dict[str, Ledger] = {}
        self._lock = threading.Lock()

    @property
    def seen_reviewer(self) -> str | None:
        """Whose decisions this reviewer sees: their own when blind, else everybody's (None)."""
        return self.reviewer if self.blind else None

    def slide(self, slug: str) -> Opened:
        """Return an opened slide, or answer that there is none."""
        if slug not in self._by_slug:
            raise HTTPException(404, "There is no such slide.")
        return self._by_slug[slug]

    def standing(self, opened: Opened) -> dict[str, Decision]:
        """Return the decisions that hold and that this reviewer may see."""
        with self._lock:
            return self._ledger(opened).all(self.seen_reviewer)

    def changed(self, opened: Opened, after: int) -> tuple[int, dict[str, Decision | None], bool]:
        """Return the last number, the figures that changed after one, and "all looked at"."""
        with self._lock:
            ledger = self._ledger(opened)
            who = self.seen_reviewer
            return ledger.seq, ledger.changed(after, who), ledger.complete(who)

    def _ledger(self, opened: Opened) -> Ledger:
        ledger = self._ledgers.setdefault(opened.key, Ledger(opened.key))
        return ledger.update(self.store)
