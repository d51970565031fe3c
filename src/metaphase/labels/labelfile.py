"""What every reader of labels fills: cases, and all that is wrong or noteworthy in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from metaphase.errors import LabelError, Problem
from metaphase.figures import Figure
from metaphase.labels.casenames import case_ids
from metaphase.labels.dataset import Case, Dataset
from metaphase.values import position

K = TypeVar("K")
V = TypeVar("V")

MAX_FIGURE_UM = 100.0
"""The longest side of a figure's box: several times that of the largest cell in mitosis."""

MAX_FIGURE_PX = 1000.0
"""The same where the resolution is not known: 100 um at 0.1 um/px."""


@dataclass
class LabelFile:
    """The content of a file of labels, before it is decided whether it can be used.

    ``problems`` make the file unusable: ``dataset()`` raises them all. ``notes`` are allowed.
    """

    path: Path
    kind: str
    name: str = ""
    cases: list[Case] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def problem(self, record: str, message: str, way_out: str = "") -> None:
        """Add something that makes the file unusable."""
        self.problems.append(Problem(self.path.name, record, message, way_out))

    def note(self, record: str, message: str, way_out: str = "") -> None:
        """Add something that a user should see."""
        self.notes.append(Problem(self.path.name, record, message, way_out))

    def dataset(self) -> Dataset:
        """Return the Dataset. Raises LabelError with all problems together, if there are any."""
        if self.problems:
            raise LabelError(self.problems)
        return Dataset(self.cases, name=self.name, source=str(self.path))

    def fill(self, **values: object) -> None:
        """Give every case what the file leaves open, such as ``scanner="Aperio XT"``."""
        for index, case in enumerate(self.cases):
            missing = {
                name: value
                for name, value in values.items()
                if value is not None and getattr(case, name) is None
            }
            if missing:
                self.cases[index] = replace(case, **missing)  # type: ignore[arg-type]

    def separate_cases(self) -> None:
        """Give cases of one name in several folders ids with their folder (``case_ids``).

        Cases that stay equal are a problem.
        """
        ids = case_ids(str(case.image) for case in self.cases if case.image is not None)
        self.cases = [
            replace(case, id=ids[str(case.image)]) if case.image is not None else case
            for case in self.cases
        ]
        self.drop_repeated_cases()

    def drop_repeated_cases(self) -> None:
        """Keep the first case of each id, and add a problem for the others."""
        names = ((case.id, case.image.name if case.image else case.id) for case in self.cases)
        for id_, images in shared(names):
            self.problem(
                f"case {id_}",
                f"appears {len(images)} times: {numbered(images)}",
                "give each case one image with its own name",
            )
        first: dict[str, Case] = {}
        for case in self.cases:
            first.setdefault(case.id, case)
        self.cases = list(first.values())


def numbered(ids: Iterable[object], most: int = 5) -> str:
    """Return the first few of many ids for a sentence."""
    shown = [str(id_) for id_ in ids]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def shared(pairs: Iterable[tuple[K, V]]) -> Iterator[tuple[K, list[V]]]:
    """Yield each key that several pairs have, with their values."""
    values: dict[K, list[V]] = {}
    for key, value in pairs:
        values.setdefault(key, []).append(value)
    return ((key, several) for key, several in values.items() if len(several) > 1)


def repeated(values: Iterable[object]) -> Iterator[tuple[object, int]]:
    """Yield each value that appears more than once, with its number of appearances."""
    times: dict[object, int] = {}
    for value in values:
        times[value] = times.get(value, 0) + 1
    return ((value, n) for value, n in times.items() if n > 1)


def record_of(figure: Figure) -> str:
    """Return how messages name a figure: by its id, or by its place where it has none."""
    return f"annotation {figure.id or f'at {figure.x_px:g}, {figure.y_px:g}'}"


def check_place(
    file: LabelFile, figure: Figure, width_px: int | None, height_px: int | None
) -> bool:
    """Return whether a figure can lie where its coordinates say; a crossed border is only noted.

    A box must overlap its image, and a point must lie in it. A size of None is not known.
    """
    point = figure.x_px, figure.y_px
    x1, y1, x2, y2 = figure.box or point * 2
    if None in map(position, point if figure.box is None else (*figure.box, *point)):
        file.problem(record_of(figure), "has coordinates that are too large")
        return False
    right = float("inf") if width_px is None else width_px
    below = float("inf") if height_px is None else height_px
    if x2 < 0 or y2 < 0 or x1 > right or y1 > below or (figure.box and (x2 == 0 or y2 == 0)):
        file.problem(
            record_of(figure),
            f"lies outside its image of {width_px or '?'} x {height_px or '?'} px: "
            f"{_numbers(figure.box or point)}",
            "check the coordinates, and that they are pixels at full resolution",
        )
        return False
    if x1 < 0 or y1 < 0 or x2 > right or y2 > below:
        where = f"{_numbers((x1, y1, x2, y2))} in {width_px or '?'} x {height_px or '?'} px"
        file.note(record_of(figure), f"box crosses the image border: {where}")
    return True


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
