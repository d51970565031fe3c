"""The rows of the plain table of labels by column name, and the cases that they name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from metaphase.csvfile import CsvTable
from metaphase.errors import LabelError
from metaphase.labels.casenames import case_ids, image_path, without_suffix
from metaphase.labels.dataset import Case
from metaphase.labels.labelfile import numbered, repeated

BOX = ("x1_px", "y1_px", "x2_px", "y2_px")
POINT = ("x_px", "y_px")
UM = ("x_um", "y_um")
CASE = ("case",)
IMAGE = ("image", "file_name")
_QUPATH = {
    "object id": "id",
    "classification": "label",
    "class": "label",
    "centroid x px": "x_px",
    "centroid y px": "y_px",
    "centroid x µm": "x_um",
    "centroid y µm": "y_um",
}
"""Columns of QuPath's measurement tables (Measure > Export measurements)."""

_NUMBERS = {*UM, *BOX, *POINT, "mpp", "width_px", "height_px"}

Row = dict[str, str]


class TableRows:
    """A CSV's rows by column name, with the numbers of their lines; read anew each time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        names = [name.lower() for name in CsvTable(path, LabelError).columns]
        self.of_qupath = "object id" in names or any(n.startswith("centroid ") for n in names)
        self._names = [_QUPATH.get(n, n) for n in names] if self.of_qupath else names
        twice = [name for name, _ in repeated(name for name in self._names if name)]
        if twice:
            raise LabelError.of(path, f"has two columns called {numbered(twice)}", record="line 1")
        self.columns = {name for name in self._names if name}
        images = (first_value(row, IMAGE) for row in self._distinct(IMAGE))
        self._ids = case_ids(image for image in images if image)

    def has(self, columns: tuple[str, ...]) -> bool:
        """Return whether the table has all of some columns."""
        return set(columns) <= self.columns

    def cases(self) -> list[Case]:
        """Return a case for each name that the rows of figures give, in their order."""
        rows = self._distinct((*IMAGE, *CASE))
        named = {id_: name for name, id_ in (self.named(r, CASE) for r in rows) if id_}
        return [Case(id=id_, image=image_path(name)) for id_, name in named.items()]

    def named(self, row: Row, columns: tuple[str, ...]) -> tuple[str, str]:
        """Return the name of a row's image and the id of its case.

        Where only one of the two is there, the other comes from it.
        """
        image, case = first_value(row, IMAGE), first_value(row, columns)
        if case:
            return image or case, without_suffix(case)
        return image, self._ids.get(image, "")

    def _distinct(self, columns: tuple[str, ...]) -> Iterator[Row]:
        """Yield the different values of some columns: few, also in a table of a million rows."""
        indices = {name: self._names.index(name) for name in columns if name in self.columns}
        if not indices:
            return
        seen: set[tuple[str, ...]] = set()
        for _, values in CsvTable(self.path, LabelError):
            cells = tuple([values[index] for index in indices.values()])
            if cells not in seen:
                seen.add(cells)
                yield dict(zip(indices, cells, strict=True))

    def __iter__(self) -> Iterator[tuple[str, Row]]:
        table = CsvTable(self.path, LabelError)
        numbers = [name for name in self._names if name in _NUMBERS]
        for line, values in table:
            row = dict(zip(self._names, values, strict=True))
            if table.decimal_comma:
                row |= {name: table.number(row[name]) for name in numbers}
            yield f"{self.path.name} line {line}", row


def first_value(row: Row, columns: tuple[str, ...]) -> str:
    """Return the first value of some columns that is not empty, or "" without any."""
    for name in columns:
        if value := row.get(name):
            return value
    return ""
