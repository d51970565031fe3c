"""COCO: detections with scores, and the bare list of results that evaluation tools read.

Boxes are squares of ``box_um`` around the point (12.5 um, MIDOG's 50 px at 0.25 um/px); reading
takes a box's centre. Categories: 1 mitotic figure, 2 hard negative. Ids may be numbers or text: "1"
and 1 are the same. ``atypical`` is the probability that a mitotic figure is atypical.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaphase.boxes import around, xyxy_to_xywh
from metaphase.classnames import atypical_of, label_of
from metaphase.errors import DetectionsError
from metaphase.exchange.importedfile import ImageFacts, ImportedFile, ImportedImage
from metaphase.figures import LABELS, Detections, Label
from metaphase.files import write_json
from metaphase.labels.formats.boxformat import is_crowd, key_of
from metaphase.textfile import read_json
from metaphase.values import finite, shown

BOX_UM = 12.5
_SIDE_PX = 50.0  # of boxes where the resolution is not known

CATEGORIES = [{"id": label.code + 1, "name": str(label)} for label in LABELS]

Key = int | str
Meaning = tuple[Label | None, float | None]
"""A label, and the probability that it is an atypical figure."""


def write(
    detections: Mapping[str, Detections], path: str | Path, *, box_um: float = BOX_UM
) -> None:
    """Write images, categories, and annotations with ``score``: all in one file."""
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, one in enumerate(detections.values(), 1):
        made_by = one.provenance
        images.append(
            {
                "id": number,
                "file_name": made_by.image,
                "width": made_by.width_px,
                "height": made_by.height_px,
                "mpp": made_by.mpp,
                "threshold": made_by.threshold,
            }
        )
        rows += results(one, number, box_um)
    rows = [{"id": i, "iscrowd": 0, **row} for i, row in enumerate(rows, 1)]
    write_json(path, {"images": images, "categories": CATEGORIES, "annotations": rows})


def results(detections: Detections, image_id: int, box_um: float = BOX_UM) -> list[dict[str, Any]]:
    """Return the detections of one image as COCO results: a bare list of them is a file too."""
    mpp = detections.provenance.mpp
    side = box_um / mpp if mpp > 0 else _SIDE_PX
    side = max(1.0, round(side))  # whole pixels, so that the centre is kept exactly
    boxes = xyxy_to_xywh(around(detections.points, side)).tolist()
    scores, codes = detections.score.tolist(), detections.label.tolist()
    atypical = detections.atypical_or_nan.tolist()
    return [
        {
            "image_id": image_id,
            "category_id": code + 1,
            "bbox": box,
            "area": side**2,
            "score": score,
            **({} if math.isnan(probability) else {"atypical": probability}),
        }
        for box, score, code, probability in zip(boxes, scores, codes, atypical, strict=True)
    ]


def looks_like(data: Any) -> bool:
    """Return whether JSON is a COCO file, or a list of results."""
    if isinstance(data, dict):
        return isinstance(data.get("annotations"), list) and isinstance(data.get("images"), list)
    return isinstance(data, list) and all(isinstance(d, dict) and "bbox" in d for d in data)


def read(
    path: str | Path, facts: ImageFacts | None = None, *, truth: str | Path | None = None
) -> dict[str, Detections]:
    """Read a file with images and scored annotations, or a list of results.

    A bare list names images by number alone: ``truth`` is the COCO file that has their names;
    without it their names are their ids. Raises DetectionsError with every record that is wrong.
    """
    path = Path(path)
    data = read_json(path, DetectionsError)
    if not looks_like(data):
        raise DetectionsError.of(path, "is neither a COCO file nor a list of COCO results")
    file = ImportedFile(path, "coco", facts or ImageFacts())
    source = data
    if isinstance(data, list):
        source = {} if truth is None else read_json(Path(truth), DetectionsError)
    rows = data["annotations"] if isinstance(data, dict) else data
    _Annotations(file, source).read(rows)
    return file.detections()


class _Annotations:
    """Reads annotations, with the images and categories of their file or of the ground truth."""

    def __init__(self, file: ImportedFile, source: Any) -> None:
        self.file = file
        self.images = _images(file, source)
        self.labels: dict[Key, Meaning] = _labels(file, source) or {
            label.code + 1: (label, None) for label in LABELS
        }

    def read(self, rows: list[Any]) -> None:
        for i, row in enumerate(rows, 1):
            self._read_row(f"annotation {i}", row)

    def _read_row(self, record: str, row: Any) -> None:
        box = row.get("bbox") if isinstance(row, dict) else None
        values = [finite(v) for v in box] if isinstance(box, list) and len(box) == 4 else [None]
        if None in values:
            self.file.problem(record, f"bbox {shown(box)} is not x, y, width, height")
            return
        if is_crowd(row):
            self.file.problem(
                record, "is a region of several objects (iscrowd or ignore), not a detection"
            )
            return
        key = key_of(row.get("image_id"))
        image = self.images.get(key) if self.images else self.file.image(str(key))
        if image is None:
            self.file.problem(
                record, f"names image {shown(row.get('image_id'))}, which is not in the file"
            )
            return
        x, y, width, height = (float(v) for v in values if v is not None)
        if width < 0 or height < 0:
            self.file.problem(record, f"bbox {shown(box)} has negative sides")
            return
        if self.file.is_region(image, record, width, height):
            return
        label, atypical = self.labels.get(key_of(row.get("category_id")), (None, None))
        centre = x + width / 2, y + height / 2
        atypical = row.get("atypical", atypical)
        self.file.add(image, record, *centre, row.get("score"), label, atypical)


def _labels(file: ImportedFile, source: Any) -> dict[Key, Meaning]:
    """Return what the categories stand for, by id."""
    labels: dict[Key, Meaning] = {}
    for row in _rows(source, "categories"):
        key, name = key_of(row.get("id")), row.get("name")
        if key in labels:
            file.problem(f"category {key}", "is there twice", "number the categories anew")
        text = name if isinstance(name, str) else ""
        labels[key] = label_of(text), atypical_of(text)
    return labels


def _rows(source: Any, key: str) -> list[dict[str, Any]]:
    rows = source.get(key) if isinstance(source, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _images(file: ImportedFile, source: Any) -> dict[Key, ImportedImage]:
    images: dict[Key, ImportedImage] = {}
    for i, row in enumerate(_rows(source, "images"), 1):
        name = row.get("file_name")
        if "id" not in row or not isinstance(name, str) or not name:
            file.problem(f"image {i}", "has no id or no file_name")
            continue
        key = key_of(row["id"])
        if key in images or name in file.images:
            what = f"id {shown(row['id'])}" if key in images else f"name {shown(name)}"
            file.problem(f"image {i}", f"has the {what} of another image", "give each its own")
            continue
        image = file.image(name)
        image.mpp = finite(row.get("mpp"))
        image.threshold = finite(row.get("threshold")) or 0.0
        width, height = finite(row.get("width")), finite(row.get("height"))
        image.size = (int(width), int(height)) if width and height else None
        images[key] = image
    return images
