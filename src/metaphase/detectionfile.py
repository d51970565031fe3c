"""Detections on disk: one folder a slide, ``detections.csv`` and ``detections.json``.

The CSV has the columns of the contract (x_px, y_px, score, label), the JSON has the provenance.
Writing then reading gives ``Detections.rounded()`` exactly.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, fields
from pathlib import Path

from metaphase.errors import DetectionsError
from metaphase.figures import (
    LABELS,
    POSITION_DECIMALS,
    SCORE_DECIMALS,
    Detections,
    Label,
    Provenance,
)
from metaphase.files import write_json, write_text

CSV_NAME = "detections.csv"
JSON_NAME = "detections.json"
COLUMNS = ("x_px", "y_px", "score", "label")


def save_detections(detections: Detections, folder: str | Path) -> None:
    """Write ``detections.csv`` and, last, ``detections.json`` (its presence says: complete)."""
    folder = Path(folder)
    lines = [",".join(COLUMNS)]
    rows = zip(detections.x_px, detections.y_px, detections.score, detections.label, strict=True)
    lines += [
        f"{x:.{POSITION_DECIMALS}f},{y:.{POSITION_DECIMALS}f},{s:.{SCORE_DECIMALS}f},{LABELS[c]}"
        for x, y, s, c in rows
    ]
    (folder / JSON_NAME).unlink(missing_ok=True)
    write_text(folder / CSV_NAME, "\n".join(lines) + "\n")
    write_json(folder / JSON_NAME, asdict(detections.provenance))


def load_detections(folder: str | Path) -> Detections:
    """Read what ``save_detections`` wrote. Raises DetectionsError, naming file and line."""
    folder = Path(folder)
    provenance = _provenance(folder / JSON_NAME)
    path = folder / CSV_NAME
    codes = {str(label): label.code for label in Label}
    xs, ys, scores, labels = [], [], [], []
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            header = tuple(next(reader, ()))
            if header != COLUMNS:
                raise DetectionsError.of(path, f"expected the columns {', '.join(COLUMNS)}")
            for row in reader:
                try:
                    x, y, score, label = row
                    code = codes[label]
                    values = float(x), float(y), float(score)
                except (ValueError, KeyError):
                    raise DetectionsError.of(
                        path,
                        f"cannot read {row!r}",
                        record=f"line {reader.line_num}",
                        way_out="run 'metaphase detect' again, or mend the line",
                    ) from None
                xs.append(values[0])
                ys.append(values[1])
                scores.append(values[2])
                labels.append(code)
    except OSError as error:
        raise DetectionsError.of(path, f"cannot be read: {error.strerror}") from error
    try:
        return Detections(xs, ys, scores, labels, provenance=provenance)
    except ValueError as error:
        raise DetectionsError.of(path, str(error)) from error


def _provenance(path: Path) -> Provenance:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DetectionsError.of(
            path,
            f"cannot be read: {error.strerror}",
            way_out="name a folder that 'metaphase detect' wrote",
        ) from error
    except ValueError as error:
        raise DetectionsError.of(path, f"is not JSON: {error}") from error
    known = {f.name for f in fields(Provenance)}
    try:
        return Provenance(**{k: v for k, v in data.items() if k in known})
    except (TypeError, AttributeError) as error:
        raise DetectionsError.of(path, f"is not a provenance: {error}") from error
