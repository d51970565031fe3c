"""SlideRunner's SQLite database (Aubreville et al., BVM 2018): detections out and back in.

The schema is that of MIDOG's own file, with its triggers. They call functions that SlideRunner
defines on its connection (``pycurrent_time``, ``generate_uuid``, ``randcolor``). So triggers come
after the rows, and another program has to define the same functions (``register_functions``) before
it changes rows. SlideRunner has no column for scores: they are the annotation's description.
"""

from __future__ import annotations

import os
import random
import sqlite3
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from metaphase.classnames import atypical_of, label_of
from metaphase.errors import DetectionsError
from metaphase.exchange.importedfile import ImageFacts, ImportedFile
from metaphase.figures import LABELS, SCORE_DECIMALS, Detections, Label
from metaphase.files import open_regular, real_path, whole_file
from metaphase.labels.casenames import image_path
from metaphase.qupath.classes import COLOURS
from metaphase.qupath.features import feature_id
from metaphase.values import finite, name_of_file, printable_name, shown

CLASSES = {Label.MITOTIC: "mitotic figure", Label.HARD_NEGATIVE: "not mitotic figure"}
_SPOT = 1  # SlideRunner's AnnotationType of a point
_SCORE = "score "

_UID = "`uid` INTEGER PRIMARY KEY AUTOINCREMENT UNIQUE"
_TABLES = (
    f"CREATE TABLE `Annotations_label` ({_UID}, `person` INTEGER, `class` INTEGER,"
    " `exact_id` INTEGER, `annoId` INTEGER)",
    f"CREATE TABLE `Annotations_coordinates` ({_UID}, `coordinateX` INTEGER,"
    " `coordinateY` INTEGER, `coordinateZ` INTEGER DEFAULT 0, `slide` INTEGER,"
    " `annoId` INTEGER, `orderIdx` INTEGER)",
    f"CREATE TABLE `Annotations` ({_UID}, `slide` INTEGER, `guid` TEXT,"
    " `lastModified` REAL DEFAULT 0, `deleted` INTEGER DEFAULT 0, `type` INTEGER,"
    " `agreedClass` INTEGER, `description` TEXT, `clickable` INTEGER DEFAULT 1)",
    f"CREATE TABLE `Classes` ({_UID}, `name` TEXT, `color` TEXT)",
    f"CREATE TABLE `Persons` ({_UID}, `name` TEXT, `isExactUser` INTEGER DEFAULT 0)",
    f"CREATE TABLE `Slides` ({_UID}, `filename` TEXT, `width` INTEGER, `height` INTEGER,"
    " `directory` TEXT, `uuid` TEXT, `exactImageID` TEXT, `EXACTUSER` INTEGER DEFAULT 0)",
    "CREATE TABLE `Log` (`uid` INTEGER PRIMARY KEY AUTOINCREMENT, `dateTime` FLOAT,"
    " `labelId` INTEGER)",
)


def _touch(name: str, event: str, table: str, key: str) -> str:
    return (
        f"CREATE TRIGGER {name} AFTER {event} ON {table} BEGIN UPDATE Annotations SET"
        f" lastModified=pycurrent_time() where uid==new.{key}; END"
    )


_TRIGGERS = (
    *(
        _touch(f"updateAnnotation_{source}{event}", event, table, key)
        for event in ("UPDATE", "INSERT")
        for source, table, key in (
            ("fromLabel", "Annotations_label", "annoId"),
            ("fromCoords", "Annotations_coordinates", "annoId"),
            ("", "Annotations", "uid"),
        )
    ),
    "CREATE TRIGGER updateAnnotation_ins AFTER INSERT ON Annotations BEGIN UPDATE Annotations"
    " SET guid=generate_uuid() where uid==new.uid and guid is Null; END",
    "CREATE TRIGGER setRandomcolor AFTER INSERT ON Classes BEGIN UPDATE Classes"
    " SET color=randcolor() where uid==new.uid and color is Null; END",
)


def register_functions(database: sqlite3.Connection) -> None:
    """Define the functions that the triggers call, as SlideRunner does."""
    database.create_function("pycurrent_time", 0, time.time)
    database.create_function("generate_uuid", 0, lambda: str(uuid4()))
    database.create_function("randcolor", 0, lambda: f"#{random.randrange(1 << 24):06x}")


def write(detections: Mapping[str, Detections], path: str | Path) -> None:
    """Write the detections of any number of slides as one database."""
    with whole_file(path) as temporary, closing(sqlite3.connect(temporary)) as database:
        register_functions(database)
        with database:
            for statement in _TABLES:
                database.execute(statement)
            for label in LABELS:
                row = label.code + 1, CLASSES[label], _colour(label)
                database.execute("INSERT INTO Classes (uid, name, color) VALUES (?, ?, ?)", row)
            for slide, one in enumerate(detections.values(), 1):
                _write_slide(database, slide, one)
            for statement in _TRIGGERS:
                database.execute(statement)


def _colour(label: Label) -> str:
    return "#" + bytes(COLOURS[label]).hex()


