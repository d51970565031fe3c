"""Mined hard negatives: false positives of a detector, as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.boxes import as_points
from metaphase.errors import InputError
from metaphase.files import open_text, write_text

MINED_COLUMNS = ("case", "x_px", "y_px")


def load_mined(path: str | Path) -> dict[str, FloatArray]:
    """Read ``case,x_px,y_px`` (other columns are ignored): case id -> [n, 2]. Raises InputError."""
    rows: dict[str, list[tuple[float, float]]] = {}
    try:
        with open_text(path) as stream:
            reader = csv.DictReader(stream)
            missing = set(MINED_COLUMNS) - set(reader.fieldnames or ())
            if missing:
                raise InputError.of(path, f"lacks the columns {', '.join(sorted(missing))}")
            for row in reader:
                try:
                    place = float(row["x_px"]), float(row["y_px"])
                    if not np.isfinite(place).all():
                        raise ValueError
                except (TypeError, ValueError):
                    line = f"line {reader.line_num}"
                    raise InputError.of(path, "is not a place", record=line) from None
                rows.setdefault(row["case"], []).append(place)
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror}") from error
    return {case: as_points(places) for case, places in rows.items()}


def save_mined(path: str | Path, places: Mapping[str, Iterable[tuple[float, float]]]) -> None:
    """Write false positives in the form that ``sampling.mined`` reads."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(MINED_COLUMNS)
    for case, points in places.items():
        writer.writerows((case, f"{x:.2f}", f"{y:.2f}") for x, y in points)
    write_text(path, table.getvalue())
