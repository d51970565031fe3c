"""The list of figures that a review left undecided, beside exported labels."""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

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
        with path.open(encoding="utf-8-sig", newline="") as stream:
            return dict(Counter(row["case"] for row in csv.DictReader(stream) if row.get("case")))
    except (OSError, UnicodeDecodeError, csv.Error):
        return {}
