"""Reads SlideRunner's SQLite databases (Aubreville et al. 2018).

An annotation's label is the class that its readers agreed on (``agreedClass``). Deleted annotations
are left out. The point of a spot is its first coordinate; of other shapes it is the centre of the
outline's bounds, which are the box. A slide's ``directory`` is part of its path.
"""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from metaphase.classnames import atypical_of, label_of, mentions_mitosis
from metaphase.errors import LabelError
from metaphase.figures import Figure, Label
from metaphase.files import real_path
from metaphase.labels.casenames import case_id, image_path
from metaphase.labels.dataset import Case
from metaphase.labels.formats.fields import length_px, number
from metaphase.labels.formats.midog import with_facts
from metaphase.labels.formats.midogfacts import number_of
from metaphase.labels.labelfile import LabelFile, check_place, numbered

_NEEDED = {
    "Slides": {"uid", "filename"},
    "Annotations": {"uid", "slide", "agreedClass"},
    "Annotations_coordinates": {"annoId", "coordinateX", "coordinateY"},
    "Classes": {"uid", "name"},
}
_NOT_DELETED = (0, "", "0", "false", "False")
_SPOTS = (1, 4)  # SlideRunner's AnnotationType SPOT and SPECIAL_SPOT


def read_sliderunner(path: Path) -> LabelFile:
    """Read a database. Raises LabelError if it is none, or not SlideRunner's."""
    file = LabelFile(path, "sliderunner", name=path.stem)
    try:
        with closing(_open(path)) as database:
            _check_tables(path, database)
            _fill(file, database)
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise LabelError.of(
            path, f"is no readable SQLite database: {error}", way_out="was it copied completely?"
        ) from error
    file.separate_cases()
    if file.cases and all(number_of(case.id) is not None for case in file.cases):
        file.cases = [with_facts(case) for case in file.cases]
    return file


def _open(path: Path) -> sqlite3.Connection:
    if not path.is_file():
        raise LabelError.of(path, "is not there", way_out="check the path")
    # Read only and immutable: no journal is written beside a file on a read-only disk.
    address = f"file:{quote(os.fsencode(real_path(path)))}?mode=ro&immutable=1"
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


def _fill(file: LabelFile, database: sqlite3.Connection) -> None:
    classes = _classes(file, database)
    labels = {uid: label_of(name) for uid, name in classes.items()}
    slides = {row["uid"]: dict(row) for row in database.execute("SELECT * FROM Slides")}
    figures: dict[Any, list[Figure]] = {uid: [] for uid in slides}
    coordinates = _coordinates(database)
    lost: list[Any] = []
    left_out: Counter[Any] = Counter()
    for row in _annotations(database):
        if row["slide"] not in slides:
            lost.append(row["uid"])
            continue
        label = labels.get(row["agreedClass"])
        if label is None:
            left_out[row["agreedClass"]] += 1
            continue
        figure = _figure(file, row, label, coordinates.get(row["uid"], []))
        figure = figure and replace(figure, atypical=atypical_of(classes[row["agreedClass"]]))
        if figure and check_place(file, figure, *_size(slides[row["slide"]])):
            figures[row["slide"]].append(figure)
    if lost:
        file.problem(f"annotation {numbered(lost)}", "its slide is missing from the table Slides")
    for uid, n in left_out.items():
        _report_left_out(file, uid, classes.get(uid), n)
    for uid, slide in slides.items():
        _add_case(file, slide, figures[uid])


def _classes(file: LabelFile, database: sqlite3.Connection) -> dict[Any, str]:
    names = {row["uid"]: str(row["name"]) for row in database.execute("SELECT * FROM Classes")}
    if Label.MITOTIC not in map(label_of, names.values()):
        file.problem(
            "Classes", f"none is called mitotic figure: {numbered(names.values()) or 'it is empty'}"
        )
    return names


def _report_left_out(file: LabelFile, uid: Any, name: str | None, n: int) -> None:
    """Report annotations that are not read: a note, or a problem where a name leaves doubt."""
    if name and mentions_mitosis(name):
        file.problem(
            f"class {name}",
            f"{n} annotations of a class that is no known label",
            "rename it to 'mitotic figure' or 'not mitotic figure'",
        )
    else:
        file.note(f"class {name or uid}", f"{n} annotations without a known label are left out")


def _annotations(database: sqlite3.Connection) -> Iterator[dict[str, Any]]:
    for row in database.execute("SELECT * FROM Annotations ORDER BY uid"):
        annotation = dict(row)
        if annotation.get("deleted") in (None, *_NOT_DELETED):
            yield annotation


def _coordinates(database: sqlite3.Connection) -> dict[Any, list[tuple[Any, Any]]]:
    """Return x, y of each annotation's points, in their order."""
    rows = [dict(row) for row in database.execute("SELECT * FROM Annotations_coordinates")]
    rows.sort(key=lambda row: (_order(row.get("orderIdx")), _order(row.get("uid"))))
    points: dict[Any, list[tuple[Any, Any]]] = {}
    for row in rows:
        points.setdefault(row["annoId"], []).append((row["coordinateX"], row["coordinateY"]))
    return points


def _order(value: Any) -> float:
    return value if isinstance(value, int | float) else 0.0


def _figure(
    file: LabelFile, row: dict[str, Any], label: Label, points: list[tuple[Any, Any]]
) -> Figure | None:
    record = f"annotation {row['uid']}"
    if not points:
        file.problem(record, "has no coordinates")
        return None
    xs = [number(file, record, "coordinateX", x) for x, _ in points]
    ys = [number(file, record, "coordinateY", y) for _, y in points]
    known_xs, known_ys = [x for x in xs if x is not None], [y for y in ys if y is not None]
    if len(known_xs) < len(points) or len(known_ys) < len(points):
        if any(value is None for place in points for value in place):
            file.problem(record, "has an empty coordinate")
        return None
    if len(points) == 1 or row.get("type", 1) in _SPOTS:
        return Figure(str(row["uid"]), known_xs[0], known_ys[0], label)
    x1, y1, x2, y2 = min(known_xs), min(known_ys), max(known_xs), max(known_ys)
    return Figure(str(row["uid"]), (x1 + x2) / 2, (y1 + y2) / 2, label, (x1, y1, x2, y2))


def _size(slide: dict[str, Any]) -> tuple[int | None, int | None]:
    width, height = slide.get("width"), slide.get("height")
    if isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0:
        return width, height
    return None, None


def _add_case(file: LabelFile, slide: dict[str, Any], figures: list[Figure]) -> None:
    name = str(slide["filename"] or "").strip()
    if not name:
        file.problem(f"slide {slide['uid']}", "has no filename")
        return
    record = f"slide {name}"
    file.cases.append(
        Case(
            id=case_id(name),
            image=_image(slide, name),
            figures=tuple(figures),
            width_px=length_px(file, record, "width", slide.get("width") or None),
            height_px=length_px(file, record, "height", slide.get("height") or None),
        )
    )


def _image(slide: dict[str, Any], name: str) -> Path:
    directory = slide.get("directory")
    folder = directory.strip() if isinstance(directory, str) else ""
    return image_path(folder) / image_path(name) if folder else image_path(name)
