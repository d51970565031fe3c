"""QuPath's GeoJSON: detections out and in. Corrected figures are read as labels by ``labels``.

Follows QuPath 0.4 and later: an ``id`` that is a UUID, ``objectType``, ``classification`` with
``name`` and ``color``, ``measurements`` as an object. Reading also takes the older forms
(measurements as a list, ``names``, MultiPoint, objects inside objects, a bare list of features).

QuPath shows a slide that tells bounds (``openslide.bounds-x``, ``-y``: Mirax, some Hamamatsu) from
the corner of these bounds, so positions in its files are shifted by them: ``bounds_offset`` says by
how much, and it is the ``offset_px`` to write and to read with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from metaphase.boxes import around
from metaphase.counting.count import MitoticCount
from metaphase.detection.geojson import COLOURS, class_name, feature_id, features, write_features
from metaphase.errors import DetectionsError, LabelError
from metaphase.exchange.foreign import Known, Reading, image_name
from metaphase.figures import POSITION_DECIMALS, SCORE_DECIMALS, Detections, Figure, Label
from metaphase.labels.qupath import bounds_offset as bounds_offset
from metaphase.labels.qupath import looks_like as looks_like
from metaphase.labels.qupath import places

ObjectType = Literal["annotation", "detection"]

HOTSPOT = "Hotspot*"
"""A class that ends in * is one that QuPath, and reading here, leaves out of account."""

_SCORES = ("score", "probability", "detection probability", "confidence")
_HOTSPOT_COLOUR = (255, 171, 0)


def write(
    detections: Detections,
    path: str | Path,
    *,
    box_um: float | None = None,
    object_type: ObjectType = "annotation",
    offset_px: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Write detections as points, or as squares of ``box_um``.

    Annotations can be moved and reclassified in QuPath; "detection" objects are faster to show.
    """
    items = features(detections, offset_px=offset_px)
    if box_um is not None:
        side = box_um / detections.provenance.mpp
        for item in items:
            box = around(item["geometry"]["coordinates"], side)[0]
            item["geometry"] = _square([round(v, POSITION_DECIMALS) for v in box.tolist()])
    for item in items:
        item["properties"]["objectType"] = object_type
    write_features(items, path)


def write_figures(
    figures: Iterable[Figure],
    path: str | Path,
    *,
    image: str = "",
    offset_px: tuple[float, float] = (0.0, 0.0),
) -> None:
    """Write labels for correction in QuPath: boxes where they have one, points elsewhere."""
    write_features([_figure_feature(figure, image, offset_px) for figure in figures], path)


def write_hotspots(
    count: MitoticCount, path: str | Path, *, offset_px: tuple[float, float] = (0.0, 0.0)
) -> None:
    """Write the outlines of a count's hotspots, with count and densities as measurements."""
    items = []
    for rank, counted in enumerate(count.hotspots, 1):
        window = counted.hotspot.window
        numbers = {"count": counted.count, "per mm2": counted.hotspot.per_mm2}
        if counted.estimate:
            numbers |= {
                "estimate low": counted.estimate.low,
                "estimate high": counted.estimate.high,
            }
        ring = (window.outline() - offset_px).round(POSITION_DECIMALS).tolist()
        geometry: dict[str, Any] = {"type": "Polygon", "coordinates": [ring]}
        if window.kind == "circle":
            geometry["isEllipse"] = True
        items.append(
            {
                "type": "Feature",
                "id": feature_id(f"{count.image}/{rank}", window.x_px, window.y_px, Label.MITOTIC),
                "geometry": geometry,
                "properties": {
                    "objectType": "annotation",
                    "name": f"Hotspot {rank}: {counted.count}",
                    "classification": {"name": HOTSPOT, "color": list(_HOTSPOT_COLOUR)},
                    "isLocked": True,
                    "measurements": numbers,
                },
            }
        )
    write_features(items, path)


def _figure_feature(figure: Figure, image: str, offset_px: tuple[float, float]) -> dict[str, Any]:
    dx, dy = offset_px
    geometry: dict[str, Any] = {
        "type": "Point",
        "coordinates": [figure.x_px - dx, figure.y_px - dy],
    }
    if figure.box:
        x1, y1, x2, y2 = figure.box
        geometry = _square([x1 - dx, y1 - dy, x2 - dx, y2 - dy])
    colour = list(COLOURS[figure.label])
    return {
        "type": "Feature",
        "id": _uuid(figure.id)
        or feature_id(f"{image}/{figure.id}", figure.x_px, figure.y_px, figure.label),
        "geometry": geometry,
        "properties": {
            "objectType": "annotation",
            "classification": {"name": class_name(figure.label), "color": colour},
        },
    }


def _square(box: Sequence[float]) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    ring = [[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]
    return {"type": "Polygon", "coordinates": [ring]}


def _uuid(text: str) -> str | None:
    try:
        return str(UUID(text))
    except ValueError:
        return None


def read(
    path: str | Path,
    known: Known | None = None,
    *,
    image: str | None = None,
    offset_px: tuple[float, float] = (0.0, 0.0),
) -> dict[str, Detections]:
    """Read detections of one image; the score is the measurement of that name, or 1.

    Raises DetectionsError with every feature that is wrong.
    """
    path = Path(path)
    reading = Reading(path, "qupath", known or Known())
    found = reading.image(image or image_name(path))
    try:
        for record, place, label, item in places(path, reading.problems):
            x, y = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
            reading.add(found, record, x + offset_px[0], y + offset_px[1], _score(item), label)
    except LabelError as error:
        raise DetectionsError(error.problems) from error
    return reading.detections()


def _score(item: dict[str, Any]) -> object:
    measured = item.get("properties", {}).get("measurements")
    if isinstance(measured, list):
        measured = {m.get("name"): m.get("value") for m in measured if isinstance(m, dict)}
    if not isinstance(measured, dict):
        return None
    words = {str(name).lower(): value for name, value in measured.items()}
    value = next((words[name] for name in _SCORES if name in words), None)
    return round(value, SCORE_DECIMALS) if isinstance(value, float) else value
