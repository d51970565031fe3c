"""Checks a file of labels, its images' presence and its figures before anybody trains on it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from metaphase.errors import Problem
from metaphase.figures import Figure, points_of
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.imagefinder import ImageFinder
from metaphase.labels.labelfile import LabelFile, numbered
from metaphase.labels.read import DISAGREEMENT, read_labels
from metaphase.labels.undecided import undecided_by_case
from metaphase.units import scanner_mpp

SAME_PLACE_PX = 1.0


@dataclass(frozen=True)
class Audit:
    """The result of ``audit``: what was read, what is wrong, and what is worth knowing."""

    kind: str
    dataset: Dataset
    problems: tuple[Problem, ...]
    notes: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def audit(
    path: str | Path,
    *,
    images: str | Path | None = None,
    kind: str | None = None,
    cases: str | Path | None = None,
    mpp: float | None = None,
    scanner: str | None = None,
    name: str | None = None,
) -> Audit:
    """Read labels as ``load_dataset`` does and gather every problem and note.

    Problems are all that makes ``load_dataset`` refuse the file, images that are missing from the
    folder, and cases of an exported review with undecided figures. Notes are boxes across an
    image's border, annotations that are left out, places that are labelled twice, and unknown or
    doubtful resolutions.
    Raises LabelError only for a file that cannot be read at all.
    """
    file = read_labels(
        path, images=images, kind=kind, cases=cases, mpp=mpp, scanner=scanner, name=name
    )
    _check_images(file, None if images is None else Path(images))
    _check_places(file)
    _check_mpp(file)
    _check_undecided(file)
    dataset = Dataset(file.cases, name=file.name, source=str(file.path))
    return Audit(file.kind, dataset, tuple(file.problems), tuple(file.notes))


def _check_images(file: LabelFile, images: Path | None) -> None:
    absent = [case for case in file.cases if case.image is None or not os.path.isfile(case.image)]
    if not absent:
        return
    where = f"in {images}" if images else f"beside {file.path.name} or in images/ there"
    if images is None and len(absent) == len(file.cases):
        file.note("images", f"none are {where}", "name their folder with --images")
        return
    finder = ImageFinder(images, file.path if file.path.is_dir() else file.path.parent)
    for case in absent:
        close = finder.close_names(Path(case.image.name if case.image else case.id))
        file.problem(
            f"case {case.id}",
            f"its image is missing: not {where}",
            f"there is {' and '.join(close)}: did you mean that?"
            if close
            else "add the file, or name the folder with --images",
        )


def _check_places(file: LabelFile) -> None:
    """Note figures at the same place: labelled twice, or as both labels."""
    twice: list[str] = []
    contradictions: list[str] = []
    for case in file.cases:
        for a, b in _same_places(case.figures):
            pairs = twice if a.label == b.label else contradictions
            pairs.append(f"{a.id} and {b.id} ({case.id})")
    if twice:
        file.note(f"{len(twice)} pairs of annotations", f"are at the same place: {numbered(twice)}")
    if contradictions:
        file.note(
            f"{len(contradictions)} pairs of annotations",
            f"call one place a mitotic figure and a hard negative: {numbered(contradictions)}",
        )


def _same_places(figures: tuple[Figure, ...]) -> Iterator[tuple[Figure, Figure]]:
    """Yield each figure with its nearest neighbour, if that is at the same place; pairs once."""
    from scipy.spatial import cKDTree

    points = points_of(figures, None)
    if len(points) < 2:
        return
    places, first, where = np.unique(points, axis=0, return_index=True, return_inverse=True)
    where = where.reshape(-1)
    for i in np.flatnonzero(first[where] != np.arange(len(points))):
        yield figures[first[where[i]]], figures[i]
    if len(places) < 2:
        return
    _, nearest = cKDTree(places).query(places, k=2, distance_upper_bound=SAME_PLACE_PX + 1e-9)
    near = np.flatnonzero(nearest[:, 1] < len(places))
    pairs = {tuple(sorted((first[i], first[nearest[i, 1]]))) for i in near}
    for i, j in sorted(pairs):
        yield figures[i], figures[j]


def _check_mpp(file: LabelFile) -> None:
    unknown = [c.id for c in file.cases if c.mpp is None and scanner_mpp(c.scanner) is None]
    if unknown:
        file.note(
            f"case {numbered(unknown)}",
            "its resolution is neither in the labels nor known from its scanner",
            "if the image's tags have none either, give --mpp or --scanner",
        )
    doubtful = _ids(file, lambda case: _differs(case.mpp, scanner_mpp(case.scanner)))
    if doubtful:
        file.note(
            f"case {numbered(doubtful)}",
            f"its mpp differs by over {DISAGREEMENT:.0%} from that of its scanner at 40x",
        )


def _check_undecided(file: LabelFile) -> None:
    """Report labelled cases with figures that their review left undecided."""
    undecided = undecided_by_case(file.path)
    for case in file.cases:
        if case.labelled and undecided.get(case.id):
            file.problem(
                f"case {case.id}",
                f"is labelled, but {undecided[case.id]} figures above the threshold were not"
                " decided in its review: they count as negatives",
                "decide about them in 'metaphase view' and export again, without --partial",
            )


def _differs(mpp: float | None, usual: float | None) -> bool:
    return mpp is not None and usual is not None and abs(mpp / usual - 1) > DISAGREEMENT


def _ids(file: LabelFile, keep: Callable[[Case], bool]) -> list[str]:
    return [case.id for case in file.cases if keep(case)]