def _write_slide(database: sqlite3.Connection, slide: int, detections: Detections) -> None:
    made_by = detections.provenance
    size = made_by.width_px or None, made_by.height_px or None
    database.execute(
        "INSERT INTO Slides (uid, filename, width, height, uuid) VALUES (?, ?, ?, ?, ?)",
        (slide, printable_name(made_by.image), *size, made_by.image_sha256),
    )
    person = _person(database, f"metaphase {made_by.model}".strip())
    now = time.time()
    rows = zip(
        detections.x_px.tolist(),
        detections.y_px.tolist(),
        detections.score.tolist(),
        detections.label.tolist(),
        strict=True,
    )
    for x, y, score, code in rows:
        guid = feature_id(made_by.image_sha256 or made_by.image, x, y, LABELS[code])
        description = f"{_SCORE}{score:.{SCORE_DECIMALS}f}"
        annotation = database.execute(
            "INSERT INTO Annotations (slide, guid, lastModified, type, agreedClass, description)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (slide, guid, now, _SPOT, code + 1, description),
        ).lastrowid
        database.execute(
            "INSERT INTO Annotations_coordinates"
            " (coordinateX, coordinateY, slide, annoId, orderIdx) VALUES (?, ?, ?, ?, 1)",
            (x, y, slide, annotation),
        )
        database.execute(
            "INSERT INTO Annotations_label (person, class, annoId) VALUES (?, ?, ?)",
            (person, code + 1, annotation),
        )


def _person(database: sqlite3.Connection, name: str) -> int:
    row = database.execute("SELECT uid FROM Persons WHERE name = ?", (name,)).fetchone()
    if row is None:
        return int(
            database.execute("INSERT INTO Persons (name) VALUES (?)", (name,)).lastrowid or 0
        )
    return int(row[0])


def looks_like(path: Path) -> bool:
    """Return whether a file is an SQLite database."""
    with open_regular(path) as stream:
        return stream.read(16) == b"SQLite format 3\0"


# The centre of an outline's bounds, and their size; of a spot, which has one coordinate, that one.
# SQLite would compute with text as with 0, so that positions of text are none.
_QUERY = """
SELECT a.uid, a.slide, c.name, {description},
       CASE WHEN {numbers} THEN (MIN(p.coordinateX) + MAX(p.coordinateX)) / 2.0 END,
       CASE WHEN {numbers} THEN (MIN(p.coordinateY) + MAX(p.coordinateY)) / 2.0 END,
       CASE WHEN {numbers} THEN MAX(p.coordinateX) - MIN(p.coordinateX) END,
       CASE WHEN {numbers} THEN MAX(p.coordinateY) - MIN(p.coordinateY) END
FROM Annotations a
LEFT JOIN Classes c ON c.uid = a.agreedClass
LEFT JOIN Annotations_coordinates p ON p.annoId = a.uid
WHERE COALESCE({deleted}, 0) IN (0, '', '0', 'false', 'False')
GROUP BY a.uid ORDER BY a.uid
"""
_NUMBERS = (
    "MIN(typeof(p.coordinateX) IN ('integer', 'real')"
    " AND typeof(p.coordinateY) IN ('integer', 'real'))"
)


def read(path: str | Path, facts: ImageFacts | None = None) -> dict[str, Detections]:
    """Read the annotations of a database as detections, with the score of their description or 1.

    For labels use ``metaphase.labels``. Raises DetectionsError with every row that is wrong.
    """
    path = Path(path)
    file = ImportedFile(path, "sliderunner", facts or ImageFacts())
    slides, rows = _tables(path)
    images = {}
    times = Counter(slide["filename"] for slide in slides)
    for slide in slides:
        name = _image_name(slide, several=times[slide["filename"]] > 1)
        if name in file.images:
            file.problem(f"slide {slide['uid']}", f"has the name {shown(name)} of another slide")
        image = file.image(name)
        width, height = finite(slide.get("width")), finite(slide.get("height"))
        image.size = (int(width), int(height)) if width and height else None
        images[slide["uid"]] = image
    for uid, slide_uid, name, description, x, y, width, height in rows:
        record = f"annotation {uid}"
        if slide_uid not in images:
            file.problem(record, f"names slide {slide_uid!r}, which is not in the database")
            continue
        if file.is_region(images[slide_uid], record, width or 0, height or 0):
            continue
        score = None
        if isinstance(description, str) and description.startswith(_SCORE):
            score = description.removeprefix(_SCORE)
        label, atypical = (label_of(str(name)), atypical_of(str(name))) if name else (None, None)
        file.add(images[slide_uid], record, x, y, score, label, atypical)
    return file.detections()


def _tables(path: Path) -> tuple[list[dict[str, Any]], list[tuple[Any, ...]]]:
    """Return the slides by column name, and the rows of ``_QUERY``. Raises DetectionsError."""
    address = f"file:{quote(os.fsencode(real_path(path)))}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(address, uri=True)) as database:
            database.text_factory = lambda raw: raw.decode("utf-8", "replace")
            rows = database.execute(_query(database)).fetchall()
            database.row_factory = sqlite3.Row
            slides = [dict(row) for row in database.execute("SELECT * FROM Slides")]
    except (sqlite3.Error, UnicodeError, OverflowError) as error:
        raise DetectionsError.of(path, f"is not a SlideRunner database: {error}") from error
    if slides and not {"uid", "filename"} <= set(slides[0]):
        raise DetectionsError.of(path, "is not a SlideRunner database: Slides has no filename")
    return slides, rows


def _query(database: sqlite3.Connection) -> str:
    """Return the query for a database, of which older ones lack columns."""
    columns = {row[1] for row in database.execute("PRAGMA table_info(Annotations)")}
    names = {
        name: f"a.{name}" if name in columns else "NULL" for name in ("description", "deleted")
    }
    return _QUERY.format(numbers=_NUMBERS, **names)


def _image_name(slide: dict[str, Any], several: bool) -> str:
    """Return the image's name, with its directory where several slides have one name."""
    name = name_of_file(str(slide["filename"] or slide["uid"]))
    directory = slide.get("directory")
    if several and isinstance(directory, str) and directory.strip():
        return (image_path(directory.strip()) / image_path(name)).as_posix()
    return name
