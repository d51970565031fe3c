"""GeoJSON for QuPath: the points, their names, and the same file every time."""

from __future__ import annotations

import json
from types import SimpleNamespace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance
from metaphase.qupath.classes import COLOURS
from metaphase.qupath.features import (
    detection_features,
    save_geojson,
    write_detections,
    write_features,
)

MADE = Provenance("a.tif", 1000, 800, 0.25, image_sha256="ab", threshold=0.5)


def detections(**changes):
    found = Detections([10.125, 20, 30], [5, 6.5, 7], [0.9, 0.8, 0.1], [0, 1, 0], provenance=MADE)
    return found.with_provenance(**changes)


def test_is_what_qupath_reads(tmp_path):
    save_geojson(detections(), tmp_path / "d.geojson")
    data = json.loads((tmp_path / "d.geojson").read_text())
    assert data["type"] == "FeatureCollection"
    first, second = data["features"]  # the third is below the threshold
    assert first["type"] == "Feature"
    assert first["geometry"] == {"type": "Point", "coordinates": [10.12, 5.0]}
    assert first["properties"] == {
        "objectType": "annotation",
        "classification": {"name": "Mitotic figure", "color": list(COLOURS[Label.MITOTIC])},
        "measurements": {"score": 0.9},
    }
    assert second["properties"]["classification"]["name"] == "Hard negative"
    assert UUID(first["id"]) != UUID(second["id"])


def test_ids_depend_on_the_image_and_the_place_alone():
    ids = [item["id"] for item in detection_features(detections())]
    assert ids == [
        item["id"] for item in detection_features(detections(threshold=0.1, model="other"))
    ]
    assert not set(ids) & {item["id"] for item in detection_features(detections(image_sha256="cd"))}
    assert not set(ids) & {
        item["id"] for item in detection_features(detections(image_sha256="", image="b.tif"))
    }


def test_the_offset_is_subtracted():
    first = next(detection_features(detections(), offset_px=(10, 2)))
    assert first["geometry"]["coordinates"] == [0.12, 3.0]


def test_nothing_found_is_an_empty_collection(tmp_path):
    save_geojson(Detections.empty(MADE), tmp_path / "d.geojson")
    data = json.loads((tmp_path / "d.geojson").read_text())
    assert data == {"type": "FeatureCollection", "features": []}


def test_a_slide_with_bounds_is_counted_from_their_corner(tmp_path):
    slide = SimpleNamespace(properties={"openslide.bounds-x": "4", "openslide.bounds-y": "1.5"})
    save_geojson(detections(), tmp_path / "moved.geojson", slide)
    moved = json.loads((tmp_path / "moved.geojson").read_text())["features"]
    assert [f["geometry"]["coordinates"] for f in moved] == [[6.12, 3.5], [16.0, 5.0]]
    plain = detection_features(detections().above_threshold())
    assert [f["id"] for f in moved] == [f["id"] for f in plain]
    save_geojson(detections(), tmp_path / "same.geojson", SimpleNamespace(properties={}))
    save_geojson(detections(), tmp_path / "plain.geojson")
    assert (tmp_path / "same.geojson").read_text() == (tmp_path / "plain.geojson").read_text()


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(-9, 1e5), st.floats(0, 1e5), st.floats(0, 1), st.integers(0, 1)))
)
def test_detections_are_written_as_their_features(tmp_path_factory, rows):
    x, y, score, label = zip(*rows, strict=True) if rows else ((), (), (), ())
    found = Detections(x, y, score, label, provenance=MADE)
    folder = tmp_path_factory.mktemp("f")
    write_detections(found, folder / "a", offset_px=(3, 0.5))
    write_features(detection_features(found, offset_px=(3, 0.5)), folder / "b")
    assert (folder / "a").read_text() == (folder / "b").read_text()


def test_figures_that_are_called_atypical_have_a_subclass(tmp_path):
    made = detections(parameters={"atypical": {"threshold": 0.3}})
    found = made.with_atypical([0.31, float("nan"), 0.29])
    path = tmp_path / "d.geojson"
    write_detections(found, path)
    features = json.loads(path.read_text())["features"]
    assert features == list(detection_features(found))
    names = [f["properties"]["classification"]["name"] for f in features]
    assert names == ["Mitotic figure: Atypical", "Hard negative", "Mitotic figure"]
    assert [f["properties"]["measurements"] for f in features] == [
        {"score": 0.9, "atypical": 0.31},
        {"score": 0.8},
        {"score": 0.1, "atypical": 0.29},
    ]
