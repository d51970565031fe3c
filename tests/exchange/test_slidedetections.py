import json

import numpy as np
import pytest

from metaphase.counting.batch import CountedSlide, CountOptions, count_slides
from metaphase.counting.count import count_slide
from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError
from metaphase.exchange.slidedetections import slides_in, write_count
from metaphase.figures import Detections
from metaphase.provenance import Provenance


def found(name, n=3, **parameters):
    step = np.arange(n) * 50.0 + 4000
    provenance = Provenance(f"{name}.tiff", 10_000, 10_000, 0.25, parameters=parameters)
    return Detections(step, step, np.full(n, 0.8), provenance=provenance)


def test_folders_and_files_of_other_tools_together(tmp_path):
    save_detections(found("a"), tmp_path / "own" / "a")
    save_detections(found("b", 5), tmp_path / "own" / "b")
    (tmp_path / "theirs.csv").write_text("image,x,y,score\nc,10,10,0.9\nd,5,5,1\n")
    slides = list(slides_in([tmp_path / "own", tmp_path / "theirs.csv"], mpp=0.25))
    assert [(slide.name, len(slide.load())) for slide in slides] == [
        ("a", 3), ("b", 5), ("c", 1), ("d", 1),
    ]  # fmt: skip
    assert slides[0].folder == tmp_path / "own" / "a"
    assert slides[2].folder is None


def test_slides_of_one_name_are_called_with_their_folder(tmp_path):
    for n, place in enumerate(("p1/01", "p2/01", "p2/02", "other/p1/01")):
        save_detections(found("01", 3 + n), tmp_path / "out" / place)
    slides = slides_in([tmp_path / "out", tmp_path / "out" / "p2"])
    assert {slide.name: len(slide.load()) for slide in slides} == {
        "p1/01": 3, "p2/01": 4, "02": 5, "other/p1/01": 6,
    }  # fmt: skip


def test_slides_of_one_name_in_two_calls_of_detection(tmp_path):
    for name in ("first", "second"):
        save_detections(found("a"), tmp_path / name / "a")
    (tmp_path / "theirs.csv").write_text("image,x,y,score\na,10,10,0.9\n")
    paths = [tmp_path / "first", tmp_path / "second", tmp_path / "theirs.csv"]
    assert [slide.name for slide in slides_in(paths, mpp=0.25)] == [
        "first/a",
        "second/a",
        "theirs/a",
    ]
    again = [tmp_path / "theirs.csv", tmp_path / "theirs.csv"]
    with pytest.raises(DetectionsError, match="several slides have this name"):
        slides_in(again, mpp=0.25)


def test_a_folder_is_read_only_when_its_slide_is_loaded(tmp_path):
    save_detections(found("a"), tmp_path / "a")
    (tmp_path / "a" / "detections.csv").write_text("broken")
    slides = list(slides_in([tmp_path]))
    counted, failures = count_slides(slides, CountOptions())
    assert counted == []
    assert failures[0].name == "a"


def test_a_count_is_written_with_its_outline_in_the_coordinates_of_qupath(tmp_path):
    detections = found("a", bounds_px=[1000, 2000])
    slide = CountedSlide("a", count_slide(detections))
    write_count(slide, detections, tmp_path, density=True)
    data = json.loads((tmp_path / "count.json").read_text())
    outline = json.loads((tmp_path / "hotspots.geojson").read_text())
    ring = np.array(outline["features"][0]["geometry"]["coordinates"][0])
    window = data["hotspots"][0]["window"]
    corner = window["x_px"] - window["width_px"] / 2, window["y_px"] - window["height_px"] / 2
    np.testing.assert_allclose(ring.min(axis=0) + np.array([1000, 2000]), corner, atol=0.01)
    assert (tmp_path / "density.csv").read_text().startswith("x_px,")
