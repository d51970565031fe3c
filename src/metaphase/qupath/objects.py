"""Reads the objects (annotations, detections, cells) of a GeoJSON file that QuPath exported.

Read are the forms of QuPath 0.2 and later: a FeatureCollection, a bare list of features, a single
feature, objects inside objects (``childObjects``), measurements as an object or as a list.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from metaphase.errors import InputError
from metaphase.qupath.geometry import Box, boxes_of
from metaphase.textfile import Convert, read_json
from metaphase.values import shown

_WAY_OUT = "in QuPath: File > Export objects as GeoJSON"
_CHILDREN = ("childObjects", "children")


@dataclass(slots=True)  # not frozen: that takes three times as long for each of a million
class QuPathObject:
    """One object. ``record`` names it in messages: its number, or its id where it has one.

    ``boxes`` are the bounding boxes (px, as QuPath counts) of its parts; None where the geometry is
    neither points nor polygons of finite numbers.
    """

    record: str
    id: str
    class_name: str
    boxes: tuple[Box, ...] | None
    measurements: Mapping[str, object]


def is_geojson(data: Any) -> bool:
    """Return whether JSON is GeoJSON as QuPath writes it."""
    if isinstance(data, dict):
        return data.get("type") in ("FeatureCollection", "Feature")
    return isinstance(data, list) and all(
        isinstance(item, dict) and item.get("type") == "Feature" for item in data
    )


class _Objects(tuple[QuPathObject, ...]):
    """The objects of one feature, which was converted while its file was parsed."""


def converted_features() -> Mapping[str, Convert]:
    """Return what ``read_json`` needs to turn each feature of a file into its objects at once."""
    numbers = count(1)
    return {"features": lambda item: _Objects(_objects_in(item, next(numbers)))}


def read_objects(path: str | Path, error: type[InputError] = InputError) -> Iterator[QuPathObject]:
    """Return all objects of a file, parents before children. Raises ``error`` at once."""
    return objects_of(read_json(path, error, convert=converted_features()), path, error)


def objects_of(
    data: Any, path: str | Path, error: type[InputError] = InputError
) -> Iterator[QuPathObject]:
    """Return all objects of parsed GeoJSON. Raises ``error`` where there is no list of features.

    The features may be converted (``converted_features``). Their list is emptied on the way, so
    that a million objects are not in memory twice.
    """
    if not is_geojson(data):
        raise error.of(path, "is not GeoJSON of features", way_out=_WAY_OUT)
    items = data
    if isinstance(data, dict):
        items = data.get("features") if data["type"] == "FeatureCollection" else [data]
    if not isinstance(items, list):
        raise error.of(path, "has no list of features", record="features", way_out=_WAY_OUT)
    return _objects_of_all(items)


def _objects_of_all(items: list[Any]) -> Iterator[QuPathObject]:
    items.reverse()
    number = 0
    while items:
        item = items.pop()
        number += 1
        yield from item if isinstance(item, _Objects) else _objects_in(item, number)


def _objects_in(item: Any, number: int) -> Iterator[QuPathObject]:
    """Yield the objects in a feature, which is the ``number``-th of its file."""
    feature = _dict(item)
    properties = _dict(feature.get("properties"))
    if any(key in properties for key in _CHILDREN) or properties.get("objectType") == "root":
        for record, inner in _flat([item], number):
            yield _object(record, inner)
    else:
        yield _object(f"feature {_text(feature.get('id')) or number}", feature)


def _flat(items: list[Any], first: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield record and feature, depth first; QuPath's root object is passed over."""
    waiting = [_named(items, "", first)]
    while waiting:
        record, item = next(waiting[-1], (None, {}))
        if record is None:
            waiting.pop()
            continue
        properties = _dict(item.get("properties"))
        if properties.get("objectType") != "root":
            yield record, item
        for key in _CHILDREN:
            if isinstance(properties.get(key), list):
                waiting.append(_named(properties[key], f"{record}, "))


def _named(items: list[Any], parent: str, first: int = 1) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield record and feature, numbered from ``first``."""
    # A parent's name is cut, so that deep nesting cannot make names without end.
    parent = parent if len(parent) <= 200 else f"...{parent[-200:]}"
    for number, value in enumerate(items, first):
        item = _dict(value)
        yield f"{parent}feature {_text(item.get('id')) or number}", item


def _object(record: str, item: dict[str, Any]) -> QuPathObject:
    properties = _dict(item.get("properties"))
    boxes = boxes_of(item.get("geometry"))
    return QuPathObject(
        record,
        _text(item.get("id")),
        _class_of(properties),
        None if boxes is None else tuple(boxes),
        _measurements(properties),
    )


def _class_of(properties: dict[str, Any]) -> str:
    """Return the class name, "" for none; a derived class is "Tumor: Mitosis"."""
    value = properties.get("classification")
    if isinstance(value, dict):
        names = value.get("names")
        if isinstance(names, list) and names and not value.get("name"):
            return ": ".join(_text(name) for name in names)
        value = value.get("name")
    return _text(value)


def _measurements(properties: dict[str, Any]) -> Mapping[str, object]:
    """Return the measurements, names in lower case."""
    values = properties.get("measurements")
    if isinstance(values, dict):
        return {sys.intern(name.lower()): value for name, value in values.items()}
    if not isinstance(values, list):
        return {}
    pairs = [(m.get("name"), m.get("value")) for m in values if isinstance(m, dict)]
    return {name.lower(): value for name, value in pairs if isinstance(name, str)}


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or value is False else shown(value)
