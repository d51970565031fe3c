"""The list of figures that a review left undecided, beside exported labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from metaphase.csvfile import CsvTable
from metaphase.errors import InputError

UNDECIDED_NAME = "undecided.csv"
"""A file beside figures.csv and cases.csv, with a column ``case`` and a row for each figure."""


def undecided_by_case(labels: str | Path) -> dict[str, int]:
    """Return the number of undecided figures by case id, empty where there is no such file.

    ``labels`` is the file or folder of the labels. A file that is no such table counts nothing.
    """
    path = Path(labels)
    path = (path if path.is_dir() else path.parent) / UNDECIDED_NAME
    if not path.is_file():
        return {}
    try:
        table = CsvTable(path)
        if "case" not in table.columns:
            return {}
        column = table.columns.index("case")
        return dict(Counter(values[column] for _, values in table if values[column]))
    except InputError:
        return {}
