"""Files corrected in QuPath are labels, wherever labels are read."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from metaphase.errors import LabelError
from metaphase.evaluation.evaluate import evaluate
from metaphase.figures import Detections, Figure, Label
from metaphase.labels.formats.qupath import moved
from metaphase.labels.read import load_dataset, read_labels
from metaphase.provenance import Provenance

NAMES = {Label.MITOTIC: "Mitotic figure", Label.HARD_NEGATIVE: "Hard negative"}


def feature(x, y, name="Mitotic figure", **more):
    return {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [x, y]},
        "properties": {"objectType": "annotation", "classification": {"name": name}},
        **more,
    }


def save(path, features):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def test_a_corrected_file_is_recognised_by_its_content(tmp_path):
    features = [feature(10, 20), feature(30, 40, "Hard negative"), feature(1, 1, "Hotspot*")]
    path = save(tmp_path / "slide.svs.geojson", features)
    (tmp_path / "slide.svs").write_bytes(b"pixels")
    dataset = load_dataset(path)
    (case,) = dataset
    assert (case.id, case.labelled, case.image) == ("slide", True, tmp_path / "slide.svs")
    assert [(f.x_px, f.y_px, f.label) for f in case.figures] == [
        (10, 20, Label.MITOTIC), (30, 40, Label.HARD_NEGATIVE),
    ]  # fmt: skip
    # The name tells nothing: a bare list of features in a .json is the same.
    other = tmp_path / "slide.json"
    other.write_text(json.dumps(features))
    assert load_dataset(other)["slide"].figures[0].x_px == 10


def test_a_figure_left_of_its_image_is_a_problem(tmp_path):
    path = save(tmp_path / "a.geojson", [feature(-50, 20, id="x")])
    with pytest.raises(LabelError, match="annotation x: lies outside"):
        load_dataset(path, mpp=0.25)


def test_an_emptied_file_says_that_there_is_nothing(tmp_path):
    (case,) = load_dataset(save(tmp_path / "a.geojson", []), mpp=0.25)
    assert (case.labelled, case.figures, case.mpp) == (True, (), 0.25)


def test_a_folder_of_files(tmp_path):
    for name, n in (("a", 1), ("b", 2)):
        save(tmp_path / f"{name}.geojson", [feature(k, k, id=f"{name}{k}") for k in range(n)])
    save(tmp_path / "hotspots.geojson", [feature(9, 9)])
    dataset = load_dataset(tmp_path)
    assert {case.id: case.count() for case in dataset} == {"a": 1, "b": 2}


def test_what_a_detector_wrote_is_not_taken_for_labels(tmp_path):
    save(tmp_path / "found" / "a" / "detections.geojson", [feature(1, 2)])
    (tmp_path / "found" / "a" / "detections.json").write_text("{}")
    with pytest.raises(LabelError, match="no labels until"):
        load_dataset(tmp_path / "found")
    assert load_dataset(tmp_path / "found", kind="qupath").ids == ("a",)
    assert load_dataset(tmp_path / "found" / "a" / "detections.geojson").ids == ("a",)


def test_two_files_of_one_image_in_different_folders_are_refused(tmp_path):
    for folder in ("x", "y"):
        save(tmp_path / folder / "a.geojson", [feature(1, 2)])
    (tmp_path / "a.svs").write_bytes(b"pixels")
    with pytest.raises(LabelError, match=r"case x/a, y/a: have the same image, a\.svs"):
        load_dataset(tmp_path)


def test_all_that_is_wrong_is_told_at_once(tmp_path):
    save(tmp_path / "a.geojson", [feature(1, 2, "Lymphocyte"), feature("x", 2)])
    (tmp_path / "b.geojson").write_text('{"type": "Topology"}')
    reading = read_labels(tmp_path)
    assert len(reading.problems) == 3
    assert "classify it as" in reading.problems[0].way_out


def test_slides_with_bounds_are_moved_back(tmp_path, monkeypatch):
    path = save(tmp_path / "a.geojson", [feature(1, 2)])
    (tmp_path / "a.mrxs").write_bytes(b"pixels")
    asked = []
    monkeypatch.setattr(
        "metaphase.labels.formats.qupath.bounds_of_file",
        lambda image: asked.append(image) or (40.0, 8.0),
    )
    reading = read_labels(path)
    assert asked == [tmp_path / "a.mrxs"]
    assert (reading.cases[0].figures[0].x_px, reading.cases[0].figures[0].y_px) == (41, 10)
    assert "bounds" in reading.notes[0].message


@given(
    st.floats(-1e5, 1e5), st.floats(-1e5, 1e5), st.floats(1, 100),
    st.tuples(st.floats(-1e4, 1e4), st.floats(-1e4, 1e4)),
)  # fmt: skip
def test_moving_keeps_the_box_around_the_point(x, y, side, offset):
    box = (x - side, y - side, x + side, y + side)
    there = moved(Figure("1", x, y, box=box), offset)
    assert there.box[0] - there.x_px == pytest.approx(-side, abs=1e-6)
    assert moved(Figure("1", x, y), offset).box is None


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 10**7), st.integers(0, 10**7), st.sampled_from(list(Label))),
        max_size=20,
    )
)
def test_every_figure_comes_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("q") / "a.geojson"
    save(path, [feature(x / 100, y / 100, NAMES[label]) for x, y, label in rows])
    (case,) = load_dataset(path)
    assert [(f.x_px, f.y_px, f.label) for f in case.figures] == [
        (x / 100, y / 100, label) for x, y, label in rows
    ]


def test_evaluate_takes_it(tmp_path):
    features = [feature(100, 100), feature(500, 500), feature(900, 100, "Hard negative")]
    dataset = load_dataset(save(tmp_path / "a.geojson", features), mpp=0.25)
    made = Provenance("a.tiff", 1000, 1000, 0.25, threshold=0.5)
    found = {"a": Detections([101, 300], [100, 300], [0.9, 0.9], provenance=made)}
    counts = evaluate(found, dataset).overall.counts
    assert (counts.tp, counts.fp, counts.fn) == (1, 1, 1)


def test_a_subclass_says_that_a_figure_is_atypical(tmp_path):
    names = [
        "Mitotic figure",
        "Mitotic figure: Atypical",
        "Tumor: Mitosis: Atypical",
        "Hard negative",
    ]
    features = [feature(10 * i, 5, name) for i, name in enumerate(names)]
    dataset = load_dataset(save(tmp_path / "a.geojson", features))
    assert [f.atypical for f in dataset.cases[0].figures] == [None, 1.0, 1.0, None]


def test_suffixes_in_upper_case_and_gzip_in_a_folder(tmp_path):
    text = json.dumps({"type": "FeatureCollection", "features": [feature(1, 2)]})
    (tmp_path / "A.GEOJSON.GZ").write_bytes(gzip.compress(text.encode()))
    save(tmp_path / "b.GeoJSON", [feature(3, 4)])
    save(tmp_path / "Tissue.GEOJSON", [feature(3, 4, None)])
    save(tmp_path / "._b.GeoJSON", [])
    assert [(case.id, len(case.figures)) for case in load_dataset(tmp_path)] == [("A", 1), ("b", 1)]


def test_files_of_one_name_in_several_folders_are_cases_of_their_own(tmp_path):
    for place in ("p1/01.geojson", "p2/01.geojson", "p3/02/detections.geojson", "p3/03.geojson"):
        save(tmp_path / "labels" / place, [feature(1, 2)])
    for place in ("p1/01.png", "p2/01.PNG", "02.png", "03.png"):
        (tmp_path / "images" / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / place).write_bytes(b"pixels")
    dataset = load_dataset(tmp_path / "labels", images=tmp_path / "images")
    found = {case.id: case.image.relative_to(tmp_path / "images").as_posix() for case in dataset}
    assert found == {
        "p1/01": "p1/01.png", "p2/01": "p2/01.PNG", "02": "02.png", "03": "03.png",
    }  # fmt: skip


def test_two_files_of_one_image_in_a_folder_are_a_problem(tmp_path):
    for name in ("a.geojson", "a.svs.geojson"):
        save(tmp_path / name, [])
    with pytest.raises(LabelError, match=r"case a: appears 2 times"):
        load_dataset(tmp_path)
