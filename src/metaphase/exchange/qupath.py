"""QuPath's GeoJSON: detections out and in, and the hotspots of a count.

Corrected figures are read as labels by ``metaphase.labels.read``. Positions in QuPath's files are
counted from the corner of a slide's bounds, if it has any: that corner is the ``offset_px`` to
write and to read with (``metaphase.qupath.bounds``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from metaphase.boxes import around
from metaphase.classnames import atypical_of
from metaphase.counting.count import MitoticCount
from metaphase.errors import DetectionsError
from metaphase.exchange.importedfile import ImageFacts, ImportedFile
from metaphase.figures import POSITION_DECIMALS, SCORE_DECIMALS, Detections, Label
from metaphase.labels.casenames import image_name
from metaphase.labels.formats.qupath import labelled_objects
from metaphase.qupath.bounds import NO_OFFSET, Offset
from metaphase.qupath.classes import CLASS_HINT, HOTSPOT_CLASS, HOTSPOT_COLOUR
from metaphase.qupath.features import (
    annotation,
    detection_features,
    feature_id,
    write_detections,
    write_features,
)
from metaphase.qupath.geometry import rectangle
from metaphase.qupath.objects import is_geojson, read_objects

looks_like = is_geojson

_SCORES = ("score", "probability", "detection probability", "confidence")


def write(
    detections: Detections,
    path: str | Path,
    *,
    box_um: float | None = None,
    offset_px: Offset = NO_OFFSET,
) -> None:
    """Write detections as points, or as squares of ``box_um``."""
    if box_um is None:
        write_detections(detections, path, offset_px=offset_px)
    else:
        if not detections.provenance.mpp > 0:
            raise DetectionsError.of(
                detections.provenance.image,
                "cannot be written as boxes: um/px is unknown",
                way_out="give --mpp",
            )
        features = detection_features(detections, offset_px=offset_px)
        write_features(_as_squares(features, box_um / detections.provenance.mpp), path)


def _as_squares(features: Iterator[dict[str, Any]], side_px: float) -> Iterator[dict[str, Any]]:
    for feature in features:
        box = around(feature["geometry"]["coordinates"], side_px)[0]
        feature["geometry"] = rectangle([round(v, POSITION_DECIMALS) for v in box.tolist()])
        yield feature


def write_hotspots(count: MitoticCount, path: str | Path, *, offset_px: Offset = NO_OFFSET) -> None:
    """Write the outlines of a count's hotspots, with count and densities as measurements."""
    write_features(_hotspots(count, offset_px), path)


def _hotspots(count: MitoticCount, offset_px: Offset) -> Iterator[dict[str, Any]]:
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
        yield annotation(
            geometry,
            HOTSPOT_CLASS,
            HOTSPOT_COLOUR,
            id=feature_id(f"{count.image}/{rank}", window.x_px, window.y_px, Label.MITOTIC),
            measurements=numbers,
            name=f"Hotspot {rank}: {counted.count}",
            isLocked=True,
        )


def read(
    path: str | Path,
    facts: ImageFacts | None = None,
    *,
    image: str | None = None,
    offset_px: Offset = NO_OFFSET,
) -> dict[str, Detections]:
    """Read detections of one image; the score is the measurement of that name, or 1.

    Raises DetectionsError with every object that is wrong.
    """
    path = Path(path)
    file = ImportedFile(path, "qupath", facts or ImageFacts())
    target = file.image(image or image_name(path))
    for item, label, wrong in labelled_objects(read_objects(path, DetectionsError)):
        if wrong:
            file.problem(item.record, wrong, "" if label else CLASS_HINT)
            continue
        score = _score(item.measurements)
        atypical = item.measurements.get("atypical", atypical_of(item.class_name))
        for x1, y1, x2, y2 in item.boxes or ():
            if file.is_region(target, item.record, x2 - x1, y2 - y1):
                continue
            x, y = (x1 + x2) / 2 + offset_px[0], (y1 + y2) / 2 + offset_px[1]
            file.add(target, item.record, x, y, score, label, atypical)
    return file.detections()


def _score(measurements: Mapping[str, object]) -> object:
    value = next((measurements[name] for name in _SCORES if name in measurements), None)
    return round(value, SCORE_DECIMALS) if isinstance(value, float) else value
