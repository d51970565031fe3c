"""Decisions of a reader about detections, which replace those of the detector.

A review file is a CSV with a header and the columns ``x_px, y_px, state``, and ``image`` if it
concerns several slides. The state is ``confirmed`` (a mitotic figure), ``rejected`` (not a mitotic
figure) or ``added`` (missed by the detector). A column ``atypical`` (true, false or empty) says
whether the reader called the figure atypical. Other columns (score, reader, time) are ignored.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import numpy as np

from metaphase.arrays import BoolArray, FloatArray
from metaphase.boxes import as_points
from metaphase.csvfile import CsvTable
from metaphase.errors import DetectionsError, Problem
from metaphase.labels.casenames import case_id, image_path
from metaphase.units import um_to_px
from metaphase.values import position

COLUMNS = ("x_px", "y_px", "state")
_ATYPICAL = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class DecisionState(StrEnum):
    """The state of a figure after review."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    ADDED = "added"


@dataclass(frozen=True, slots=True)
class ReviewDecision:
    """One decision, at a position in full-resolution pixels. ``image`` is empty for any slide.

    ``atypical`` is whether the reader called the figure atypical; None where that is open.
    """

    x_px: float
    y_px: float
    state: DecisionState
    image: str = ""
    atypical: bool | None = None

    def concerns(self, image: str, result: str = "") -> bool:
        """Return whether this is about an image, named with or without extension and folder.

        ``result`` is the name of the image's folder of results. It decides where this names an
        image with its folder, as in ``patient1/01.png``.
        """
        if not self.image:
            return True
        if case_id(self.image) != case_id(image):
            return False
        *folders, name = image_path(self.image).parts
        if not folders or not result:
            return True
        short = case_id(name)
        names = (f"{folders[-1]}_{name}", f"{folders[-1]}/{short}", self.image, short, name)
        return result in names

    @property
    def names_folder(self) -> bool:
        """Whether this names an image with its folder."""
        return len(image_path(self.image).parts) > 1


@dataclass(frozen=True, slots=True)
class ReviewedFigures:
    """Points [n, 2] after review; whether each is ``certain`` (reviewed) and whether ``added``.

    ``atypical`` [n] is the probability that a figure is atypical, 0 or 1 by a reader's decision,
    NaN where it is not known; None where no figure has one.
    """

    points: FloatArray
    certain: BoolArray
    added: BoolArray
    atypical: FloatArray | None = None


def load_review(path: str | Path) -> list[ReviewDecision]:
    """Read a review file. Raises DetectionsError with every line that cannot be read."""
    path = Path(path)
    problems: list[Problem] = []
    decisions: list[ReviewDecision] = []
    table = CsvTable(path, DetectionsError)
    missing = [name for name in COLUMNS if name not in table.columns]
    if missing:
        raise DetectionsError.of(
            path,
            f"has no column {', '.join(missing)}",
            way_out="a review file has the columns x_px, y_px, state (and image)",
        )
    for line, values in table:
        row = dict(zip(table.columns, values, strict=True))
        decision = _decision(table, row)
        if decision is None:
            problems.append(_problem(path, line, row))
        else:
            decisions.append(decision)
    if problems:
        raise DetectionsError(problems)
    return decisions


def apply_review(
    points: FloatArray,
    decisions: Sequence[ReviewDecision],
    mpp: float,
    *,
    radius_um: float = 1.0,
    atypical: FloatArray | None = None,
) -> ReviewedFigures:
    """Return detections [n, 2] after review. ``atypical`` [n] are their probabilities of it.

    A decision concerns the nearest detection within ``radius_um`` (at most one decision for each
    detection, nearest pairs first). Without such a detection, a confirmed figure is added and a
    rejected one has no effect.
    """
    p = as_points(points)
    reviewed = [d for d in decisions if d.state != DecisionState.ADDED]
    pairs = _pairs(p, _places(reviewed), um_to_px(radius_um, mpp))
    keep, certain = np.ones(len(p), bool), np.zeros(len(p), bool)
    probability = np.full(len(p), np.nan) if atypical is None else atypical.copy()
    new = [d for d in decisions if d.state == DecisionState.ADDED]
    for j, decision in enumerate(reviewed):
        i = pairs.get(j)
        if i is None:
            if decision.state == DecisionState.CONFIRMED:
                new.append(decision)
        elif decision.state == DecisionState.CONFIRMED:
            certain[i] = True
            if decision.atypical is not None:
                probability[i] = float(decision.atypical)
        else:
            keep[i] = False
    extra = _places(new)
    return ReviewedFigures(
        np.concatenate([p[keep], extra]),
        np.concatenate([certain[keep], np.ones(len(extra), bool)]),
        np.concatenate([np.zeros(int(keep.sum()), bool), np.ones(len(extra), bool)]),
        np.concatenate([probability[keep], [_known(d.atypical) for d in new]]),
    )


def _known(atypical: bool | None) -> float:
    return np.nan if atypical is None else float(atypical)


def _pairs(points: FloatArray, places: FloatArray, radius_px: float) -> dict[int, int]:
    """Return decision -> detection, nearest pairs first, one to one."""
    from scipy.spatial import cKDTree

    if not len(points) or not len(places):
        return {}
    near = cKDTree(places).sparse_distance_matrix(
        cKDTree(points), radius_px, output_type="coo_matrix"
    )
    order = np.lexsort((near.col, near.row, near.data))
    pairs: dict[int, int] = {}
    used: set[int] = set()
    for j, i in zip(near.row[order].tolist(), near.col[order].tolist(), strict=True):
        if j not in pairs and i not in used:
            pairs[j] = i
            used.add(i)
    return pairs


def _places(decisions: Iterable[ReviewDecision]) -> FloatArray:
    return as_points([(d.x_px, d.y_px) for d in decisions])


def _decision(table: CsvTable, row: dict[str, str]) -> ReviewDecision | None:
    x, y = (position(table.number(row[name])) for name in ("x_px", "y_px"))
    state = row["state"].lower()
    if x is None or y is None or state not in list(DecisionState):
        return None
    atypical = _ATYPICAL.get(row.get("atypical", "").strip().lower())
    return ReviewDecision(x, y, DecisionState(state), row.get("image", ""), atypical)


def _problem(path: Path, line: int, row: dict[str, str]) -> Problem:
    values = ", ".join(f"{name} = {row.get(name)!r}" for name in COLUMNS)
    return Problem(
        str(path),
        f"line {line}",
        f"cannot read {values}",
        f"state is one of {', '.join(DecisionState)}",
    )
