"""CSV: one row a detection, one file for many slides.

Written columns: image, x_px, y_px, score, label, width_px, height_px, mpp, threshold. An image
without detections has one row with empty positions, because nothing found is a result. Read is any
CSV (comma, semicolon or tab) with a position (``x_px, y_px``, ``x, y``, or ``x_um``, ``x_mm`` with
a resolution), whose other columns go by the usual names.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from metaphase.errors import DetectionsError
from metaphase.exchange.foreign import Known, Reading, finite, image_name
from metaphase.figures import LABELS, POSITION_DECIMALS, SCORE_DECIMALS, Detections, Label
from metaphase.files import read_text, write_text
from metaphase.labels.reading import label_of

COLUMNS = (
    "image", "x_px", "y_px", "score", "label", "width_px", "height_px", "mpp", "threshold",
)  # fmt: skip

_NAMES = {
    "image": ("image", "filename", "file_name", "file", "slide", "case", "case_id", "image_id"),
    "x": ("x_px", "x", "centre_x", "center_x", "cx"),
    "y": ("y_px", "y", "centre_y", "center_y", "cy"),
    "x_um": ("x_um",),
    "y_um": ("y_um",),
    "x_mm": ("x_mm",),
    "y_mm": ("y_mm",),
    "score": ("score", "probability", "confidence", "prob"),
    "label": ("label", "class", "name", "category", "classification"),
    "width": ("width_px",),
    "height": ("height_px",),
    "mpp": ("mpp", "um_per_px"),
    "threshold": ("threshold",),
}


def write(detections: Mapping[str, Detections], path: str | Path) -> None:
    """Write the detections of any number of slides at 0.01 px and 1e-6."""
    out = io.StringIO()
    table = csv.writer(out, lineterminator="\n")
    table.writerow(COLUMNS)
    for found in detections.values():
        made = found.provenance
        tail = (made.width_px, made.height_px, repr(made.mpp), repr(made.threshold))
        rows = zip(found.x_px, found.y_px, found.score, found.label, strict=True)
        for x, y, score, code in rows:
            place = f"{x:.{POSITION_DECIMALS}f}", f"{y:.{POSITION_DECIMALS}f}"
            table.writerow((made.image, *place, f"{score:.{SCORE_DECIMALS}f}", LABELS[code], *tail))
        if not len(found):
            table.writerow((made.image, "", "", "", "", *tail))
    write_text(path, out.getvalue())


def read(path: str | Path, known: Known | None = None) -> dict[str, Detections]:
    """Read detections by image. Raises DetectionsError with every line that is wrong."""
    path = Path(path)
    reading = Reading(path, "csv", known or Known())
    try:
        text = read_text(path, "utf-8-sig")
    except OSError as error:
        raise DetectionsError.of(path, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DetectionsError.of(path, f"is not text: {error}") from error
    head = text.split("\n", 1)[0]
    table = csv.DictReader(io.StringIO(text), delimiter=max(",;\t", key=head.count))
    columns = _columns(path, table.fieldnames or ())
    try:
        for row in table:
            _row(reading, f"line {table.line_num}", {k: row[v] for k, v in columns.items()})
    except csv.Error as error:
        raise DetectionsError.of(path, f"is not CSV: {error}") from error
    return reading.detections()


def looks_like(head: str) -> bool:
    """Tell whether the first line of a file is a header with a position."""
    line = head.lstrip("\ufeff").split("\n", 1)[0].lower()
    words = {
        word.strip().strip('"') for word in line.replace(";", ",").replace("\t", ",").split(",")
    }
    return any(words & set(_NAMES[x]) for x in ("x", "x_um", "x_mm"))


def _columns(path: Path, header: object) -> dict[str, str]:
    names = {str(name).strip().lower(): str(name) for name in header}  # type: ignore[attr-defined]
    found = {
        key: names[alias]
        for key, aliases in _NAMES.items()
        for alias in aliases[::-1]
        if alias in names
    }
    if not any({f"x{unit}", f"y{unit}"} <= set(found) for unit in ("", "_um", "_mm")):
        raise DetectionsError.of(
            path, "has no columns of positions", way_out="name them x_px and y_px in the header"
        )
    return found


def _row(reading: Reading, record: str, row: dict[str, str | None]) -> None:
    values = {key: (value or "").strip() for key, value in row.items()}
    image = reading.image(values.get("image") or image_name(reading.path))
    for key in ("mpp", "threshold", "width", "height"):
        if values.get(key) and finite(values[key]) is None:
            reading.problem(record, f"{key} {values[key]!r} is not a number")
            return
    image.mpp = finite(values.get("mpp")) or image.mpp
    image.threshold = finite(values.get("threshold")) or image.threshold
    width, height = finite(values.get("width")), finite(values.get("height"))
    if width and height:
        image.size = int(width), int(height)
    unit = next(u for u in ("", "_um", "_mm") if f"x{u}" in values and f"y{u}" in values)
    x, y = values[f"x{unit}"], values[f"y{unit}"]
    if not x and not y and not values.get("score"):
        return  # an image without detections
    if unit:
        try:
            mpp, _ = reading.known.mpp_of(image.name, image.mpp)
        except DetectionsError as error:
            reading.problems += error.problems
            return
        um = 1000.0 if unit == "_mm" else 1.0
        x, y = (str(n * um / mpp) if (n := finite(v)) is not None else v for v in (x, y))
    label = label_of(values["label"]) if values.get("label") else Label.MITOTIC
    reading.add(image, record, x, y, values.get("score") or None, label)
