"""The current state of a review, computed from the history of decisions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from metaphase.figures import Label
from metaphase.viewer.store import WHOLE_SLIDE, Decision, ReviewStore, State

_SETTLED = (State.CONFIRMED, State.REJECTED, State.RELABELLED, State.ADDED)


class ReviewState:
    """The decisions in force on one slide: those of each figure and reviewer not undone."""

    def __init__(self, slide: str) -> None:
        self.slide = slide
        self.seq = 0
        self._standing: dict[str, dict[str, list[Decision]]] = {}
        self._touched: dict[str, dict[str, int]] = {}

    def add(self, decisions: Iterable[Decision]) -> None:
        """Apply decisions in the order of their sequence numbers; known ones are skipped."""
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

    def update(self, store: ReviewStore) -> ReviewState:
        """Apply what was added to the store since the last update."""
        self.add(store.since(self.slide, self.seq))
        return self

    @property
    def figures(self) -> list[str]:
        """The ids of all figures that were ever decided."""
        return [figure for figure in self._standing if figure != WHOLE_SLIDE]

    def last_entry(self, figure: str, reviewer: str) -> int:
        """Return the number of a reader's last decision or undoing of a figure; 0 without one."""
        return self._touched.get(figure, {}).get(reviewer, 0)

    def standing(self, figure: str, reviewer: str | None = None) -> Decision | None:
        """Return the decision in force of a reviewer, or with None the latest of any reviewer."""
        readers = self._standing.get(figure, {})
        stacks = readers.values() if reviewer is None else [readers.get(reviewer, [])]
        return max((s[-1] for s in stacks if s), key=lambda d: d.seq, default=None)

    def all(self, reviewer: str | None = None) -> dict[str, Decision]:
        """Return the decisions in force by figure id, without those about the whole slide."""
        found = {
            figure: self.standing(figure, reviewer)
            for figure in self._standing
            if figure != WHOLE_SLIDE
        }
        return {figure: decision for figure, decision in found.items() if decision is not None}

    def changed(self, after: int, reviewer: str | None = None) -> dict[str, Decision | None]:
        """Return the decision in force of each figure that changed after a sequence number.

        None means that the figure is undecided again. With a reviewer, figures that only other
        readers decided are left out.
        """
        return {
            figure: self.standing(figure, reviewer)
            for figure, times in self._touched.items()
            if figure != WHOLE_SLIDE
            and after < (max(times.values()) if reviewer is None else times.get(reviewer, 0))
        }

    def complete(self, reviewer: str | None = None) -> bool:
        """Return whether the reviewer (None: anybody) marked the slide as complete."""
        return self.standing(WHOLE_SLIDE, reviewer) is not None

    def __len__(self) -> int:
        return self.seq


def verdict(decision: Decision) -> Label | None:
    """Return the label of a figure after a decision; None where it was rejected."""
    return None if decision.state == State.REJECTED else decision.label


def counts(standing: Mapping[str, Decision]) -> dict[str, int]:
    """Return the number of figures in each decision state."""
    found = {str(state): 0 for state in _SETTLED}
    for decision in standing.values():
        found[str(decision.state)] += 1
    return found
