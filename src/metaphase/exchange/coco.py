"""COCO: detections with scores, ground truth, and the bare list of results that evaluators read.

Boxes are squares of ``box_um`` around the point (12.5 um, MIDOG's 50 px at 0.25 um/px); reading
takes a box's centre. Categories: 1 mitotic figure, 2 hard negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from metaphase.boxes import around, xyxy_to_xywh
from metaphase.errors import DetectionsError, LabelError
from metaphase.exchange.foreign import Image, Known, Reading, finite, load_json
from metaphase.figures import LABELS, Detections, Label
from metaphase.files import write_json
from metaphase.labels.dataset import Dataset
from metaphase.labels.reading import label_of

BOX_UM = 12.5
_SIDE_PX = 50.0

CATEGORIES = [{"id": label.code + 1, "name": str(label)} for label in LABELS]


def write(
    detections: Mapping[str, Detections], path: str | Path, *, box_um: float = BOX_UM
) -> None:
    """Write images, categories, and annotations with ``score``: all in one file."""
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, found in enumerate(detections.values(), 1):
        made = found.provenance
        images.append(
            {
                "id": number,
                "file_name": made.image,
                "width": made.width_px,
                "height": made.height_px,
                "mpp": made.mpp,
                "threshold": made.threshold,
            }
        )
        rows += _results(found, number, box_um)
    rows = [{"id": i, "iscrowd": 0, **row} for i, row in enumerate(rows, 1)]
    write_json(path, {"images": images, "categories": CATEGORIES, "annotations": rows})


def write_results(
    detections: Mapping[str, Detections],
    path: str | Path,
    image_ids: Mapping[str, int],
    *,
    box_um: float = BOX_UM,
) -> None:
    """Write the bare list of results. ``image_ids`` are those of the ground truth, by image."""
    unknown = [name for name in detections if name not in image_ids]
    if unknown:
        raise DetectionsError.of(path, f"no image id for {', '.join(unknown)}")
    write_json(
        path,
        [
            row
            for name, found in detections.items()
            for row in _results(found, image_ids[name], box_um)
        ],
    )


def write_ground_truth(dataset: Dataset, path: str | Path, *, box_px: float = _SIDE_PX) -> None:
    """Write a data set's labels; figures without a box get a square. Unlabelled cases are refused:
    a COCO file cannot tell them from cases without figures."""
    unlabelled = [case.id for case in dataset if not case.labelled]
    if unlabelled:
        raise LabelError.of(
            path, f"unlabelled cases: {', '.join(unlabelled)}", way_out="leave them out"
        )
    images: list[dict[str, Any]] = []
    rows: list[dict[str, Any]] = []
    for number, case in enumerate(dataset, 1):
        name = case.image.name if case.image else case.id
        image: dict[str, Any] = {"id": number, "file_name": name}
        known = {"width": case.width_px, "height": case.height_px, "mpp": case.mpp}
        known["scanner"] = case.scanner  # type: ignore[assignment]
        images.append(image | {k: v for k, v in known.items() if v is not None})
        for figure in case.figures:
            box = figure.box or tuple(around((figure.x_px, figure.y_px), box_px)[0].tolist())
            bbox = xyxy_to_xywh(box)[0].tolist()
            rows.append(
                {
                    "id": len(rows) + 1,
                    "image_id": number,
                    "category_id": figure.label.code + 1,
                    "bbox": bbox,
                    "centroid": [figure.x_px, figure.y_px],
                    "area": bbox[2] * bbox[3],
                    "iscrowd": 0,
                }
            )
    write_json(path, {"images": images, "categories": CATEGORIES, "annotations": rows})


def _results(found: Detections, image_id: int, box_um: float) -> list[dict[str, Any]]:
    side = box_um / found.provenance.mpp if found.provenance.mpp > 0 else _SIDE_PX
    side = max(1.0, round(side))  # whole pixels, so that the centre comes back as it was
    boxes = xyxy_to_xywh(around(found.points, side)).tolist()
    scores, codes = found.score.tolist(), found.label.tolist()
    return [
        {
            "image_id": image_id,
            "category_id": code + 1,
            "bbox": box,
            "area": side**2,
            "score": score,
        }
        for box, score, code in zip(boxes, scores, codes, strict=True)
    ]


def looks_like(data: Any) -> bool:
    """Tell whether JSON is a COCO file, or a list of results."""
    if isinstance(data, dict):
        return isinstance(data.get("annotations"), list) and isinstance(data.get("images"), list)
    return isinstance(data, list) and all(isinstance(d, dict) and "bbox" in d for d in data)


def read(
    path: str | Path, known: Known | None = None, *, truth: str | Path | None = None
) -> dict[str, Detections]:
    """Read a file with images and scored annotations, or a list of results.

    A bare list names images by number alone: ``truth`` is the COCO file that knows them; without
    it their names are their ids. Raises DetectionsError with every record that is wrong.
    """
    path = Path(path)
    data = load_json(path)
    if not looks_like(data):
        raise DetectionsError.of(path, "is neither a COCO file nor a list of COCO results")
    reading = Reading(path, "coco", known or Known())
    source = data if isinstance(data, dict) else load_json(Path(truth)) if truth else {}
    images = _images(reading, source)
    words = {c.get("id"): label_of(str(c.get("name"))) for c in _rows(source, "categories")}
    words = words or {label.code + 1: label for label in LABELS}
    rows = data["annotations"] if isinstance(data, dict) else data
    for i, row in enumerate(rows):
        _row(reading, f"annotation {i + 1}", row, images, words, named=bool(images))
    return reading.detections()


def _rows(source: Any, key: str) -> list[dict[str, Any]]:
    rows = source.get(key) if isinstance(source, dict) else None
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _images(reading: Reading, source: Any) -> dict[Any, Image]:
    images = {}
    for i, row in enumerate(_rows(source, "images")):
        if "id" not in row or not row.get("file_name"):
            reading.problem(f"image {i + 1}", "has no id or no file_name")
            continue
        image = reading.image(str(row["file_name"]))
        image.mpp = finite(row.get("mpp"))
        image.threshold = finite(row.get("threshold")) or 0.0
        width, height = finite(row.get("width")), finite(row.get("height"))
        image.size = (int(width), int(height)) if width and height else None
        images[row["id"]] = image
    return images


def _row(
    reading: Reading,
    record: str,
    row: Any,
    images: dict[Any, Image],
    words: Mapping[Any, Label | None],
    *,
    named: bool,
) -> None:
    box = row.get("bbox") if isinstance(row, dict) else None
    values = [finite(v) for v in box] if isinstance(box, list) and len(box) == 4 else [None]
    if None in values:
        reading.problem(record, f"bbox {box!r} is not x, y, width, height")
        return
    id_ = row.get("image_id")
    image = images.get(id_) if named else reading.image(str(id_))
    if image is None:
        reading.problem(record, f"names image {id_!r}, which is not in the file")
        return
    x, y, width, height = (float(v) for v in values if v is not None)
    label = words.get(row.get("category_id"))
    reading.add(image, record, x + width / 2, y + height / 2, row.get("score"), label)
