"""QuPath's GeoJSON: detections out, corrected figures back in.

Follows QuPath 0.4 and later: an ``id`` that is a UUID, ``objectType``, ``classification`` with
``name`` and ``color``, ``measurements`` as an object. Reading also takes the older forms
(measurements as a list, ``names``, MultiPoint, objects inside objects, a bare list of features).

QuPath shows a slide that tells bounds (``openslide.bounds-x``, ``-y``: Mirax, some Hamamatsu) from
the corner of these bounds, so positions in its files are shifted by them: ``bounds_offset`` says by
how much, and it is the ``offset_px`` to write and to read with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from metaphase.boxes import around
from metaphase.counting.count import MitoticCount
from metaphase.detection.geojson import COLOURS, class_name, feature_id, features, write_features
from metaphase.errors import DetectionsError, LabelError, Problem
from metaphase.exchange.foreign import Known, Reading, finite, image_name, load_json
from metaphase.figures import (
    LABELS,
    POSITION_DECIMALS,
    SCORE_DECIMALS,
    Detections,
    Figure,
    Label,
)
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.reading import label_of

ObjectType = Literal["annotation", "detection"]

HOTSPOT = "Hotspot*"
"""A class that ends in * is one that QuPath, and reading here, leaves out of account."""

_WORDS = " or ".join(class_name(label) for label in LABELS)
_SCORES = ("score", "probability", "detection probability", "confidence")
_HOTSPOT_COLOUR = (255, 171, 0)


def bounds_offset(properties: Mapping[str, str]) -> tuple[float, float]:
    """Return the corner of a slide's bounds from its tags (``Slide.properties``), or 0, 0."""
    x, y = (finite(properties.get(f"openslide.bounds-{axis}")) for axis in "xy")
    return x or 0.0, y or 0.0


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


def looks_like(data: Any) -> bool:
    """Tell whether JSON is GeoJSON as QuPath writes it."""
    if isinstance(data, dict):
        return data.get("type") in ("FeatureCollection", "Feature")
    return isinstance(data, list) and all(
        isinstance(d, dict) and d.get("type") == "Feature" for d in data
    )


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
    for record, place, label, item in _places(path, reading.problems):
        x, y = (place[0] + place[2]) / 2, (place[1] + place[3]) / 2
        reading.add(found, record, x + offset_px[0], y + offset_px[1], _score(item), label)
    return reading.detections()


def read_figures(
    path: str | Path, *, offset_px: tuple[float, float] = (0.0, 0.0)
) -> tuple[Figure, ...]:
    """Read labels, for instance a file of detections that somebody corrected in QuPath.

    A figure's id is QuPath's. Raises LabelError with every feature that is wrong.
    """
    path = Path(path)
    problems: list[Problem] = []
    figures = []
    dx, dy = offset_px
    try:
        for i, (record, place, label, item) in enumerate(_places(path, problems), 1):
            x1, y1, x2, y2 = place[0] + dx, place[1] + dy, place[2] + dx, place[3] + dy
            box = None if (x1, y1) == (x2, y2) else (x1, y1, x2, y2)
            id_ = str(item.get("id") or i)
            if _many(item):
                id_ = f"{id_}/{record.rsplit(' ', 1)[-1]}"
            figures.append(Figure(id_, (x1 + x2) / 2, (y1 + y2) / 2, label, box))
    except DetectionsError as error:
        raise LabelError(error.problems) from error
    if problems:
        raise LabelError(problems)
    return tuple(figures)


def read_dataset(
    paths: str | Path | Iterable[Path],
    *,
    images: Mapping[str, Path] | None = None,
    mpp: float | None = None,
    offsets_px: Mapping[str, tuple[float, float]] | None = None,
    name: str = "",
) -> Dataset:
    """Read labels of several images, one ``.geojson`` each (or all in a folder), as a Dataset.

    A case is named as its file, or as its folder if the file is called ``detections.geojson`` or
    the like. Raises LabelError with everything that is wrong.
    """
    source = paths if isinstance(paths, str | Path) else ""
    files = _files(paths)
    problems: list[Problem] = []
    cases = []
    for path in files:
        case = image_name(path)
        try:
            figures = read_figures(path, offset_px=(offsets_px or {}).get(case, (0.0, 0.0)))
        except LabelError as error:
            problems += error.problems
            continue
        cases.append(Case(case, image=(images or {}).get(case), mpp=mpp, figures=figures))
    if problems:
        raise LabelError(problems)
    return Dataset(cases, name=name, source=str(source))


