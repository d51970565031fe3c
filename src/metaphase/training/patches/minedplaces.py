"""Mined hard negatives: false positives of a detector, as CSV."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from metaphase.arrays import FloatArray
from metaphase.boxes import as_points
from metaphase.csvfile import CsvTable, csv_text
from metaphase.errors import InputError
from metaphase.files import write_text
from metaphase.values import position

MINED_COLUMNS = ("case", "x_px", "y_px")


def load_mined(path: str | Path) -> dict[str, FloatArray]:
    """Read ``case,x_px,y_px`` (other columns are ignored): case id -> [n, 2]. Raises InputError."""
    table = CsvTable(path)
    missing = set(MINED_COLUMNS) - set(table.columns)
    if missing:
        raise InputError.of(path, f"lacks the columns {', '.join(sorted(missing))}")
    columns = [table.columns.index(name) for name in MINED_COLUMNS]
    rows: dict[str, list[tuple[float, float]]] = {}
    for line, values in table:
        case, *place = (values[column] for column in columns)
        x, y = (position(table.number(value)) for value in place)
        if x is None or y is None:
            raise InputError.of(path, "is not a place", record=f"line {line}")
        rows.setdefault(case, []).append((x, y))
    return {case: as_points(places) for case, places in rows.items()}


def save_mined(path: str | Path, places: Mapping[str, Iterable[tuple[float, float]]]) -> None:
    """Write false positives in the form that ``sampling.mined`` reads."""
    rows = ((case, f"{x:.2f}", f"{y:.2f}") for case, points in places.items() for x, y in points)
    write_text(path, csv_text(MINED_COLUMNS, rows))
