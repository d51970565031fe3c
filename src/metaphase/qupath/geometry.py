"""GeoJSON geometries: from coordinates to boxes and polygons, and back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from metaphase.errors import InputError
from metaphase.textfile import read_json
from metaphase.values import finite, position

Box = tuple[float, float, float, float]
"""x1, y1, x2, y2 in pixels; a point is a box without size."""

Ring = list[tuple[float, float]]
Polygon = list[Ring]
"""An exterior ring and its holes; each ring is closed (its last point is its first)."""

_FARTHEST_PX = 1e9
_WAY_OUT = "draw it as polygons and export it as GeoJSON, for instance from QuPath"


def boxes_of(geometry: Any) -> list[Box] | None:
    """Return the bounding box of each part of a geometry; None if it is not valid.

    Valid are Point, MultiPoint, Polygon, MultiPolygon and collections of them, with finite numbers.
    """
    found: list[Box] = []
    waiting = [geometry]
    while waiting:
        item = waiting.pop()
        kind = item.get("type") if isinstance(item, dict) else None
        try:
            if kind == "Point":
                found.append(_bounds((item["coordinates"],)))
            elif kind == "GeometryCollection":
                waiting += reversed(item["geometries"])
            else:
                found += [_bounds(points) for points in _outlines(kind, item)]
        except (KeyError, IndexError, TypeError, ValueError):
            return None
    return found or None


def _outlines(kind: Any, geometry: dict[str, Any]) -> list[Any]:
    """Return the points of each part; for polygons those of the exterior ring."""
    at = geometry["coordinates"] if isinstance(geometry, dict) else None
    if kind == "MultiPoint":
        return [[point] for point in at]
    if kind == "Polygon":
        return [at[0]]
    if kind == "MultiPolygon":
        return [polygon[0] for polygon in at]
    raise ValueError(kind)


def _bounds(points: Any) -> Box:
    if len(points) == 1:
        x, y = finite(points[0][0]), finite(points[0][1])
        if x is None or y is None or abs(x) >= _FARTHEST_PX or abs(y) >= _FARTHEST_PX:
            raise ValueError("not finite")
        return x, y, x, y
    pairs = [(finite(point[0]), finite(point[1])) for point in points]
    xs = [x for x, _ in pairs if x is not None and abs(x) < _FARTHEST_PX]
    ys = [y for _, y in pairs if y is not None and abs(y) < _FARTHEST_PX]
    if not pairs or len(xs) < len(pairs) or len(ys) < len(pairs):
        raise ValueError("not finite")
    return min(xs), min(ys), max(xs), max(ys)


def point(x_px: float, y_px: float) -> dict[str, Any]:
    """Return a Point."""
    return {"type": "Point", "coordinates": [x_px, y_px]}


def rectangle(box: Sequence[float]) -> dict[str, Any]:
    """Return the Polygon of a box x1, y1, x2, y2."""
    x1, y1, x2, y2 = box
    return {
        "type": "Polygon",
        "coordinates": [[[x1, y1], [x2, y1], [x2, y2], [x1, y2], [x1, y1]]],
    }


def read_polygons(path: str | Path) -> list[Polygon]:
    """Return the polygons of a GeoJSON file, wherever in it they are. Raises InputError."""
    path = Path(path)
    data = read_json(path)
    try:
        polygons = [
            [[(_number(x), _number(y)) for x, y, *_ in ring] for ring in polygon]
            for polygon in polygons_in(data)
        ]
    except (TypeError, ValueError, KeyError) as fault:
        raise InputError.of(
            path, f"has a geometry that is not valid: {fault}", way_out=_WAY_OUT
        ) from fault
    if not polygons:
        raise InputError.of(path, "holds no polygon", way_out=_WAY_OUT)
    return polygons


def _number(value: Any) -> float:
    number = position(value)
    if number is None:
        raise ValueError("coordinates that are no numbers, or farther than any image")
    return number


def polygons_in(data: Any) -> Iterator[Any]:
    """Yield the coordinates of every polygon in lists, FeatureCollections and geometries."""
    waiting = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, list):
            waiting += reversed(item)
        elif isinstance(item, dict):
            kind = item.get("type")
            if kind == "Polygon":
                yield item["coordinates"]
            elif kind == "MultiPolygon":
                yield from item["coordinates"]
            else:
                inner = ("features", "geometry", "geometries")
                waiting += [item[key] for key in reversed(inner) if item.get(key) is not None]
