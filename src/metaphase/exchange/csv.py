"""CSV: one row a detection, one file for many slides.

Written columns: image, x_px, y_px, score, label, width_px, height_px, mpp, threshold; and
``atypical``, the probability that a mitotic figure is atypical, where one is known. An image
without detections has one row with empty positions, because nothing found is a result. Read is any
table (``metaphase.csvfile``) with a position: ``x_px, y_px``, ``x, y``, or ``x_um``, ``x_mm`` with
a resolution; also QuPath's measurement tables (``Centroid X µm``). Other columns are known by the
usual names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from metaphase.classnames import atypical_of, label_of
from metaphase.csvfile import CsvTable, csv_text
from metaphase.errors import DetectionsError
from metaphase.exchange.importedfile import ImageFacts, ImportedFile, ImportedImage
from metaphase.figures import (
    ATYPICAL_DECIMALS,
    LABELS,
    POSITION_DECIMALS,
    SCORE_DECIMALS,
    Detections,
    Label,
)
from metaphase.files import write_text
from metaphase.labels.casenames import image_name
from metaphase.labels.labelfile import numbered, repeated
from metaphase.qupath.classes import is_ignored
from metaphase.values import finite, name_of_file, shown

COLUMNS = (
    "image", "x_px", "y_px", "score", "label", "width_px", "height_px", "mpp", "threshold",
)  # fmt: skip

_NAMES = {
    "image": ("image", "filename", "file_name", "file", "slide", "case", "case_id", "image_id"),
    "x": ("x_px", "x", "centre_x", "center_x", "cx", "centroid x px"),
    "y": ("y_px", "y", "centre_y", "center_y", "cy", "centroid y px"),
    "x_um": ("x_um", "centroid x µm", "centroid x um"),
    "y_um": ("y_um", "centroid y µm", "centroid y um"),
    "x_mm": ("x_mm",),
    "y_mm": ("y_mm",),
    "score": ("score", "probability", "confidence", "prob", "detection probability"),
    "label": ("label", "class", "classification", "category", "name"),
    "width": ("width_px",),
    "height": ("height_px",),
    "mpp": ("mpp", "um_per_px"),
    "threshold": ("threshold",),
    "atypical": ("atypical", "atypical_probability"),
}
_NUMBERS = {"x", "y", "x_um", "y_um", "x_mm", "y_mm", "score", "width", "height", "mpp"}
_NUMBERS |= {"threshold", "atypical"}
_FACTS = ("mpp", "threshold", "width", "height")
_UM_PER = {"_um": 1.0, "_mm": 1000.0}
_HEADER_OF_QUPATH = ("object id", "object type", "parent", "roi")


def write(detections: Mapping[str, Detections], path: str | Path) -> None:
    """Write the detections of any number of slides at 0.01 px and 1e-6."""
    rows = _rows(detections.values())
    if any(one.atypical is not None for one in detections.values()):
        more = (p for one in detections.values() for p in _atypical(one))
        rows = ((*row, p) for row, p in zip(rows, more, strict=True))
        write_text(path, csv_text((*COLUMNS, "atypical"), rows))
    else:
        write_text(path, csv_text(COLUMNS, rows))


def _atypical(detections: Detections) -> Iterator[str]:
    """Yield the probability of each row that is written for a slide."""
    for value in detections.atypical_or_nan.tolist() if len(detections) else (math.nan,):
        yield "" if math.isnan(value) else f"{value:.{ATYPICAL_DECIMALS}f}"


def _rows(slides: Iterable[Detections]) -> Iterator[tuple[object, ...]]:
    for one in slides:
        made_by = one.provenance
        facts = (made_by.width_px, made_by.height_px, made_by.mpp, made_by.threshold)
        for x, y, score, code in zip(one.x_px, one.y_px, one.score, one.label, strict=True):
            place = f"{x:.{POSITION_DECIMALS}f}", f"{y:.{POSITION_DECIMALS}f}"
            yield (made_by.image, *place, f"{score:.{SCORE_DECIMALS}f}", str(LABELS[code]), *facts)
        if not len(one):
            yield (made_by.image, "", "", "", "", *facts)


def read(path: str | Path, facts: ImageFacts | None = None) -> dict[str, Detections]:
    """Read detections by image. Raises DetectionsError with every line that is wrong."""
    path = Path(path)
    file = ImportedFile(path, "csv", facts or ImageFacts())
    table = CsvTable(path, DetectionsError)
    columns = _columns(path, table.columns)
    unit = next(u for u in ("", "_um", "_mm") if f"x{u}" in columns and f"y{u}" in columns)
    rows = _Rows(file, unit)
    for line, values in table:
        row = {name: values[index] for name, index in columns.items()}
        if table.decimal_comma:
            row |= {name: table.number(row[name]) for name in row.keys() & _NUMBERS}
        rows.read(f"line {line}", row)
    return file.detections()


def looks_like(head: str) -> bool:
    """Return whether the first lines of a file hold a header with a position."""
    lines = head.lstrip("\ufeff").replace("\u03bc", "\u00b5").splitlines()
    line = next((line for line in lines if not line.lower().startswith("sep=")), "").lower()
    cells = re.split("[,;\t|]", line)
    words = {cell.strip().strip('"') for cell in cells}
    return any(words & set(_NAMES[x]) for x in ("x", "x_um", "x_mm"))


def _columns(path: Path, header: tuple[str, ...]) -> dict[str, int]:
    """Return the index of each column that is known."""
    names = {name.lower(): index for index, name in enumerate(header)}
    known = {alias for aliases in _NAMES.values() for alias in aliases}
    twice = [name for name, _ in repeated(map(str.lower, header)) if name in known]
    if twice:
        raise DetectionsError.of(
            path,
            f"has two columns called {numbered(twice)}",
            record="line 1",
            way_out="remove one",
        )
    columns = {
        key: names[alias]
        for key, aliases in _NAMES.items()
        for alias in aliases[::-1]
        if alias in names
    }
    if set(_HEADER_OF_QUPATH) & set(names) and "classification" not in names:
        # There "Name" is the object's own; its class is in "Class", or there is none.
        columns.pop("label", None)
        if "class" in names:
            columns["label"] = names["class"]
    if not any({f"x{unit}", f"y{unit}"} <= set(columns) for unit in ("", "_um", "_mm")):
        raise DetectionsError.of(
            path, "has no columns of positions", way_out="name them x_px and y_px in the header"
        )
    return columns


class _Rows:
    """Adds rows to a file. ``unit`` is the suffix of the columns of positions."""

    def __init__(self, file: ImportedFile, unit: str) -> None:
        self.file, self.unit = file, unit
        self.default_name = image_name(file.path)
        self._facts: tuple[str | None, ...] = ()
        self._image: ImportedImage | None = None

    def read(self, record: str, row: dict[str, str]) -> None:
        image = self._image_of(record, row)
        x, y = row[f"x{self.unit}"], row[f"y{self.unit}"]
        name = row.get("label", "")
        if image is None or (not x and not y and not row.get("score")) or is_ignored(name):
            return  # an image without detections, or an object that QuPath leaves out too
        place: tuple[object, object] = (x, y)
        if self.unit:
            try:
                mpp, _ = self.file.facts.mpp_of(image.name, image.mpp)
            except DetectionsError as error:
                self.file.problems += error.problems
                return
            scale = _UM_PER[self.unit] / mpp
            place = tuple(n * scale if (n := finite(v)) is not None else v for v in (x, y))  # type: ignore[assignment]
        # Without a column of labels all are figures; an empty cell in such a column says nothing.
        label = Label.MITOTIC if "label" not in row else label_of(name)
        atypical = row.get("atypical") or atypical_of(name)
        self.file.add(image, record, *place, row.get("score") or None, label, atypical)

    def _image_of(self, record: str, row: dict[str, str]) -> ImportedImage | None:
        """Return the image of a row with its facts, or None where one is no number."""
        facts = tuple(row.get(key) for key in ("image", *_FACTS))
        if facts == self._facts:  # as in the row before
            return self._image
        self._facts = facts
        self._image = None
        for key in _FACTS:
            if row.get(key) and finite(row[key]) is None:
                self.file.problem(record, f"{key} {shown(row[key])} is not a number")
                return None
        image = self.file.image(name_of_file(row.get("image") or self.default_name))
        image.mpp = finite(row.get("mpp")) or image.mpp
        image.threshold = finite(row.get("threshold")) or image.threshold
        width, height = finite(row.get("width")), finite(row.get("height"))
        if width and height:
            image.size = int(width), int(height)
        self._image = image
        return image