def _files(paths: str | Path | Iterable[Path]) -> list[Path]:
    if not isinstance(paths, str | Path):
        return list(paths)
    folder = Path(paths)
    if folder.is_file():
        return [folder]
    found = sorted(path for path in folder.rglob("*.geojson") if path.name != "hotspots.geojson")
    if not found:
        raise LabelError.of(folder, "holds no .geojson file")
    return found


Place = tuple[float, float, float, float]


def _places(
    path: Path, problems: list[Problem]
) -> Iterator[tuple[str, Place, Label, dict[str, Any]]]:
    """Yield record, box (a point is a box without size), label and feature of every figure."""
    data = load_json(path)
    if not looks_like(data):
        raise DetectionsError.of(
            path,
            "is not GeoJSON of features",
            way_out="in QuPath: File > Export objects as GeoJSON",
        )
    for record, item in _flat(data, ""):
        name = _class_of(item)
        if name is not None and name.endswith("*"):
            continue
        label = label_of(name) if name else None
        if label is None:
            told = f"has the class {name!r}, which is no label" if name else "has no class"
            way_out = f"classify it as {_WORDS}; a class that ends in * is left out"
            problems.append(Problem(str(path), record, told, way_out))
            continue
        found = _geometry(item.get("geometry"))
        if found is None:
            message = "is neither points nor polygons of finite numbers"
            problems.append(Problem(str(path), record, message))
            continue
        for part, place in enumerate(found, 1):
            yield (f"{record} part {part}" if len(found) > 1 else record), place, label, item


def _flat(data: Any, inside: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield features and the features inside them; the record is the id or the number."""
    if isinstance(data, dict):
        data = data.get("features", []) if data.get("type") == "FeatureCollection" else [data]
    for i, item in enumerate(data if isinstance(data, list) else [], 1):
        if not isinstance(item, dict):
            item = {}
        record = f"{inside}feature {item.get('id') or i}"
        properties = item.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        if properties.get("objectType") != "root":
            yield record, item
        for key in ("childObjects", "children"):
            if isinstance(properties.get(key), list):
                yield from _flat(properties[key], f"{record}, ")


def _class_of(item: dict[str, Any]) -> str | None:
    properties = item.get("properties")
    told = properties.get("classification") if isinstance(properties, dict) else None
    if isinstance(told, dict):
        names = told.get("names")
        told = told.get("name") or (names[-1] if isinstance(names, list) and names else None)
    return str(told) if told else None


def _many(item: dict[str, Any]) -> bool:
    return str(item.get("geometry", {}).get("type", "")).startswith("Multi")


def _geometry(geometry: Any) -> list[Place] | None:
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    try:
        at = geometry["coordinates"]
        if kind == "Point":
            return [_bounds([at])]
        if kind == "MultiPoint":
            return [_bounds([point]) for point in at]
        if kind == "Polygon":
            return [_bounds(at[0])]
        if kind == "MultiPolygon":
            return [_bounds(polygon[0]) for polygon in at]
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    return None


def _bounds(points: Any) -> Place:
    xs, ys = zip(*((finite(p[0]), finite(p[1])) for p in points), strict=True)
    if None in xs or None in ys:
        raise ValueError("not finite")
    return min(xs), min(ys), max(xs), max(ys)


def _score(item: dict[str, Any]) -> object:
    measured = item.get("properties", {}).get("measurements")
    if isinstance(measured, list):
        measured = {m.get("name"): m.get("value") for m in measured if isinstance(m, dict)}
    if not isinstance(measured, dict):
        return None
    words = {str(name).lower(): value for name, value in measured.items()}
    value = next((words[name] for name in _SCORES if name in words), None)
    return round(value, SCORE_DECIMALS) if isinstance(value, float) else value
