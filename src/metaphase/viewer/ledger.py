"""From the history of decisions to how things stand now."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from metaphase.figures import Label
from metaphase.viewer.store import WHOLE_SLIDE, Decision, ReviewStore, State

_SETTLED = (State.CONFIRMED, State.REJECTED, State.RELABELLED, State.ADDED)


class Ledger:
    """The decisions of one slide, folded: for each figure and reviewer, those not taken back."""

    def __init__(self, slide: str) -> None:
        self.slide = slide
        self.seq = 0
        self._standing: dict[str, dict[str, list[Decision]]] = {}
        self._touched: dict[str, dict[str, int]] = {}

    def add(self, decisions: Iterable[Decision]) -> None:
        """Take in decisions in the order of their numbers; known ones are passed over."""
        for decision in decisions:
            if decision.seq <= self.seq:
                continue
            self.seq = decision.seq
            readers = self._standing.setdefault(decision.figure, {})
            stack = readers.setdefault(decision.reviewer, [])
            self._touched.setdefault(decision.figure, {})[decision.reviewer] = decision.seq
            if decision.state != State.UNDONE:
                stack.append(decision)
            elif stack:
                stack.pop()

    def update(self, store: ReviewStore) -> Ledger:
        """Take in what was added to the store since."""
        self.add(store.since(self.slide, self.seq))
        return self

    def standing(self, figure: str, reviewer: str | None = None) -> Decision | None:
        """Return the decision that holds: the reviewer's, or the latest of anybody (None)."""
        readers = self._standing.get(figure, {})
        stacks = readers.values() if reviewer is None else [readers.get(reviewer, [])]
        return max((s[-1] for s in stacks if s), key=lambda d: d.seq, default=None)

    def all(self, reviewer: str | None = None) -> dict[str, Decision]:
        """Return the decisions that hold, by figure; those about the whole slide are left out."""
        found = {
            figure: self.standing(figure, reviewer)
            for figure in self._standing
            if figure != WHOLE_SLIDE
        }
        return {figure: decision for figure, decision in found.items() if decision is not None}

    def changed(self, after: int, reviewer: str | None = None) -> dict[str, Decision | None]:
        """Return how each figure stands that was decided about after a number; None: open again.

        With a reviewer, figures that only others decided about are not named.
        """
        return {
            figure: self.standing(figure, reviewer)
            for figure, times in self._touched.items()
            if figure != WHOLE_SLIDE
            and after < (max(times.values()) if reviewer is None else times.get(reviewer, 0))
        }

    def complete(self, reviewer: str | None = None) -> bool:
        """Tell whether somebody (or the reviewer) said that all of the slide was looked at."""
        return self.standing(WHOLE_SLIDE, reviewer) is not None

    def __len__(self) -> int:
        return self.seq


def verdict(decision: Decision) -> Label | None:
    """Return what a figure is after a decision; None: neither mitotic figure nor look-alike."""
    return None if decision.state == State.REJECTED else decision.label


def counts(standing: Mapping[str, Decision]) -> dict[str, int]:
    """Return how many figures are in each state."""
    found = {str(state): 0 for state in _SETTLED}
    for decision in standing.values():
        found[str(decision.state)] += 1
    return found
