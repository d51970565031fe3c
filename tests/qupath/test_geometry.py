from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import InputError
from metaphase.qupath.geometry import boxes_of, point, read_polygons, rectangle

RING = [[1, 2], [5, 2], [5, 9], [1, 9], [1, 2]]
number = st.floats(-1e6, 1e6)


def geometry(kind: str, coordinates: Any) -> dict[str, Any]:
    return {"type": kind, "coordinates": coordinates}


@pytest.mark.parametrize(
    ("value", "boxes"),
    [
        (point(3, 4), [(3, 4, 3, 4)]),
        (geometry("Point", [3, 4, 0]), [(3, 4, 3, 4)]),
        (geometry("MultiPoint", [[1, 2], [3, 4]]), [(1, 2, 1, 2), (3, 4, 3, 4)]),
        (geometry("Polygon", [RING, [[2, 3], [3, 3], [2, 3]]]), [(1, 2, 5, 9)]),
        (geometry("MultiPolygon", [[RING], [RING]]), [(1, 2, 5, 9)] * 2),
        (
            {
                "type": "GeometryCollection",
                "geometries": [point(1, 1), geometry("Polygon", [RING])],
            },
            [(1, 1, 1, 1), (1, 2, 5, 9)],
        ),
    ],
)
def test_boxes_of_every_kind(value: dict[str, Any], boxes: list[Any]) -> None:
    assert boxes_of(value) == boxes


@pytest.mark.parametrize(
    "value",
    [
        None,
        [],
        {},
        geometry("LineString", RING),
        geometry("Point", ["a", 1]),
        geometry("Point", [float("nan"), 1]),
        geometry("Point", [1e300, 1]),
        geometry("Point", 3),
        geometry("Polygon", []),
        geometry("Polygon", [[]]),
        geometry("Polygon", {"a": 1}),
        {"type": "GeometryCollection", "geometries": []},
        {"type": "GeometryCollection", "geometries": 3},
        {"type": ["Point"], "coordinates": [1, 2]},
    ],
)
def test_geometries_that_are_not_valid(value: object) -> None:
    assert boxes_of(value) is None


@given(number, number, st.floats(0, 1e4), st.floats(0, 1e4))
def test_a_rectangle_is_its_own_box(x: float, y: float, width: float, height: float) -> None:
    box = (x, y, x + width, y + height)
    assert boxes_of(rectangle(box)) == [box]


def test_polygons_wherever_they_are(tmp_path: Path) -> None:
    path = tmp_path / "roi.geojson"
    polygon = geometry("Polygon", [RING])
    feature = {"type": "Feature", "geometry": polygon, "properties": {}}
    for content in (polygon, [feature], {"type": "FeatureCollection", "features": [feature]}):
        path.write_text(json.dumps(content))
        assert read_polygons(path) == [[[tuple(map(float, p)) for p in RING]]]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": []}))
    with pytest.raises(InputError, match="no polygon"):
        read_polygons(path)


def test_an_outline_farther_than_any_image_is_refused(tmp_path):
    path = tmp_path / "far.geojson"
    ring = [[0, 0], [1e200, 0], [0, 1e200], [0, 0]]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    with pytest.raises(InputError, match=r"far\.geojson.*farther than any image"):
        read_polygons(path)
