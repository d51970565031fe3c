"""Reads QuPath's GeoJSON: figures that somebody drew, or corrected after a detector.

One file an image, named as the image (``slide.geojson``, ``slide.svs.geojson``), or in a folder of
that name if it is called ``detections.geojson`` or the like. A file says that somebody looked at
its image, so each is a labelled case, without figures too.

QuPath shows a slide that tells bounds (``openslide.bounds-x``, ``-y``: Mirax, some Hamamatsu) from
the corner of these bounds. Where the image is at hand, positions are moved back by them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from metaphase.errors import LabelError, Problem
from metaphase.figures import LABELS, Figure, Label
from metaphase.labels.dataset import Case
from metaphase.labels.reading import Reading, case_id, image_name, label_of
from metaphase.labels.textfile import read_json
from metaphase.labels.values import finite

CLASSES: dict[Label, str] = {
    Label.MITOTIC: "Mitotic figure",
    Label.HARD_NEGATIVE: "Hard negative",
}
"""Names of the labels as QuPath classifications."""

OTHERS = ("hotspots.geojson", "tissue.geojson", "roi.geojson")
"""Files that lie beside detections and hold no figures."""

_WORDS = " or ".join(CLASSES[label] for label in LABELS)


def read_qupath(path: Path) -> Reading:
    """Read one file, or all of a folder, as labelled cases."""
    reading = Reading(path, "qupath")
    for file in geojson_files(path):
        name = image_name(file)
        try:
            figures = _figures(file, reading.problems, (0.0, 0.0))
        except LabelError as error:
            reading.problems += error.problems
            continue
        reading.cases.append(Case(case_id(name), image=Path(name), figures=figures))
    reading.drop_doubles()
    return reading


def geojson_files(path: Path) -> list[Path]:
    """Return the files of figures in a folder, or the one file. Raises LabelError."""
    if not path.is_dir():
        return [path]
    found = sorted(file for file in path.rglob("*.geojson") if file.name not in OTHERS)
    if not found:
        raise LabelError.of(path, "holds no .geojson file")
    return found


def move_to_bounds(reading: Reading) -> None:
    """Shift the figures of slides that tell bounds, as soon as their images are known."""
    for i, case in enumerate(reading.cases):
        offset = bounds_of(case.image) if case.image is not None else (0.0, 0.0)
        if offset != (0.0, 0.0):
            figures = tuple(moved(figure, offset) for figure in case.figures)
            reading.cases[i] = replace(case, figures=figures)
            told = f"moved by the slide's bounds, {offset[0]:g}, {offset[1]:g} px, as QuPath does"
            reading.note(f"case {case.id}", told)


def moved(figure: Figure, offset_px: tuple[float, float]) -> Figure:
    """Return a figure shifted by x, y."""
    dx, dy = offset_px
    box = figure.box and (
        figure.box[0] + dx, figure.box[1] + dy, figure.box[2] + dx, figure.box[3] + dy
    )  # fmt: skip
    return replace(figure, x_px=figure.x_px + dx, y_px=figure.y_px + dy, box=box)


def bounds_of(image: Path) -> tuple[float, float]:
    """Return the corner of a slide's bounds; 0, 0 where it tells none or is not there."""
    import openslide

    try:
        with openslide.OpenSlide(str(image)) as slide:
            return bounds_offset(slide.properties)
    except (openslide.OpenSlideError, OSError):
        return 0.0, 0.0


def bounds_offset(properties: Mapping[str, str]) -> tuple[float, float]:
    """Return the corner of a slide's bounds from its tags, or 0, 0."""
    x, y = (finite(properties.get(f"openslide.bounds-{axis}")) for axis in "xy")
    return x or 0.0, y or 0.0


def looks_like(data: Any) -> bool:
    """Tell whether JSON is GeoJSON as QuPath writes it."""
    if isinstance(data, dict):
        return data.get("type") in ("FeatureCollection", "Feature")
    return isinstance(data, list) and all(
        isinstance(d, dict) and d.get("type") == "Feature" for d in data
    )


def read_figures(
    path: str | Path, *, offset_px: tuple[float, float] = (0.0, 0.0)
) -> tuple[Figure, ...]:
    """Read labels, for instance a file of detections that somebody corrected in QuPath.

    A figure's id is QuPath's. Raises LabelError with every feature that is wrong.
    """
    path = Path(path)
    problems: list[Problem] = []
    figures = _figures(path, problems, offset_px)
    if problems:
        raise LabelError(problems)
    return figures


def _figures(
    path: Path, problems: list[Problem], offset_px: tuple[float, float]
) -> tuple[Figure, ...]:
    figures = []
    dx, dy = offset_px
    for i, (record, place, label, item) in enumerate(places(path, problems), 1):
        x1, y1, x2, y2 = place[0] + dx, place[1] + dy, place[2] + dx, place[3] + dy
        box = None if (x1, y1) == (x2, y2) else (x1, y1, x2, y2)
        id_ = str(item.get("id") or i)
        if _many(item):
            id_ = f"{id_}/{record.rsplit(' ', 1)[-1]}"
        figures.append(Figure(id_, (x1 + x2) / 2, (y1 + y2) / 2, label, box))
    return tuple(figures)


Place = tuple[float, float, float, float]


def places(
    path: Path, problems: list[Problem]
) -> Iterator[tuple[str, Place, Label, dict[str, Any]]]:
    """Yield record, box (a point is a box without size), label and feature of every figure.

    What is wrong is added to ``problems``. Raises LabelError for a file of something else.
    """
    data = read_json(path)
    if not looks_like(data):
        raise LabelError.of(
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
