from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from metaphase.errors import DetectionsError
from metaphase.qupath.classes import CLASS_NAMES, is_ignored
from metaphase.qupath.objects import is_geojson, objects_of, read_objects


def feature(**properties: Any) -> dict[str, Any]:
    geometry = {"type": "Point", "coordinates": [1, 2]}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def test_children_come_after_their_parents(tmp_path: Path) -> None:
    child = feature(classification={"name": "Mitosis"}, childObjects=[feature()])
    parent = {**feature(classification="Tumor", childObjects=[child]), "id": "p"}
    root = feature(objectType="root", childObjects=[feature()])
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [parent, root]}))
    objects = list(read_objects(path))
    assert [item.record for item in objects] == [
        "feature p",
        "feature p, feature 1",
        "feature p, feature 1, feature 1",
        "feature 2, feature 1",
    ]
    assert [item.class_name for item in objects] == ["Tumor", "Mitosis", "", ""]


def test_measurements_and_derived_classes() -> None:
    items = [
        feature(measurements={"Score": 0.5}, classification={"names": ["Tumor", "Mitosis"]}),
        feature(measurements=[{"name": "Score", "value": 1}, {"name": 3}, "x"]),
    ]
    first, second = objects_of(items, "a.geojson")
    assert (first.measurements, first.class_name) == ({"score": 0.5}, "Tumor: Mitosis")
    assert second.measurements == {"score": 1}


def test_deep_nesting_is_read() -> None:
    item = feature()
    for _ in range(400):
        item = feature(childObjects=[item])
    objects = list(objects_of([item], "a.geojson"))
    assert len(objects) == 401
    assert len(objects[-1].record) < 250


@pytest.mark.parametrize("features", [None, "none", {"a": 1}, 3])
def test_without_a_list_of_features_nothing_is_read(features: object) -> None:
    with pytest.raises(DetectionsError, match="no list of features"):
        objects_of({"type": "FeatureCollection", "features": features}, "a", DetectionsError)
    with pytest.raises(DetectionsError, match="not GeoJSON"):
        objects_of({"type": "Topology"}, "a", DetectionsError)


def test_what_is_geojson() -> None:
    assert is_geojson([feature()])
    assert is_geojson(feature())
    assert not is_geojson([{"bbox": []}])
    assert not is_geojson("Feature")


def test_classes_that_are_left_out() -> None:
    assert is_ignored("Hotspot*")
    assert not any(map(is_ignored, CLASS_NAMES.values()))


def test_converted_features_give_the_same_objects(tmp_path: Path) -> None:
    child = feature(classification={"name": "Mitosis"}, children=[feature()])
    items = [
        {**feature(classification="Tumor", childObjects=[child]), "id": "p"},
        *[feature(objectType="root", childObjects=[feature()]), 3, None, {"id": 7}],
        feature(measurements={"Score": 0.5}, objectType="annotation"),
    ]
    path = tmp_path / "a.geojson"
    data = {"features": items, "type": "FeatureCollection"}
    path.write_text(json.dumps(data))
    assert list(read_objects(path)) == list(objects_of(data, path))
