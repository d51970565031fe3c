"""The one-to-one matching rules, as matchers that take one detection at a time.

A matcher holds the detection of each figure (``point_of_truth``, -1 for none). ``add`` takes one
more detection and returns how many figures are matched because of it (0 or 1). A figure that is
matched stays matched, so that the number of true positives never falls. The rules are those of
``matching``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from metaphase.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class NearPairs:
    """The pairs within the radius, of ``n`` figures and ``m`` points.

    ``truth``, ``point`` and ``distance`` [k each] are sorted by point. ``ranking`` [m] holds the
    points by falling score, ``order`` those of them that are near a figure.
    """

    n: int
    m: int
    truth: IntArray
    point: IntArray
    distance: FloatArray
    ranking: IntArray
    order: list[int]

    def truths_of(self) -> dict[int, list[tuple[int, float]]]:
        """Return for each point its figures and their distances, by index of the figure."""
        table: dict[int, list[tuple[int, float]]] = {}
        rows = zip(self.point.tolist(), self.truth.tolist(), self.distance.tolist(), strict=True)
        for point, truth, distance in rows:
            table.setdefault(point, []).append((truth, distance))
        return table


class Greedy:
    """Detections by falling score are matched with the nearest unmatched figure."""

    def __init__(self, near: NearPairs) -> None:
        self.point_of_truth = [-1] * near.n
        self._truths = near.truths_of()

    def add(self, point: int) -> int:
        """Add a point; return how many figures are matched because of it (0 or 1)."""
        free = [(d, t) for t, d in self._truths[point] if self.point_of_truth[t] < 0]
        if not free:
            return 0
        self.point_of_truth[min(free)[1]] = point
        return 1


class InFileOrder:
    """Figures in file order are matched with the nearest detection that is still unused.

    The first figure in file order that prefers the new point (because it is nearer, or of equal
    distance and lower index) replaces its own. The point that was replaced is then offered to the
    figures after it in the same way, until a figure had none.
    """

    def __init__(self, near: NearPairs) -> None:
        self.point_of_truth = [-1] * near.n
        self._distance = [np.inf] * near.n
        self._truths = near.truths_of()

    def add(self, point: int) -> int:
        """Add a point; return how many figures are matched because of it (0 or 1)."""
        offered, last = point, -1
        while (accepted := self._first_to_prefer(offered, last)) is not None:
            last, distance = accepted
            replaced = self.point_of_truth[last]
            self.point_of_truth[last], self._distance[last] = offered, distance
            if replaced < 0:
                return 1
            offered = replaced
        return 0

    def _first_to_prefer(self, point: int, last: int) -> tuple[int, float] | None:
        """Return the first figure after ``last`` that prefers this point, with its distance."""
        for truth, distance in self._truths[point]:
            current = (self._distance[truth], self.point_of_truth[truth])
            if truth > last and (distance, point) < current:
                return truth, distance
        return None


class Largest:
    """Keeps the number of pairs as large as possible, by augmenting paths (Berge 1957)."""

    def __init__(self, near: NearPairs) -> None:
        self.point_of_truth = [-1] * near.n
        self._truth_of: dict[int, int] = {}
        self._truths = near.truths_of()

    def add(self, point: int) -> int:
        """Add a point; return how many figures are matched because of it (0 or 1)."""
        reached_from: dict[int, int] = {}
        queue = [point]
        for current in queue:
            for truth, _ in self._truths[current]:
                if truth in reached_from:
                    continue
                reached_from[truth] = current
                if self.point_of_truth[truth] < 0:
                    self._augment(truth, reached_from)
                    return 1
                queue.append(self.point_of_truth[truth])
        return 0

    def _augment(self, free: int, reached_from: dict[int, int]) -> None:
        """Swap the pairs along the path that ends at an unmatched figure."""
        truth: int | None = free
        while truth is not None:
            point = reached_from[truth]
            previous = self._truth_of.get(point)
            self.point_of_truth[truth] = point
            self._truth_of[point] = truth
            truth = previous


MATCHERS: dict[str, type[Greedy] | type[InFileOrder] | type[Largest]] = {
    "midog": InFileOrder,
    "greedy": Greedy,
    "optimal": Largest,
}
