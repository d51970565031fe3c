"""The one-to-one rules, one detection at a time.

Each matcher holds who has which truth (``taken``, -1 for nobody) and lets points in one by one;
``add`` returns 1 if a truth more is found by it, else 0. The rules are those of ``matching``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Near:
    """The pairs within the radius: truth, point and distance [k each], sorted by point.

    ``ranking`` [m] are the points by falling score; ``order`` those of them that are near a truth.
    """

    n: int
    m: int
    truth: IntArray
    point: IntArray
    distance: FloatArray
    ranking: IntArray
    order: list[int]

    def truths_of(self) -> dict[int, list[tuple[int, float]]]:
        """Return for each point its truths and their distances, by index of the truth."""
        table: dict[int, list[tuple[int, float]]] = {}
        rows = zip(self.point.tolist(), self.truth.tolist(), self.distance.tolist(), strict=True)
        for point, truth, distance in rows:
            table.setdefault(point, []).append((truth, distance))
        return table


class Greedy:
    """Detections by falling score take the nearest truth that is free."""

    def __init__(self, near: Near) -> None:
        self.taken = [-1] * near.n
        self._truths = near.truths_of()

    def add(self, point: int) -> int:
        """Let a point in; return how many truths are found by it (0 or 1)."""
        free = [(d, t) for t, d in self._truths[point] if self.taken[t] < 0]
        if not free:
            return 0
        self.taken[min(free)[1]] = point
        return 1


class InFileOrder:
    """Truths in file order take the nearest detection that is unused.

    A new point is handed down the row of truths: each keeps the nearer of the one it has and the
    one it is handed (ties: lower index) and hands on the other, until a truth had none.
    """

    def __init__(self, near: Near) -> None:
        self.taken = [-1] * near.n
        self._distance = [np.inf] * near.n
        self._truths = near.truths_of()

    def add(self, point: int) -> int:
        """Let a point in; return how many truths are found by it (0 or 1)."""
        handed, reached = point, -1
        while (offer := self._first_to_prefer(handed, reached)) is not None:
            reached, distance = offer
            previous = self.taken[reached]
            self.taken[reached], self._distance[reached] = handed, distance
            if previous < 0:
                return 1
            handed = previous
        return 0

    def _first_to_prefer(self, point: int, reached: int) -> tuple[int, float] | None:
        """Return the next truth after ``reached`` that would rather have this point."""
        for truth, distance in self._truths[point]:
            has = (self._distance[truth], self.taken[truth])
            if truth > reached and (distance, point) < has:
                return truth, distance
        return None


class Largest:
    """Keeps the number of pairs as large as possible, by augmenting paths (Berge 1957)."""

    def __init__(self, near: Near) -> None:
        self.taken = [-1] * near.n
        self._truth_of: dict[int, int] = {}
        self._truths = near.truths_of()

    def add(self, point: int) -> int:
        """Let a point in; return how many truths are found by it (0 or 1)."""
        came_from: dict[int, int] = {}
        queue = [point]
        for current in queue:
            for truth, _ in self._truths[current]:
                if truth in came_from:
                    continue
                came_from[truth] = current
                if self.taken[truth] < 0:
                    self._shift(truth, came_from)
                    return 1
                queue.append(self.taken[truth])
        return 0

    def _shift(self, free: int, came_from: dict[int, int]) -> None:
        """Give the free truth to the point that reached it, that one's truth to the one before."""
        truth: int | None = free
        while truth is not None:
            point = came_from[truth]
            left = self._truth_of.get(point)
            self.taken[truth] = point
            self._truth_of[point] = truth
            truth = left


MATCHERS: dict[str, type[Greedy] | type[InFileOrder] | type[Largest]] = {
    "midog": InFileOrder,
    "greedy": Greedy,
    "optimal": Largest,
}
