"""Small label files that tests make themselves."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

CATEGORIES = [{"id": 1, "name": "mitotic figure"}, {"id": 2, "name": "hard negative"}]


def image(number: int, name: str | None = None, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": name or f"{number:03d}.tiff",
        "width": 1000,
        "height": 800,
        **more,
    }


def mark(number: int, image_id: int, bbox: list[Any], category: int = 1, **more: Any) -> Any:
    return {"id": number, "image_id": image_id, "category_id": category, "bbox": bbox, **more}


def write_coco(
    path: Path, images: list[Any], annotations: list[Any], info: Any = None, **more: Any
) -> Path:
    data = {
        "info": info or {},
        "images": images,
        "annotations": annotations,
        "categories": CATEGORIES,
        **more,
    }
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


def write_sliderunner(
    path: Path,
    slides: list[tuple[int, str | None]],
    annotations: list[tuple[int, int, int | None, int, list[tuple[Any, Any]]]],
    classes: tuple[str, ...] = ("mitotic figure", "not mitotic figure"),
    kind: int = 1,
) -> Path:
    """Annotations are (uid, slide, agreed class, deleted, coordinates)."""
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE Slides (uid, filename, width, height)")
        database.execute("CREATE TABLE Classes (uid, name)")
        database.execute("CREATE TABLE Annotations (uid, slide, deleted, type, agreedClass)")
        database.execute(
            "CREATE TABLE Annotations_coordinates "
            "(uid INTEGER PRIMARY KEY, coordinateX, coordinateY, slide, annoId, orderIdx)"
        )
        database.executemany("INSERT INTO Slides VALUES (?, ?, 1000, 800)", slides)
        database.executemany("INSERT INTO Classes VALUES (?, ?)", enumerate(classes, 1))
        for uid, slide, agreed, deleted, places in annotations:
            values = (uid, slide, deleted, kind, agreed)
            database.execute("INSERT INTO Annotations VALUES (?, ?, ?, ?, ?)", values)
            # Written last to first: the order is orderIdx's, not the table's.
            for order, (x, y) in reversed(list(enumerate(places, 1))):
                database.execute(
                    "INSERT INTO Annotations_coordinates VALUES (NULL, ?, ?, ?, ?, ?)",
                    (x, y, slide, uid, order),
                )
        database.commit()
    return path
