"""Decisions about detections of an earlier model, and what they mean for the detections of today.

A figure is known by its position, and another model finds the same cell a few pixels away. A
decision about a detection that is not there any more holds for the detection at its place, within
the matching radius. Where there is none, it stands by itself: a confirmed figure counts, a rejected
one is exported as a hard negative. Of all decisions of a place, the latest holds. The same applies
to labels that were opened alone and have moved since.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.units import um_to_px
from metaphase.viewer.columns import PER_PX, PREFIXES
from metaphase.viewer.reviewedfigures import candidates
from metaphase.viewer.reviewstate import ReviewState
from metaphase.viewer.slidecatalogue import CatalogueEntry
from metaphase.viewer.store import Decision

_ID = re.compile(r"([a-z])(-?\d{1,12})_(-?\d{1,12})_(\d)")
"""Source, position in 1 / PER_PX px, and label of a figure, as ``Columns.index`` writes them."""


def present_figures(entry: CatalogueEntry, ids: Iterable[str]) -> dict[str, str]:
    """Return the figure of today for each of the ids that is not among the figures of a slide.

    That is the nearest one with the same label within the matching radius. Earlier figures that lie
    within the radius of each other share one. Where there is none, the first of them stands for the
    others. An earlier figure that is alone and has none is left out.
    """
    mpp = entry.mpp or (entry.provenance.mpp if entry.provenance else 0)
    if not mpp:
        return {}
    radius = um_to_px(MATCH_RADIUS_UM, mpp)
    found: dict[str, str] = {}
    for label, places in _earlier(entry, ids).items():
        points = np.array(list(places.values())) / PER_PX
        found |= _placed(entry, label, list(places), points, radius)
    return found


def _earlier(entry: CatalogueEntry, ids: Iterable[str]) -> dict[int, dict[str, tuple[int, int]]]:
    """Return, by label, those of the ids that are of earlier figures, with their places."""
    prefix, index = PREFIXES[candidates(entry)], entry.columns.index
    found: dict[int, dict[str, tuple[int, int]]] = {}
    for id_ in sorted(ids):
        parts = _ID.fullmatch(id_)
        if parts is not None and parts[1] == prefix and id_ not in index:
            found.setdefault(int(parts[4]), {})[id_] = int(parts[2]), int(parts[3])
    return found


def _placed(
    entry: CatalogueEntry, label: int, ids: list[str], points: FloatArray, radius: float
) -> dict[str, str]:
    """Return the figures of today for earlier ones of a label at ``points`` [n, 2]."""
    from scipy.spatial import cKDTree

    columns = entry.columns
    shown = (columns.source == candidates(entry)) & (columns.label == label)
    names = [name for name, row in columns.index.items() if shown[row]]
    places = columns.points[[columns.index[name] for name in names]].reshape(-1, 2)
    distance = np.full(len(ids), np.inf)
    nearest = np.full(len(ids), -1)
    if names:
        distance, nearest = cKDTree(places).query(points, distance_upper_bound=radius * (1 + 1e-9))
    owners: dict[str, list[int]] = {}
    found: dict[str, str] = {}
    for number in np.argsort(distance, kind="stable").tolist():
        name = names[nearest[number]] if np.isfinite(distance[number]) else None
        holders = owners.get(name, []) if name else []
        if name and (not holders or _near(points[number], points[holders], radius)):
            owners.setdefault(name, []).append(number)
            found[ids[number]] = name
            continue
        same = [k for k in owners.get("", []) if _near(points[number], points[[k]], radius)]
        if same:
            found[ids[number]] = ids[same[0]]
        else:
            owners.setdefault("", []).append(number)
    return found


def _near(point: FloatArray, others: FloatArray, radius: float) -> bool:
    return bool((np.hypot(*(others - point).T) <= radius).any())


def in_force(
    entry: CatalogueEntry,
    state: ReviewState,
    reviewer: str | None = None,
    present: Mapping[str, str] | None = None,
) -> dict[str, Decision]:
    """Return the decisions in force by the id of the figure of today.

    ``reviewer``: whose decisions; None takes the latest of any reader. ``present`` is what
    ``present_figures`` gives for all figures of the state, where that is known.
    """
    if present is None:
        present = present_figures(entry, state.figures)
    standing = state.all(reviewer)
    found = {id_: decision for id_, decision in standing.items() if id_ not in present}
    for id_, name in present.items():
        decision = standing.get(id_)
        if decision is None or state.last_entry(name, decision.reviewer) > decision.seq:
            continue  # the reader decided about the figure of today since, or took that back
        if name not in found or found[name].seq < decision.seq:
            found[name] = _about(entry, decision, name)
    return found


def _about(entry: CatalogueEntry, decision: Decision, name: str) -> Decision:
    """Return a decision as one about another figure."""
    row = entry.columns.index.get(name)
    if row is None:  # an earlier figure too
        return replace(decision, figure=name)
    x, y = entry.columns.points[row].tolist()
    score = float(entry.columns.score[row])
    return replace(decision, figure=name, x_px=x, y_px=y, score=score)
