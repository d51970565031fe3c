"""The exact placement of a disc or a square that holds the most points.

Branch and bound over the centre of the window. A node is a square of centres; no window centred in
it can hold more than the points within its radius plus that of the node, counted with a k-d tree,
so that most of the slide is discarded at once. If few points remain whose membership differs within
a node, the critical centres are enumerated: any best window can be moved, without losing a point,
until it is fixed by points on its edge (two circles that cross, one point for each side of a
square) or by a border. The result is that of the classical sweeps (Imai and Asano 1983 for
rectangles with a segment tree, Chazelle and Lee 1986 for discs), but borders, windows already
placed and a least share of tissue are respected.

All values have one unit. A square with half side ``radius`` is a ball of the maximum norm; other
rectangles are squares after scaling y.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from metaphase.arrays import BoolArray, FloatArray, IntArray
from metaphase.counting.criticalcentres import centres_of_discs, stops_of

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

_RING = {2.0: 48, np.inf: 96}  # points on the edge of a node for which enumeration is cheaper
_PROBES = 128  # nodes of a level whose centre is tried
_FIRST_NODE = 4.0  # with few points the first nodes have half a side of radius / 4
_FINE, _CELLS, _MANY = 64, 4e6, 2000  # of the first grid with many points
_TOO_MANY = 4000  # first nodes, above which they are joined to larger ones
_SMALLEST_NODE = 2.0**-20
_SMALL_NODE = 2.0**-8  # from here on points in line or at one position are expected
_WORK = 5e6  # multiplications for one node
_SMALLEST_UNSURE_NODE = 2.0**-8  # of the radius; tissue masks are no finer


@dataclass(frozen=True, slots=True)
class Space:
    """The allowed centres of a window.

    ``region`` x1, y1, x2, y2 is closed. ``taken`` [k, 4] are centres x, y and half extents of
    windows already placed; centres inside are forbidden (boxes in the maximum norm, discs in the
    Euclidean one). ``fraction`` (the tissue at centres [n, 2]) must reach ``least``; it may not
    change faster than the shift of the centre over the radius, as the covered share of a window.
    """

    region: tuple[float, float, float, float]
    taken: FloatArray
    fraction: Callable[[FloatArray], FloatArray] | None = None
    least: float = 0.0


@dataclass(frozen=True, slots=True)
class Placement:
    """A centre and the number of points in its window."""

    x: float
    y: float
    count: int


class Search:
    """A search. ``norm`` is 2 (discs) or infinity (squares)."""

    def __init__(
        self, points: FloatArray, radius: float, norm: float, space: Space, tolerance: float
    ) -> None:
        from scipy.spatial import cKDTree

        self.points, self.radius, self.norm = points, radius, norm
        self.space, self.tolerance = space, tolerance
        self.tree: cKDTree = cKDTree(points, leafsize=32)
        self.best: Placement | None = None

    @property
    def bar(self) -> int:
        """The count to beat."""
        return self.best.count if self.best else 0

    def run(self) -> Placement | None:
        """Return a best placement with at least one point, or None."""
        centres, half = self._first_nodes()
        sure = np.full(len(centres), self.space.fraction is None)
        while len(centres):
            centres, sure = self._level(centres, sure, half)
            half /= 2
            shift = half * np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]])
            centres = (centres[:, None, :] + shift).reshape(-1, 2)
            sure = np.repeat(sure, 4)
        return self.best

    def _first_nodes(self) -> tuple[FloatArray, float]:
        """Return the centres of the first nodes and half their side.

        With many points these are the nodes of a fine grid that can exceed the best of its centres.
        """
        low = np.minimum(self.points.min(axis=0), self.space.region[:2])
        size = np.maximum(self.points.max(axis=0), self.space.region[2:]) - low
        cell = max(self.radius / _FINE, float(np.sqrt(np.prod(size) / _CELLS)))
        if len(self.points) < _MANY or cell > self.radius / _FIRST_NODE:
            cell = self.radius * 2 / _FIRST_NODE
            shape = np.maximum(1, np.ceil(size / cell)).astype(int)
            upper = np.full(shape, float(len(self.points)))
        else:
            shape = np.floor(size / cell).astype(int) + 1
            upper = self._bounds(low, cell, shape)
        order = np.argsort(-upper, axis=None, kind="stable")[:_PROBES]
        self._probe(low + (_places(order, shape) + 0.5) * cell)
        places = _places(np.flatnonzero(upper > self.bar), shape)
        block = self._block(cell) if len(places) > _TOO_MANY else 1
        if block > 1:  # evenly spread points: small nodes discard little
            places, cell = np.unique(places // block, axis=0), cell * block
        return low + (places + 0.5) * cell, cell / 2

    def _block(self, cell: float) -> int:
        """Return the side, in cells, of a node that can still be solved at once."""
        side = self.radius * min(_RING[self.norm] / (2 * max(self.bar, 1)), 2 / _FIRST_NODE)
        return int(2 ** max(0.0, np.floor(np.log2(side / cell))))

    def _bounds(self, low: FloatArray, cell: float, shape: IntArray) -> FloatArray:
        """Return for each cell [nx, ny] the most points of a window centred in it.

        These are the points of all cells that are near enough, by a convolution.
        """
        places = np.floor((self.points - low) / cell).astype(int)
        counts = np.bincount(
            np.ravel_multi_index(tuple(places.T), tuple(shape)), minlength=int(np.prod(shape))
        ).reshape(shape)
        reach = int(np.ceil(self.radius / cell)) + 1
        gap = np.maximum(np.abs(np.arange(-reach, reach + 1)) - 1, 0) * cell
        if np.isinf(self.norm):
            distance = np.maximum(gap[:, None], gap[None, :])
        else:
            distance = np.hypot(gap[:, None], gap[None, :])
        near = distance <= self.radius + 2 * self.tolerance
        return np.rint(convolved(counts.astype(np.float64), near.astype(np.float64)))

    def _level(
        self, centres: FloatArray, sure: BoolArray, half: float
    ) -> tuple[FloatArray, BoolArray]:
        """Bound, try and solve the nodes of one size; return those to divide."""
        reach = half if np.isinf(self.norm) else half * np.sqrt(2)
        keep = self._free(centres, half)
        centres, sure = centres[keep], sure[keep]
        upper = self._counts(centres, self.radius + reach + 2 * self.tolerance)
        order = np.argsort(-upper, kind="stable")
        order = order[upper[order] > self.bar]
        centres, sure, upper = centres[order], sure[order], upper[order]
        self._probe(centres[:_PROBES])
        keep = upper > self.bar
        centres, sure, upper = centres[keep], sure[keep], upper[keep]
        if not sure.all():
            keep, sure = self._tissue(centres, sure, half)
            centres, sure, upper = centres[keep], sure[keep], upper[keep]
        solve = self._few(centres, upper, half, reach)
        solve &= sure | (half < self.radius * _SMALLEST_UNSURE_NODE)
        left = ~solve
        for i in np.flatnonzero(solve):
            if upper[i] > self.bar:
                left[i] = not self._solve(centres[i], half, reach, bool(sure[i]))
        left &= upper > self.bar
        return centres[left], sure[left]

    def _few(self, centres: FloatArray, upper: IntArray, half: float, reach: float) -> BoolArray:
        """Return which nodes have few points whose membership differs within the node."""
        few = np.full(len(centres), half < self.radius * _SMALL_NODE)
        part = 4 * reach / self.radius  # of the area of a window, that its edge sweeps
        likely = ~few & (upper * min(part, 1.0) < 3 * _RING[self.norm])
        lower = self._counts(centres[likely], self.radius - reach - 2 * self.tolerance)
        few[likely] = upper[likely] - lower <= _RING[self.norm]
        return few

    def _counts(self, centres: FloatArray, radius: float) -> IntArray:
        if radius < 0 or not len(centres):
            return np.zeros(len(centres), np.int64)
        counts = self.tree.query_ball_point(centres, radius, p=self.norm, return_length=True)
        return np.asarray(counts, dtype=np.int64)

    def _free(self, centres: FloatArray, half: float) -> BoolArray:
        """Return which nodes have a centre that may be allowed."""
        x1, y1, x2, y2 = self.space.region
        x, y = centres[:, 0], centres[:, 1]
        free = (x - half <= x2) & (x + half >= x1) & (y - half <= y2) & (y + half >= y1)
        for tx, ty, hx, hy in self.space.taken:
            dx, dy = np.abs(x - tx) + half, np.abs(y - ty) + half
            free &= ~((dx < hx) & (dy < hy)) if np.isinf(self.norm) else np.hypot(dx, dy) >= hx
        return np.asarray(free)

    def _allowed(self, centres: FloatArray) -> BoolArray:
        """Return which centres are in the region and not inside a window already placed."""
        x1, y1, x2, y2 = self.space.region
        t = self.tolerance / 4
        x, y = centres[:, 0], centres[:, 1]
        good = (x >= x1 - t) & (x <= x2 + t) & (y >= y1 - t) & (y <= y2 + t)
        for tx, ty, hx, hy in self.space.taken:
            dx, dy = np.abs(x - tx), np.abs(y - ty)
            if np.isinf(self.norm):
                good &= (dx >= hx - t) | (dy >= hy - t)
            else:
                good &= np.hypot(dx, dy) >= hx - t
        return np.asarray(good)

    def _has_tissue(self, x: float, y: float) -> bool:
        if self.space.fraction is None:
            return True
        return bool(self.space.fraction(np.array([[x, y]]))[0] >= self.space.least)

    def _probe(self, centres: FloatArray) -> None:
        """Try some centres, to raise the count to beat early."""
        x1, y1, x2, y2 = self.space.region
        tries = np.clip(centres, (x1, y1), (x2, y2))
        tries = tries[self._allowed(tries)]
        counts = self._counts(tries, self.radius + self.tolerance / 2)
        self._offer(tries, counts)

    def _offer(self, centres: FloatArray, counts: IntArray, sure: bool = False) -> None:
        """Keep the first centre with the highest count above the bar and enough tissue."""
        for i in np.argsort(-counts, kind="stable"):
            if counts[i] <= self.bar:
                return
            x, y = float(centres[i, 0]), float(centres[i, 1])
            if sure or self._has_tissue(x, y):
                self.best = Placement(x, y, int(counts[i]))
                return

    def _tissue(
        self, centres: FloatArray, sure: BoolArray, half: float
    ) -> tuple[BoolArray, BoolArray]:
        """Return which nodes may have enough tissue, and which surely have it."""
        fraction = self.space.fraction
        assert fraction is not None
        change = half / self.radius
        keep = sure.copy()
        share = fraction(centres[~sure])
        keep[~sure] = share + change >= self.space.least
        now = sure.copy()
        now[~sure] = share - change >= self.space.least
        return keep, now

    def _solve(self, centre: FloatArray, half: float, reach: float, sure: bool) -> bool:
        """Enumerate the critical centres of one node; return False if there are too many."""
        near = self.tree.query_ball_point(
            centre, self.radius + reach + 2 * self.tolerance, p=self.norm
        )
        points = self.points[near]
        away = np.abs(points - centre)
        distance = away.max(axis=1) if np.isinf(self.norm) else np.hypot(away[:, 0], away[:, 1])
        always = distance <= self.radius - reach - 2 * self.tolerance
        ring, weight = np.unique(points[~always], axis=0, return_counts=True)
        box = self._node_box(centre, half)
        if np.isinf(self.norm):
            stops = [
                stops_of(ring[:, a], self.radius, box[a::2], self.space.taken[:, a::2], sure)
                for a in (0, 1)
            ]
            work = len(stops[0]) * len(stops[1]) * len(ring)
        else:
            work = len(ring) ** 3
        if work > _WORK and half > self.radius * _SMALLEST_NODE:
            return False
        if np.isinf(self.norm):
            tries, held = self._squares(ring, weight, stops)
        else:
            tries, held = self._discs(ring, weight, box)
        counts = int(always.sum()) + held
        better = counts > self.bar
        tries, counts = tries[better], counts[better]
        good = self._allowed(tries)
        self._offer(tries[good], counts[good], sure)
        return True

    def _squares(
        self, ring: FloatArray, weight: IntArray, stops: list[FloatArray]
    ) -> tuple[FloatArray, IntArray]:
        """Return the critical centres [k, 2], and how many points of the ring each holds."""
        limit = self.radius + self.tolerance / 2
        x, y = (
            (np.abs(stop[:, None] - ring[None, :, axis]) <= limit).astype(np.float32)
            for axis, stop in enumerate(stops)
        )
        held = (y * weight.astype(np.float32)) @ x.T
        tries = np.stack(np.meshgrid(*stops), axis=-1).reshape(-1, 2)
        return tries, np.rint(held).astype(np.int64).ravel()

    def _discs(
        self, ring: FloatArray, weight: IntArray, box: FloatArray
    ) -> tuple[FloatArray, IntArray]:
        tries = centres_of_discs(ring, self.radius, box, self.space.taken)
        slack = self.tolerance / 4
        inside = (tries >= box[:2] - slack).all(axis=1) & (tries <= box[2:] + slack).all(axis=1)
        tries = tries[inside]
        away = tries[:, None, :] - ring[None, :, :]
        held = np.hypot(away[..., 0], away[..., 1]) <= self.radius + self.tolerance / 2
        return tries, held @ weight

    def _node_box(self, centre: FloatArray, half: float) -> FloatArray:
        x1, y1, x2, y2 = self.space.region
        low = np.maximum(centre - half, (x1, y1))
        high = np.minimum(centre + half, (x2, y2))
        return np.concatenate([low, np.maximum(low, high)])


def convolved(values: FloatArray, kernel: FloatArray) -> FloatArray:
    """Return the convolution with a kernel of odd sides, in the shape of the values.

    ``scipy.signal`` has it too, but importing that takes longer than most searches.
    """
    from scipy.fft import irfft2, next_fast_len, rfft2

    full = [a + b - 1 for a, b in zip(values.shape, kernel.shape, strict=True)]
    size = [next_fast_len(n, real=True) for n in full]
    result = irfft2(rfft2(values, size) * rfft2(kernel, size), size)
    (top, left), (rows, columns) = (n // 2 for n in kernel.shape), values.shape
    return np.asarray(result[top : top + rows, left : left + columns])


def _places(flat: IntArray, shape: IntArray) -> IntArray:
    return np.stack(np.unravel_index(flat, tuple(shape)), axis=1)
