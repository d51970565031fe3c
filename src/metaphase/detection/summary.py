"""``summary.csv``: a row for each finished image of a folder of results.

A row is appended when its image is finished, so that an interrupted run keeps it. At the end of a
run the table is written whole, in the order of the images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from metaphase.csvfile import CsvTable, csv_text
from metaphase.errors import InputError
from metaphase.files import append_text, write_text
from metaphase.textfile import read_text
from metaphase.values import finite, printable_name

SUMMARY_NAME = "summary.csv"
COLUMNS = (
    *("image", "name", "mpp", "area_mm2", "figures", "figures_per_mm2", "threshold"),
    *("warnings", "seconds"),
)
_NAME = COLUMNS.index("name")
_RESULTS = ("mpp", "figures", "threshold")


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """What is known of a finished image.

    ``name`` is its folder of results, ``area_mm2`` the analysed area, ``figures`` the mitotic
    figures at or above ``threshold``. ``seconds`` is None where an earlier run did the work and
    left no row.
    """

    image: str
    name: str
    mpp: float
    area_mm2: float
    figures: int
    threshold: float
    warnings: tuple[str, ...] = ()
    seconds: float | None = None

    def cells(self) -> tuple[str, ...]:
        """Return the values of ``COLUMNS`` as text."""
        density = f"{self.figures / self.area_mm2:.3f}" if self.area_mm2 else ""
        return (
            printable_name(self.image),
            printable_name(self.name),
            f"{self.mpp:.6g}",
            f"{self.area_mm2:.4f}",
            str(self.figures),
            density,
            f"{self.threshold:.6g}",
            " ".join(" ".join(self.warnings).split()),
            "" if self.seconds is None else f"{self.seconds:.1f}",
        )


class SummaryTable:
    """The rows of a folder of results, by the names of the images' folders."""

    def __init__(self, path: Path) -> None:
        """Read the rows of earlier runs; unreadable ones are left out. Raises OutputError."""
        self.path = path
        self._rows = _read(path)
        if path.exists():
            self._write()  # without what a run that was killed left of its last row

    def has(self, row: SummaryRow) -> bool:
        """Return whether the table has a row of this image with these results."""
        expected = row.cells()
        cells = self._rows.get(expected[_NAME])
        return cells is not None and all(
            cells[COLUMNS.index(column)] == expected[COLUMNS.index(column)] for column in _RESULTS
        )

    def add(self, row: SummaryRow) -> None:
        """Append a row. Raises OSError."""
        cells = row.cells()
        self._rows.pop(cells[_NAME], None)
        self._rows[cells[_NAME]] = cells
        text = csv_text(COLUMNS, [cells])
        if self.path.exists():
            text = text.partition("\n")[2]
        append_text(self.path, text)

    def remove(self, name: str) -> None:
        """Leave an image out from now on, because it failed."""
        self._rows.pop(printable_name(name), None)

    def finish(self, names: Iterable[str]) -> None:
        """Write the table whole: the images of this run in their order, then earlier ones."""
        first = {
            name: self._rows[name] for name in map(printable_name, names) if name in self._rows
        }
        self._rows = {**first, **self._rows}
        self._write()

    def _write(self) -> None:
        if self._rows or self.path.exists():
            write_text(self.path, csv_text(COLUMNS, self._rows.values()))


def _read(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the whole rows of a table; none if it is not one of these."""
    try:
        table = CsvTable(path)
        if table.columns != COLUMNS:
            return {}
        rows = [tuple(values) for _, values in table]
        if not read_text(path).endswith("\n"):  # the last row of a run that was killed
            rows = rows[:-1]
    except InputError:
        return {}
    return {row[_NAME]: row for row in rows if row[_NAME] and _has_numbers(row)}


def _has_numbers(row: tuple[str, ...]) -> bool:
    return all(finite(row[COLUMNS.index(column)]) is not None for column in _RESULTS)
