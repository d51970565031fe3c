"""What every reader of labels fills: cases, and all that was found wrong or worth telling."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from metaphase.errors import LabelError, Problem
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset

_NEGATIVE = re.compile(r"\b(non|not\b|no\b|hard|negativ|impost|look-?alike|pseudo)|\blike\b|-like")


@dataclass
class Reading:
    """The content of a file of labels before anybody decided whether it can be used.

    ``problems`` are errors: the file is refused. ``notes`` are worth telling and allowed.
    """

    path: Path
    kind: str
    name: str = ""
    cases: list[Case] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)

    def problem(self, record: str, message: str, way_out: str = "") -> None:
        """Gather something that makes the file unusable."""
        self.problems.append(Problem(self.path.name, record, message, way_out))

    def note(self, record: str, message: str, way_out: str = "") -> None:
        """Gather something that a user should see."""
        self.notes.append(Problem(self.path.name, record, message, way_out))

    def dataset(self) -> Dataset:
        """Return the Dataset. Raises LabelError with all problems together, if there are any."""
        if self.problems:
            raise LabelError(self.problems)
        return Dataset(self.cases, name=self.name or self.path.stem, source=str(self.path))

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

    def drop_doubles(self) -> None:
        """Keep the first case of each id and tell of the others."""
        files: dict[str, list[str]] = {}
        for case in self.cases:
            files.setdefault(case.id, []).append(case.image.name if case.image else case.id)
        for id_, names in files.items():
            if len(names) > 1:
                self.problem(
                    f"case {id_}",
                    f"appears {len(names)} times: {numbered(names)}",
                    "give each case one image with its own name",
                )
        first: dict[str, Case] = {}
        for case in self.cases:
            first.setdefault(case.id, case)
        self.cases = list(first.values())


def case_id(file_name: str) -> str:
    """Return the id of the case in an image file: its name without folder and suffix.

    ``images/001.tiff`` is case ``001``.
    """
    return without_suffix(Path(file_name.replace("\\", "/")).name)


def image_name(path: Path) -> str:
    """Return the name that a file with one image's figures gives to it: its own or its folder's."""
    generic = {"detections", "figures", "annotations", "labels", "mitotic-figures", "output"}
    return path.parent.name if path.stem in generic and path.parent.name else path.stem


def without_suffix(name: str) -> str:
    """Return a case's name as written by a user, without an image's suffix.

    ``001.tiff`` is ``001``, but ``midog/001`` and ``biopsy.2`` stay as they are.
    """
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and suffix.lower() in IMAGE_SUFFIXES else name


IMAGE_SUFFIXES = frozenset(
    (
        *("tif", "tiff", "svs", "ndpi", "scn", "mrxs", "vms", "vmu", "svslide", "bif", "czi"),
        *("dcm", "png", "jpg", "jpeg", "bmp", "jp2"),
    )
)


def label_of(class_name: str) -> Label | None:
    """Return the Label that a class name of a label file stands for, or None for other things.

    Knows the spellings in use: "mitotic figure", "Mitose", "non-mitotic", "not mitotic figure",
    "hard negative", "imposter", "mitosis-like" and so on.
    """
    name = " ".join(class_name.lower().replace("_", " ").split())
    if _NEGATIVE.search(name):
        return Label.HARD_NEGATIVE
    return Label.MITOTIC if "mito" in name else None


def numbered(ids: Iterable[object], most: int = 5) -> str:
    """Return the first few of many ids for a sentence."""
    shown = [str(id_) for id_ in ids]
    return ", ".join(shown[:most]) + (f" and {len(shown) - most} more" if len(shown) > most else "")


def repeated(values: Iterable[object]) -> Iterator[tuple[object, int]]:
    """Yield each value that appears more than once, with its number of appearances."""
    times: dict[object, int] = {}
    for value in values:
        times[value] = times.get(value, 0) + 1
    return ((value, n) for value, n in times.items() if n > 1)


def check_place(
    reading: Reading, figure: Figure, width_px: int | None, height_px: int | None
) -> bool:
    """Say whether a figure's coordinates are possible; a crossed border is only noted.

    A box is impossible if it does not overlap its image; a point, if it lies outside.
    """
    x1, y1, x2, y2 = figure.box or (figure.x_px, figure.y_px, figure.x_px, figure.y_px)
    right = float("inf") if width_px is None else width_px
    below = float("inf") if height_px is None else height_px
    if x2 < 0 or y2 < 0 or x1 > right or y1 > below or (figure.box and (x2 == 0 or y2 == 0)):
        reading.problem(
            f"annotation {figure.id}",
            f"lies outside its image of {width_px or '?'} x {height_px or '?'} px: "
            f"{_numbers(figure.box or (figure.x_px, figure.y_px))}",
            "check the coordinates, and that they are pixels at full resolution",
        )
        return False
    if x1 < 0 or y1 < 0 or x2 > right or y2 > below:
        where = f"{_numbers((x1, y1, x2, y2))} in {width_px or '?'} x {height_px or '?'} px"
        reading.note(f"annotation {figure.id}", f"box crosses the image border: {where}")
    return True


def _numbers(values: Iterable[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
