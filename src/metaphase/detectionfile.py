"""Detections on disk: one folder per slide with ``detections.csv`` and ``detections.json``.

The CSV has the columns x_px, y_px, score, label, and ``atypical`` where the model gives that
probability (empty where a detection has none); the JSON has the provenance. Reading what was
written gives ``Detections.rounded()`` exactly.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from metaphase.arrays import CodeArray, FloatArray
from metaphase.errors import DetectionsError, Problem
from metaphase.figures import (
    ATYPICAL_DECIMALS,
    LABELS,
    POSITION_DECIMALS,
    SCORE_DECIMALS,
    Detections,
    Label,
)
from metaphase.files import open_text, read_text, write_json, write_text
from metaphase.provenance import Provenance

CSV_NAME = "detections.csv"
JSON_NAME = "detections.json"
COLUMNS = ("x_px", "y_px", "score", "label")
ATYPICAL = "atypical"

_DETECT_AGAIN = "run 'metaphase detect' again, or correct the file"
_CODES = {str(label): label.code for label in Label}

Row = tuple[float, float, float, int, float]
Columns = tuple[FloatArray, FloatArray, FloatArray, CodeArray, FloatArray]


def save_detections(detections: Detections, folder: str | Path) -> None:
    """Write ``detections.csv``, then ``detections.json``, which marks the folder as complete."""
    folder = Path(folder)
    rounded = detections.rounded()  # as text, 0.025 would round to 0.03
    rows = zip(rounded.x_px, rounded.y_px, rounded.score, rounded.label, strict=True)
    lines = [
        f"{x:.{POSITION_DECIMALS}f},{y:.{POSITION_DECIMALS}f},{s:.{SCORE_DECIMALS}f},{LABELS[c]}"
        for x, y, s, c in rows
    ]
    header: tuple[str, ...] = COLUMNS
    if rounded.atypical is not None:
        header = (*COLUMNS, ATYPICAL)
        lines = [
            f"{line},{_probability(p)}" for line, p in zip(lines, rounded.atypical, strict=True)
        ]
    lines.insert(0, ",".join(header))
    (folder / JSON_NAME).unlink(missing_ok=True)
    write_text(folder / CSV_NAME, "\n".join(lines) + "\n")
    write_json(folder / JSON_NAME, detections.provenance.to_json())


def load_detections(folder: str | Path) -> Detections:
    """Read what ``save_detections`` wrote. Raises DetectionsError, which names file and line."""
    folder = Path(folder)
    provenance = load_provenance(folder / JSON_NAME)
    path = folder / CSV_NAME
    try:
        *columns, atypical = _columns(path) or _columns_by_row(path)
        return Detections(*columns, provenance=provenance, atypical=atypical)
    except OSError as error:
        raise DetectionsError.of(path, f"cannot be read: {error.strerror}") from error
    except (ValueError, csv.Error) as error:  # a UnicodeDecodeError is a ValueError
        raise DetectionsError.of(path, str(error), way_out=_DETECT_AGAIN) from error


def load_provenance(path: Path) -> Provenance:
    """Read a ``detections.json``. Raises DetectionsError, which names the fields that are wrong."""
    try:
        data = json.loads(read_text(path))
        return Provenance.from_json(data)
    except OSError as error:
        raise DetectionsError.of(
            path,
            f"cannot be read: {error.strerror}",
            way_out="name a folder that 'metaphase detect' wrote",
        ) from error
    except ValidationError as error:
        raise DetectionsError(
            Problem(str(path), ".".join(map(str, item["loc"])), item["msg"], _DETECT_AGAIN)
            for item in error.errors()
        ) from error
    except (ValueError, RecursionError) as error:
        raise DetectionsError.of(path, f"is not JSON: {error}", way_out=_DETECT_AGAIN) from error


def _columns(path: Path) -> Columns | None:
    """Return the columns of a file as ``save_detections`` writes it, fast; None for any other."""
    header, _, body = read_text(path).partition("\n")
    lines, names = body.splitlines(), tuple(header.split(","))
    if names not in (COLUMNS, (*COLUMNS, ATYPICAL)) or not lines:
        return None
    if any(line.count(",") != len(names) - 1 for line in lines):
        return None
    try:
        ends = [line.split(",")[3:] for line in lines]
        labels = np.array([_CODES[end[0]] for end in ends], np.int8)
        atypical = np.array([float(end[-1] or "nan") if end[1:] else np.nan for end in ends])
        numbers = np.loadtxt(lines, delimiter=",", usecols=(0, 1, 2), comments=None, ndmin=2)
    except (ValueError, KeyError):
        return None
    return numbers[:, 0], numbers[:, 1], numbers[:, 2], labels, atypical


def _columns_by_row(path: Path) -> tuple[Sequence[Any], ...]:
    """Return the columns of any CSV file. Raises DetectionsError, which names the line."""
    rows = list(_rows(path))
    return tuple(zip(*rows, strict=True)) if rows else ((), (), (), (), ())


def _rows(path: Path) -> Iterator[Row]:
    """Yield x, y, score, label code and probability of atypical of each line."""
    with open_text(path) as stream:
        reader = csv.reader(stream)
        header = tuple(next(reader, ()))
        if header not in (COLUMNS, (*COLUMNS, ATYPICAL)):
            raise DetectionsError.of(
                path, f"expected the columns {', '.join(COLUMNS)} and, if known, {ATYPICAL}"
            )
        for row in reader:
            yield _row(path, reader.line_num, row, len(header))


def _row(path: Path, line: int, row: list[Any], width: int) -> Row:
    try:
        if len(row) != width:
            raise ValueError
        x, y, score, label, atypical = (*row, "")[: len(COLUMNS) + 1]
        return float(x), float(y), float(score), _CODES[label], float(atypical or "nan")
    except (ValueError, KeyError):
        shown = ",".join(map(str, row))[:80]
        raise DetectionsError.of(
            path, f"cannot read {shown!r}", record=f"line {line}", way_out=_DETECT_AGAIN
        ) from None


def _probability(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.{ATYPICAL_DECIMALS}f}"
