"""Points as GeoJSON that QuPath opens: by dragging the file onto the image, or File > Import.

One Feature per detection, in full-resolution pixels with y downwards, as in QuPath. Its id is a
UUID of the image and the position, so that writing twice gives the same file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from metaphase.figures import LABELS, POSITION_DECIMALS, SCORE_DECIMALS, Detections, Label
from metaphase.files import write_text
from metaphase.labels.qupath import CLASSES, bounds_offset
from metaphase.slides.slide import Slide

COLOURS: dict[Label, tuple[int, int, int]] = {
    Label.MITOTIC: (0, 200, 83),
    Label.HARD_NEGATIVE: (41, 121, 255),
}
"""Colour of each label, here and in overlays: both stand out against eosin and haematoxylin."""

_SPACE = UUID("1d0c5f0e-6f0b-5d52-9d3a-6f3a3f0a5a51")  # namespace of the ids


def class_name(label: Label) -> str:
    """Return the QuPath classification of a label."""
    return CLASSES[label]


def features(
    detections: Detections, *, offset_px: tuple[float, float] = (0.0, 0.0)
) -> list[dict[str, Any]]:
    """Return one GeoJSON Feature per detection, in their order.

    ``offset_px`` is subtracted: the corner of the part of a slide that QuPath shows.
    """
    rows = zip(
        detections.x_px.tolist(),
        detections.y_px.tolist(),
        detections.score.tolist(),
        detections.label.tolist(),
        strict=True,
    )
    image = detections.provenance.image_sha256 or detections.provenance.image
    return [
        point_feature(
            round(x - offset_px[0], POSITION_DECIMALS),
            round(y - offset_px[1], POSITION_DECIMALS),
            LABELS[code],
            id=feature_id(image, x, y, LABELS[code]),
            measurements={"score": round(score, SCORE_DECIMALS)},
        )
        for x, y, score, code in rows
    ]


def point_feature(
    x_px: float, y_px: float, label: Label, *, id: str, measurements: dict[str, float]
) -> dict[str, Any]:
    """Return one point as a Feature: an annotation, which QuPath's user can move or reclassify."""
    return {
        "type": "Feature",
        "id": id,
        "geometry": {"type": "Point", "coordinates": [x_px, y_px]},
        "properties": {
            "objectType": "annotation",
            "classification": {"name": CLASSES[label], "color": list(COLOURS[label])},
            "measurements": measurements,
        },
    }


def feature_id(image: str, x_px: float, y_px: float, label: Label) -> str:
    """Return the UUID of a detection at a place of an image (its hash, or its name)."""
    return str(uuid5(_SPACE, f"{image}/{x_px:.2f}/{y_px:.2f}/{label}"))


def write_features(items: list[dict[str, Any]], path: str | Path) -> None:
    """Write Features as one FeatureCollection, one Feature per line."""
    lines = ",\n".join(json.dumps(item, ensure_ascii=False, allow_nan=False) for item in items)
    write_text(path, f'{{"type": "FeatureCollection", "features": [\n{lines}\n]}}\n')


def save_geojson(detections: Detections, path: str | Path, slide: Slide | None = None) -> None:
    """Write the detections at or above their threshold as GeoJSON for QuPath.

    As in QuPath, positions count from the corner of the bounds that ``slide`` states (MIRAX).
    """
    offset_px = (0.0, 0.0) if slide is None else bounds_offset(slide.properties)
    write_features(features(detections.above_threshold(), offset_px=offset_px), path)
