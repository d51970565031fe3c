"""Writes GeoJSON that QuPath opens: by dragging the file onto the image, or File > Import.

Follows QuPath 0.4 and later: an ``id`` that is a UUID, ``objectType``, ``classification`` with
``name`` and ``color``, ``measurements`` as an object. Positions are full-resolution pixels, y
downwards, minus the corner of the slide's bounds (``metaphase.qupath.bounds``). Ids are made from
the image and the place, so that writing twice gives the same file. Mitotic figures that the model
calls atypical have the subclass "Mitotic figure: Atypical".
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol
from uuid import UUID

from metaphase.figures import (
    ATYPICAL_DECIMALS,
    LABELS,
    POSITION_DECIMALS,
    SCORE_DECIMALS,
    Detections,
    Label,
)
from metaphase.files import whole_file
from metaphase.provenance import ATYPICAL_THRESHOLD
from metaphase.qupath.bounds import NO_OFFSET, Offset, bounds_offset
from metaphase.qupath.classes import ATYPICAL_CLASS, ATYPICAL_COLOUR, CLASS_NAMES, COLOURS
from metaphase.qupath.geometry import point

_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False)
_SPACE = UUID("1d0c5f0e-6f0b-5d52-9d3a-6f3a3f0a5a51").bytes  # of metaphase's detections


class HasProperties(Protocol):
    """Anything with a slide's tags."""

    @property
    def properties(self) -> Mapping[str, str]:
        """The tags, by name."""
        ...


def detection_features(
    detections: Detections, *, offset_px: Offset = NO_OFFSET
) -> Iterator[dict[str, Any]]:
    """Yield one Feature a detection, in their order. ``offset_px`` is subtracted."""
    rows = _rows(detections)
    image = detections.provenance.image_sha256 or detections.provenance.image
    threshold = _atypical_threshold(detections)
    for x, y, score, code, atypical in rows:
        place = point(
            round(x - offset_px[0], POSITION_DECIMALS), round(y - offset_px[1], POSITION_DECIMALS)
        )
        yield label_feature(
            place,
            LABELS[code],
            id=feature_id(image, x, y, LABELS[code]),
            measurements={"score": round(score, SCORE_DECIMALS)} | _measured(atypical),
            atypical=atypical >= threshold,
        )


def label_feature(
    geometry: dict[str, Any],
    label: Label,
    *,
    id: str,
    measurements: dict[str, float],
    atypical: bool = False,
) -> dict[str, Any]:
    """Return an annotation of one label, which QuPath's user can move or reclassify."""
    name, colour = (
        (ATYPICAL_CLASS, ATYPICAL_COLOUR) if atypical else (CLASS_NAMES[label], COLOURS[label])
    )
    return annotation(geometry, name, colour, id=id, measurements=measurements)


def annotation(
    geometry: dict[str, Any],
    class_name: str,
    colour: Sequence[int],
    *,
    id: str,
    measurements: dict[str, float],
    **properties: Any,
) -> dict[str, Any]:
    """Return an annotation; ``properties`` are further ones of QuPath's, such as ``name``."""
    return {
        "type": "Feature",
        "id": id,
        "geometry": geometry,
        "properties": {
            "objectType": "annotation",
            **properties,
            "classification": {"name": class_name, "color": list(colour)},
            "measurements": measurements,
        },
    }


def area_collection(name: str, polygons: list[Any]) -> dict[str, Any]:
    """Return a FeatureCollection with one MultiPolygon, or without any where there are none."""
    feature = {
        "type": "Feature",
        "geometry": {"type": "MultiPolygon", "coordinates": polygons},
        "properties": {"objectType": "annotation", "name": name},
    }
    return {"type": "FeatureCollection", "features": [feature] if polygons else []}


