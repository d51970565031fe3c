"""Grand Challenge's "Multiple points" JSON, as the MIDOG challenges of 2021 and 2025 write it.

Positions are millimetres from the image's corner: mm = px * mpp / 1000, with z = 0. Every candidate
is written; those that count are named "mitotic figure", the others "non-mitotic figure", and the
probability is that of a mitotic figure for both. Where every one that counts has a higher
probability than every one that does not, reading takes the names for a threshold; otherwise the
others are hard negatives. 2025's file has a title, and some of its tools write "Mulitple points".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from metaphase.errors import DetectionsError
from metaphase.exchange.foreign import Image, Known, Reading, image_name, load_json
from metaphase.figures import Detections, Label
from metaphase.files import write_json

Version = Literal["2021", "2025"]

MITOTIC, OTHER = "mitotic figure", "non-mitotic figure"
FILE_NAME = "mitotic-figures.json"
_TYPES = ("multiple points", "mulitple points")


def write(detections: Detections, path: str | Path, version: Version = "2025") -> None:
    """Write the detections of one image. Raises DetectionsError without a resolution."""
    made = detections.provenance
    if not made.mpp > 0:
        raise DetectionsError.of(
            made.image, "cannot be written in millimetres: um/px is unknown", way_out="give --mpp"
        )
    counts = (detections.label == Label.MITOTIC.code) & (detections.score >= made.threshold)
    z = 0 if version == "2021" else 0.0
    points = [
        {
            "name": MITOTIC if counted else OTHER,
            "point": [x * made.mpp / 1000, y * made.mpp / 1000, z],
            "probability": score,
        }
        for x, y, score, counted in zip(
            detections.x_px.tolist(),
            detections.y_px.tolist(),
            detections.score.tolist(),
            counts.tolist(),
            strict=True,
        )
    ]
    title = {} if version == "2021" else {"name": "Points of interest"}
    body = {"type": "Multiple points", "points": points, "version": {"major": 1, "minor": 0}}
    write_json(path, {**title, **body})


def looks_like(data: Any) -> bool:
    """Tell whether JSON is a set of points of Grand Challenge."""
    return (
        isinstance(data, dict)
        and isinstance(data.get("points"), list)
        and str(data.get("type", "")).lower() in _TYPES
    )


def read(
    path: str | Path, known: Known | None = None, *, image: str | None = None
) -> dict[str, Detections]:
    """Read the detections of one image, by default named as the file or its folder.

    Raises DetectionsError with every point that is wrong, and where the resolution is not given.
    """
    path = Path(path)
    data = load_json(path)
    if not looks_like(data):
        raise DetectionsError.of(
            path, "is not a Grand Challenge file of points", way_out='its type is "Multiple points"'
        )
    reading = Reading(path, "grandchallenge", known or Known())
    found = reading.image(image or image_name(path))
    mpp, _ = reading.known.mpp_of(found.name)
    for i, point in enumerate(data["points"]):
        _point(reading, found, f"point {i + 1}", point, mpp)
    _name_or_threshold(found)
    return reading.detections()


def _point(reading: Reading, image: Image, record: str, point: Any, mpp: float) -> None:
    place = point.get("point") if isinstance(point, dict) else None
    if not (isinstance(place, list) and len(place) in (2, 3)):
        reading.problem(record, "has no point of x, y, z in mm")
        return
    label = {MITOTIC: Label.MITOTIC, OTHER: Label.HARD_NEGATIVE}.get(point.get("name", MITOTIC))
    try:
        x, y = (float(mm) * 1000 / mpp for mm in place[:2])
    except (TypeError, ValueError):
        reading.problem(record, f"{place!r} is not a position in mm")
        return
    reading.add(image, record, x, y, point.get("probability"), label)


def _name_or_threshold(image: Image) -> None:
    counted = [row[2] for row in image.rows if row[3] == Label.MITOTIC]
    others = [row[2] for row in image.rows if row[3] != Label.MITOTIC]
    if counted and others and min(counted) > max(others):
        image.threshold = min(counted)
        image.rows = [(x, y, score, Label.MITOTIC) for x, y, score, _ in image.rows]
