"""The curves of a training run, from its ``metrics.csv``."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

from metaphase.errors import InputError
from metaphase.files import open_text
from metaphase.report.charts import lines
from metaphase.report.svg import Point

METRICS_NAME = "metrics.csv"

_SCORES = ("f1", "precision", "recall")


@dataclass(frozen=True, slots=True)
class TrainingCurves:
    """The charts of one run: a title, its SVG and the names of its series."""

    run: str
    charts: tuple[tuple[str, str, tuple[str, ...]], ...]


def training_curves(folder: str | Path) -> TrainingCurves:
    """Return the charts of the folder of a run. Raises InputError without readable curves."""
    path = Path(folder) / METRICS_NAME
    columns = _read(path)
    groups = {
        "Loss": ("loss", [n for n in columns if n.split("/")[-1] == "loss"]),
        "Scores in validation": ("", [n for n in columns if n.split("/")[-1] in _SCORES]),
        "Learning rate": ("rate", [n for n in columns if n == "learning_rate"]),
    }
    charts = []
    for title, (y_name, names) in groups.items():
        curves = {name: columns[name] for name in names if columns[name]}
        if curves:
            picture = lines(title, "epoch", y_name, curves)
            charts.append((title, picture, tuple(curves)))
    if not charts:
        raise InputError.of(path, "has no completed epoch")
    return TrainingCurves(Path(folder).name, tuple(charts))


def _read(path: Path) -> dict[str, list[Point]]:
    """Return each column as points (epoch, value), without empty cells and nan."""
    try:
        with open_text(path) as stream:
            rows = list(csv.DictReader(stream))
    except OSError as error:
        raise InputError.of(
            path,
            f"cannot be read: {error.strerror}",
            way_out="name a file of 'metaphase evaluate --out', or the folder of a run",
        ) from error
    columns: dict[str, list[Point]] = {}
    for number, row in enumerate(rows, start=2):
        try:
            epoch = float(row["epoch"])
            values = {k: float(v) for k, v in row.items() if k and v not in (None, "")}
        except (KeyError, ValueError) as error:
            raise InputError.of(path, f"cannot be read: {error}", record=f"line {number}") from None
        for name, value in values.items():
            if name not in ("epoch", "step") and math.isfinite(value):
                columns.setdefault(name, []).append((epoch, value))
    return columns
