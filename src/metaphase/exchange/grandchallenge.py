"""Grand Challenge's "Multiple points" JSON, as the MIDOG challenges of 2021 and 2025 write it.

Positions are millimetres from the image's corner: mm = px * mpp / 1000, with z = 0. Every candidate
is written. Those that count are named "mitotic figure", the others "non-mitotic figure", and the
probability is that of a mitotic figure for both. If every one that counts has a higher probability
than every one that does not, reading takes the names for a threshold; otherwise the others are hard
negatives. 2025's file has a title, and some of its tools write "Mulitple points".
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from metaphase.classnames import label_of
from metaphase.errors import DetectionsError
from metaphase.exchange.importedfile import ImageFacts, ImportedFile, ImportedImage
from metaphase.figures import Detections, Label
from metaphase.files import write_json
from metaphase.labels.casenames import image_name
from metaphase.textfile import read_json
from metaphase.values import finite, shown

Version = Literal["2021", "2025"]

MITOTIC, OTHER = "mitotic figure", "non-mitotic figure"
FILE_NAME = "mitotic-figures.json"
_TYPES = ("multiple points", "mulitple points")


def write(detections: Detections, path: str | Path, version: Version = "2025") -> None:
    """Write the detections of one image. Raises DetectionsError without a resolution."""
    made_by = detections.provenance
    if not made_by.mpp > 0:
        raise DetectionsError.of(
            made_by.image,
            "cannot be written in millimetres: um/px is unknown",
            way_out="give --mpp",
        )
    counts = (detections.label == Label.MITOTIC.code) & (detections.score >= made_by.threshold)
    z = 0 if version == "2021" else 0.0
    points = [
        {
            "name": MITOTIC if counted else OTHER,
            "point": [x * made_by.mpp / 1000, y * made_by.mpp / 1000, z],
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
    """Return whether JSON is a set of points of Grand Challenge."""
    kind = data.get("type") if isinstance(data, dict) else None
    return isinstance(kind, str) and kind.lower() in _TYPES and isinstance(data.get("points"), list)


def read(
    path: str | Path, facts: ImageFacts | None = None, *, image: str | None = None
) -> dict[str, Detections]:
    """Read the detections of one image, by default named as the file or its folder.

    Raises DetectionsError with every point that is wrong, and where the resolution is not given.
    """
    path = Path(path)
    data = read_json(path, DetectionsError)
    if not looks_like(data):
        raise DetectionsError.of(
            path, "is not a Grand Challenge file of points", way_out='its type is "Multiple points"'
        )
    file = ImportedFile(path, "grandchallenge", facts or ImageFacts())
    target = file.image(image or image_name(path))
    mpp, _ = file.facts.mpp_of(target.name)
    for i, point in enumerate(data["points"], 1):
        _read_point(file, target, f"point {i}", point, mpp)
    _names_as_threshold(target)
    return file.detections()


def _read_point(
    file: ImportedFile, image: ImportedImage, record: str, point: Any, mpp: float
) -> None:
    place = point.get("point") if isinstance(point, dict) else None
    if not (isinstance(place, list) and len(place) in (2, 3)):
        file.problem(record, "has no point of x, y, z in mm")
        return
    name = point.get("name", MITOTIC)
    label = label_of(name) if isinstance(name, str) else None
    x_mm, y_mm = finite(place[0]), finite(place[1])
    if x_mm is None or y_mm is None:
        file.problem(record, f"{shown(place)} is not a position in mm")
        return
    x, y = x_mm * 1000 / mpp, y_mm * 1000 / mpp
    file.add(image, record, x, y, point.get("probability"), label)


def _names_as_threshold(image: ImportedImage) -> None:
    counted = [row[2] for row in image.rows if row[3] == Label.MITOTIC]
    others = [row[2] for row in image.rows if row[3] != Label.MITOTIC]
    if counted and others and min(counted) > max(others):
        image.threshold = min(counted)
        image.rows = [(x, y, score, Label.MITOTIC, p) for x, y, score, _, p in image.rows]