def feature_id(image: str, x_px: float, y_px: float, label: Label) -> str:
    """Return the UUID of a detection at a place of an image (its hash, or its name)."""
    name = f"{image}/{x_px:.2f}/{y_px:.2f}/{label}"
    digest = hashlib.sha1(
        _SPACE + name.encode("utf-8", "surrogatepass"), usedforsecurity=False
    ).digest()
    number = int.from_bytes(digest[:16], "big")
    # Version 5 and the variant of RFC 9562, as uuid.uuid5 sets them; that takes four times as long.
    text = f"{number & ~(0xF000 << 64 | 0xC000 << 48) | 5 << 76 | 1 << 63:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def write_features(features: Iterable[dict[str, Any]], path: str | Path) -> None:
    """Write Features as one FeatureCollection, a Feature a line."""
    _write_lines(map(_ENCODER.encode, features), path)


def write_detections(
    detections: Detections, path: str | Path, *, offset_px: Offset = NO_OFFSET
) -> None:
    """Write ``detection_features``, in a third of the time that encoding each would take."""
    _write_lines(_detection_lines(detections, offset_px), path)


def _rows(detections: Detections) -> Iterator[tuple[float, float, float, int, float]]:
    """Yield x, y, score, label code and probability of atypical (NaN: not known)."""
    return zip(
        detections.x_px.tolist(),
        detections.y_px.tolist(),
        detections.score.tolist(),
        detections.label.tolist(),
        detections.atypical_or_nan.tolist(),
        strict=True,
    )


def _detection_lines(detections: Detections, offset_px: Offset) -> Iterator[str]:
    # The features of one detection of each label, as text with places for what differs.
    templates = {
        (label.code, known, atypical): _template(label, known=known, atypical=atypical)
        for label in LABELS
        for known in (False, True)
        for atypical in (False, True)
    }
    threshold = _atypical_threshold(detections)
    dx, dy = offset_px
    image = detections.provenance.image_sha256 or detections.provenance.image
    rows = _rows(detections)
    for x, y, score, code, atypical in rows:
        known = not math.isnan(atypical)
        yield templates[code, known, atypical >= threshold] % (
            feature_id(image, x, y, LABELS[code]),
            round(x - dx, POSITION_DECIMALS),
            round(y - dy, POSITION_DECIMALS),
            round(score, SCORE_DECIMALS),
            *((round(atypical, ATYPICAL_DECIMALS),) if known else ()),
        )


def _atypical_threshold(detections: Detections) -> float:
    """Return the probability from which a figure is called atypical."""
    atypical = detections.provenance.parameters.atypical
    return ATYPICAL_THRESHOLD if atypical is None else atypical.threshold


def _measured(atypical: float) -> dict[str, float]:
    return {} if math.isnan(atypical) else {"atypical": round(atypical, ATYPICAL_DECIMALS)}


def _template(label: Label, *, known: bool, atypical: bool) -> str:
    """Return a Feature as text with places for id, x, y, score and, if known, atypical."""
    numbers = {"score": 3.5} | ({"atypical": 4.5} if known else {})
    feature = label_feature(
        point(1.5, 2.5), label, id="ID", measurements=numbers, atypical=atypical
    )
    text = _ENCODER.encode(feature).replace("%", "%%")
    places = ("1.5", "2.5", "3.5", *(("4.5",) if known else ()))
    for value, place in (("ID", "%s"), *((place, "%r") for place in places)):
        text = text.replace(value, place, 1)
    return text


def _write_lines(lines: Iterable[str], path: str | Path) -> None:
    with (
        whole_file(path) as temporary,
        temporary.open("w", encoding="utf-8", newline="\n") as stream,
    ):
        stream.write('{"type": "FeatureCollection", "features": [\n')
        for i, line in enumerate(lines):
            stream.write(f",\n{line}" if i else line)
        stream.write("\n]}\n")


def save_geojson(
    detections: Detections, path: str | Path, slide: HasProperties | None = None
) -> None:
    """Write the detections at or above their threshold.

    Positions are counted from the corner of the bounds that ``slide`` has, if it has any.
    """
    offset_px = NO_OFFSET if slide is None else bounds_offset(slide.properties)
    write_detections(detections.above_threshold(), path, offset_px=offset_px)
