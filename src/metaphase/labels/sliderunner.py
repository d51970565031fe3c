"""Reads SlideRunner's SQLite databases (Aubreville et al. 2018).

An annotation's label is the class its readers agreed on (``agreedClass``); deleted annotations do
not count; its point is the first of its coordinates for a spot, and the middle of its outline's
bounds for other shapes, whose bounds are its box.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case
from metaphase.labels.midog import with_facts
from metaphase.labels.midogfacts import number_of
from metaphase.labels.reading import Reading, case_id, check_place, label_of, numbered
from metaphase.labels.values import length_px, number

_NEEDED = {
    "Slides": {"uid", "filename"},
    "Annotations": {"uid", "slide", "agreedClass"},
    "Annotations_coordinates": {"annoId", "coordinateX", "coordinateY"},
    "Classes": {"uid", "name"},
}
_SPOTS = (1, 4)  # SlideRunner's AnnotationType SPOT and SPECIAL_SPOT


def read_sliderunner(path: Path) -> Reading:
    """Read a database. Raises LabelError if it is none, or not SlideRunner's."""
    reading = Reading(path, "sliderunner", name=path.stem)
    try:
        with closing(_open(path)) as database:
            _check_tables(path, database)
            _fill(reading, database)
    except (sqlite3.Error, UnicodeError) as error:
        raise LabelError.of(
            path, f"is no readable SQLite database: {error}", way_out="was it copied whole?"
        ) from error
    reading.drop_doubles()
    if reading.cases and all(number_of(case.id) is not None for case in reading.cases):
        reading.cases = [with_facts(case) for case in reading.cases]
    return reading


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise LabelError.of(path, "is not there", way_out="check the path")
    # Read only and immutable: no journal is made beside a file on a read-only disk.
    address = f"file:{quote(str(path.resolve()))}?mode=ro&immutable=1"
    connection = sqlite3.connect(address, uri=True)
    connection.row_factory = sqlite3.Row
    connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
    return connection


def _check_tables(path: Path, database: sqlite3.Connection) -> None:
    for table, columns in _NEEDED.items():
        present = {row["name"] for row in database.execute(f"PRAGMA table_info({table})")}
        if not columns <= present:
            missing = f"column {', '.join(sorted(columns - present))}" if present else "it"
            raise LabelError.of(
                path,
                f"is not a SlideRunner database: of the table {table}, {missing} is missing",
                way_out="name the .sqlite file that SlideRunner saved",
            )


def _fill(reading: Reading, database: sqlite3.Connection) -> None:
    labels = _labels(reading, database)
    slides = {row["uid"]: dict(row) for row in database.execute("SELECT * FROM Slides")}
    figures: dict[Any, list[Figure]] = {uid: [] for uid in slides}
    places = _places(database)
    lost: list[Any] = []
    other: Counter[str] = Counter()
    for row in _annotations(database):
        if row["slide"] not in slides:
            lost.append(row["uid"])
            continue
        label = labels.get(row["agreedClass"])
        if label is None:
            other[str(row["agreedClass"])] += 1
            continue
        figure = _figure(reading, row, label, places.get(row["uid"], []))
        if figure and check_place(reading, figure, *_size(slides[row["slide"]])):
            figures[row["slide"]].append(figure)
    if lost:
        reading.problem(
            f"annotation {numbered(lost)}", "its slide is missing from the table Slides"
        )
    for name, n in other.items():
        reading.note(f"class {name}", f"{n} annotations without an agreed class of ours left out")
    for uid, slide in slides.items():
        _add_case(reading, slide, figures[uid])


def _labels(reading: Reading, database: sqlite3.Connection) -> dict[Any, Label | None]:
    names = {row["uid"]: str(row["name"]) for row in database.execute("SELECT * FROM Classes")}
    labels = {uid: label_of(name) for uid, name in names.items()}
    if Label.MITOTIC not in labels.values():
        reading.problem(
            "Classes", f"none is called mitotic figure: {numbered(names.values()) or 'it is empty'}"
        )
    return labels


def _annotations(database: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for row in database.execute("SELECT * FROM Annotations ORDER BY uid"):
        annotation = dict(row)
        if not annotation.get("deleted"):
            yield annotation


def _places(database: sqlite3.Connection) -> dict[Any, list[tuple[Any, Any]]]:
    rows = [dict(row) for row in database.execute("SELECT * FROM Annotations_coordinates")]
    rows.sort(key=lambda row: (row.get("orderIdx") or 0, row.get("uid") or 0))
    places: dict[Any, list[tuple[Any, Any]]] = {}
    for row in rows:
        places.setdefault(row["annoId"], []).append((row["coordinateX"], row["coordinateY"]))
    return places


def _figure(
    reading: Reading, row: dict[str, Any], label: Label, places: list[tuple[Any, Any]]
) -> Figure | None:
    record = f"annotation {row['uid']}"
    if not places:
        reading.problem(record, "has no coordinates")
        return None
    points = [
        (number(reading, record, "coordinateX", x), number(reading, record, "coordinateY", y))
        for x, y in places
    ]
    xs = [x for x, _ in points if x is not None]
    ys = [y for _, y in points if y is not None]
    if len(xs) != len(points) or len(ys) != len(points):
        if None in (value for place in places for value in place):
            reading.problem(record, "has an empty coordinate")
        return None
    if len(points) == 1 or row.get("type", 1) in _SPOTS:
        return Figure(str(row["uid"]), xs[0], ys[0], label)
    box = (min(xs), min(ys), max(xs), max(ys))
    return Figure(str(row["uid"]), (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, label, box)


def _size(slide: dict[str, Any]) -> tuple[int | None, int | None]:
    width, height = slide.get("width"), slide.get("height")
    known = isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0
    return (width, height) if known else (None, None)


def _add_case(reading: Reading, slide: dict[str, Any], figures: list[Figure]) -> None:
    name = str(slide["filename"] or "").strip()
    if not name:
        reading.problem(f"slide {slide['uid']}", "has no filename")
        return
    record = f"slide {name}"
    reading.cases.append(
        Case(
            id=case_id(name),
            image=Path(name.replace("\\", "/")),
            figures=tuple(figures),
            width_px=length_px(reading, record, "width", slide.get("width") or None),
            height_px=length_px(reading, record, "height", slide.get("height") or None),
        )
    )
