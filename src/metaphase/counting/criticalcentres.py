"""The critical centres of a window: places that are fixed by figures or borders on its edge.

Any best window can be moved to one of them without losing a figure, so it is enough to count there.
Everything is in the units of ``placement``.
"""

from __future__ import annotations

import numpy as np

from metaphase.arrays import FloatArray


def stops_of(
    ring: FloatArray, radius: float, limits: FloatArray, taken: FloatArray, certain: bool
) -> FloatArray:
    """Return the critical centres [k] of a square along one axis, within ``limits`` (low, high).

    A square that is pushed up the axis stops where it would lose a point of ``ring`` [n], where it
    meets a place in ``taken`` [m, 2] (centre and half extent along the axis), and at the limits.
    Unless ``certain`` (the tissue in the square is known to be enough), it is pushed down as well.
    """
    ahead = [ring + radius, taken[:, 0] - taken[:, 1], limits]
    back = [] if certain else [ring - radius, taken[:, 0] + taken[:, 1]]
    stops = np.unique(np.concatenate(ahead + back))
    return np.asarray(stops[(stops >= limits[0]) & (stops <= limits[1])])


def centres_of_discs(
    ring: FloatArray, radius: float, box: FloatArray, taken: FloatArray
) -> FloatArray:
    """Return the critical centres [k, 2] of a disc; they may lie outside ``box`` x1, y1, x2, y2.

    They are the crossings of two circles (of ``radius`` around each point of ``ring`` [n, 2], and
    around each disc x, y, radius, radius of ``taken`` [m, 4]), the crossings of circles with the
    border of the box, its corners and middle, and the points themselves.
    """
    centres = np.concatenate([ring, taken[:, :2]])
    radii = np.concatenate([np.full(len(ring), radius), taken[:, 2]])
    x1, y1, x2, y2 = box
    corners = np.array([[x1, y1], [x1, y2], [x2, y1], [x2, y2], [(x1 + x2) / 2, (y1 + y2) / 2]])
    parts = [corners, ring, _crossings(centres, radii)]
    for axis, border in ((0, x1), (0, x2), (1, y1), (1, y2)):
        square = radii**2 - (centres[:, axis] - border) ** 2
        hit = square >= 0
        along = np.sqrt(square[hit])
        for sign in (-1, 1):
            cut = np.empty((int(hit.sum()), 2))
            cut[:, axis] = border
            cut[:, 1 - axis] = centres[hit, 1 - axis] + sign * along
            parts.append(cut)
    return np.concatenate(parts)


def _crossings(centres: FloatArray, radii: FloatArray) -> FloatArray:
    """Return the points [n, 2] in which two of the circles meet."""
    i, j = np.triu_indices(len(centres), 1)
    between = centres[j] - centres[i]
    distance = np.hypot(between[:, 0], between[:, 1])
    meet = (
        (distance > 0)
        & (distance <= radii[i] + radii[j])
        & (distance >= np.abs(radii[i] - radii[j]))
    )
    i, j, between, distance = i[meet], j[meet], between[meet], distance[meet, None]
    unit = between / distance
    along = (radii[i] ** 2 - radii[j] ** 2)[:, None] / (2 * distance) + distance / 2
    across = np.sqrt(np.clip(radii[i][:, None] ** 2 - along**2, 0, None))
    foot = centres[i] + unit * along
    normal = np.stack([-unit[:, 1], unit[:, 0]], axis=1)
    return np.concatenate([foot + normal * across, foot - normal * across])
