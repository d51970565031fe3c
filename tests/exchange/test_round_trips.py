"""Every format gives back what was written, within its own precision."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from metaphase.exchange import coco, csv, grandchallenge, qupath, sliderunner
from metaphase.exchange.importedfile import ImageFacts
from metaphase.exchange.read import kind_of, read_detections
from metaphase.figures import Detections, Label
from metaphase.provenance import Provenance
from tests.exchange.conftest import detections

ANY = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def same_rows(a, b):
    a, b = a.rounded(), b.rounded()
    assert np.array_equal(a.points, b.points)
    assert np.array_equal(a.score, b.score)
    assert np.array_equal(a.label, b.label)


def known(found):
    made = found.provenance
    return ImageFacts(made.mpp, (made.width_px, made.height_px))


@ANY
@given(one=detections("a.tiff"), two=detections("b.svs"))
@pytest.mark.parametrize("module", [csv, coco])
def test_tables_of_several_slides(tmp_path, module, one, two):
    path = tmp_path / "all"
    module.write({"a": one, "b": two}, path)
    found = module.read(path)
    assert list(found) == ["a", "b"]
    for before, after in ((one, found["a"]), (two, found["b"])):
        same_rows(before, after)
        for name in ("image", "width_px", "height_px", "mpp", "threshold"):
            assert getattr(before.provenance, name) == getattr(after.provenance, name)


@ANY
@given(one=detections("a.tiff"), two=detections("b.svs"))
def test_sliderunner(tmp_path, one, two):
    path = tmp_path / "all.sqlite"
    sliderunner.write({"a": one, "b": two}, path)
    assert kind_of(path) == "sliderunner"
    found = sliderunner.read(path, ImageFacts({"a": one.provenance.mpp, "b": two.provenance.mpp}))
    same_rows(one, found["a"])
    same_rows(two, found["b"])
    assert found["a"].provenance.width_px == one.provenance.width_px


@ANY
@given(
    found=detections(),
    box_um=st.sampled_from([None, 12.5]),
    offset=st.sampled_from([(0.0, 0.0), (1024.0, 77.5)]),
)
def test_qupath(tmp_path, found, box_um, offset):
    path = tmp_path / "slide.geojson"
    qupath.write(found, path, box_um=box_um, offset_px=offset)
    assert kind_of(path) == "qupath"
    (back,) = qupath.read(path, known(found), offset_px=offset).values()
    if box_um is None:
        same_rows(found, back)
    else:  # corners are rounded to 0.01 px, so the middle is good to that
        assert len(back) == len(found)
        order = np.lexsort((found.label, found.score))
        other = np.lexsort((back.label, back.score))
        assert np.array_equal(found.score[order], back.score[other])
    data = json.loads(path.read_text())
    for item in data["features"]:
        assert item["properties"]["objectType"] == "annotation"


@ANY
@given(found=detections(min_size=1), box_um=st.sampled_from([5.0, 12.5]))
def test_qupath_boxes_keep_their_centre(tmp_path, found, box_um):
    path = tmp_path / "slide.geojson"
    qupath.write(found.where([i == 0 for i in range(len(found))]), path, box_um=box_um)
    (back,) = qupath.read(path, known(found)).values()
    assert back.points[0] == pytest.approx(found.points[0], abs=0.0101)


@ANY
@given(found=detections(labels=(0,)), version=st.sampled_from(["2021", "2025"]))
def test_grand_challenge(tmp_path, found, version):
    path = tmp_path / "mitotic-figures.json"
    grandchallenge.write(found, path, version)
    assert kind_of(path) == "grandchallenge"
    (back,) = grandchallenge.read(path, known(found)).values()
    counted = found.above_threshold()
    same_rows(counted, back.above_threshold().with_label(Label.MITOTIC))
    assert len(back) == len(found)
    back_all = back.rounded()
    assert sorted(zip(back_all.x_px, back_all.y_px, back_all.score, strict=True)) == sorted(
        zip(found.x_px, found.y_px, found.score, strict=True)
    )


@ANY
@given(found=detections(min_size=1))
def test_dicom_read_back_by_highdicom(tmp_path, found):
    hd = pytest.importorskip("highdicom")
    from metaphase.exchange import dicom

    path = tmp_path / "slide.dcm"
    dicom.write(found, path)
    assert kind_of(path) == "dicom"
    theirs = hd.ann.annread(path)
    assert sum(g.number_of_annotations for g in theirs.get_annotation_groups()) == len(found)
    (back,) = dicom.read(path).values()
    same_rows(found, back)
    assert back.provenance.mpp == found.provenance.mpp
    assert back.provenance.threshold == found.provenance.threshold
    assert back.provenance.image == found.provenance.image


@ANY
@given(found=detections())
def test_the_door_knows_them_all(tmp_path, found):
    made = found.provenance
    csv.write({"s": found}, tmp_path / "d.csv")
    coco.write({"s": found}, tmp_path / "d.json")
    for name, kind in (("d.csv", "csv"), ("d.json", "coco")):
        assert kind_of(tmp_path / name) == kind
        (back,) = read_detections(tmp_path / name, mpp=made.mpp).values()
        same_rows(found, back)


def test_slides_without_detections_are_kept(tmp_path):
    from metaphase.figures import Detections
    from metaphase.provenance import Provenance

    empty = Detections.empty(Provenance("none.tiff", 10, 20, 0.25))
    for module, name in ((csv, "d.csv"), (coco, "d.json"), (sliderunner, "d.sqlite")):
        module.write({"none": empty}, tmp_path / name)
        (back,) = module.read(tmp_path / name, ImageFacts(0.25)).values()
        assert len(back) == 0
        assert back.provenance.image == "none.tiff"


@pytest.mark.needs_data
def test_sliderunner_has_the_schema_and_triggers_of_midog(tmp_path, data_dir):
    from metaphase.figures import Detections
    from metaphase.provenance import Provenance

    path = tmp_path / "d.sqlite"
    sliderunner.write(
        {"s": Detections([1.5], [2], [0.5], provenance=Provenance("s", 9, 9, 1))}, path
    )

    def shape(file):
        with closing(sqlite3.connect(f"file:{file}?mode=ro&immutable=1", uri=True)) as database:
            names = database.execute("SELECT type, name, tbl_name FROM sqlite_master").fetchall()
            tables = [n for t, n, _ in names if t == "table"]
            return set(names), {
                t: database.execute(f"PRAGMA table_info({t})").fetchall() for t in tables
            }

    ours, theirs = shape(path), shape(data_dir / "midog" / "MIDOG.sqlite")
    assert ours[0] == theirs[0]
    for table, columns in theirs[1].items():
        for mine, other in zip(ours[1][table], columns, strict=True):
            assert mine[:3] == other[:3], table


def test_sliderunner_triggers_work_with_the_functions(tmp_path):
    from metaphase.figures import Detections
    from metaphase.provenance import Provenance

    path = tmp_path / "d.sqlite"
    sliderunner.write(
        {"s": Detections([1.5], [2], [0.5], provenance=Provenance("s", 9, 9, 1))}, path
    )
    with closing(sqlite3.connect(path)) as database:
        with pytest.raises(sqlite3.OperationalError, match="no such function"):
            database.execute("UPDATE Annotations SET deleted = 1")
        sliderunner.register_functions(database)
        database.execute("UPDATE Annotations SET lastModified = 0")
        database.execute("INSERT INTO Annotations (slide) VALUES (1)")
        (guid,) = database.execute("SELECT guid FROM Annotations ORDER BY uid DESC").fetchone()
        assert len(guid) == 36


@pytest.mark.parametrize("module", [csv, coco, sliderunner])
def test_names_that_are_not_utf8(tmp_path, module):
    one = Detections([1], [2], [0.5], provenance=Provenance("a\udcff.png", 30, 20, 0.25))
    path = tmp_path / "all"
    module.write({"a\udcff": one}, path)
    found = module.read(path, ImageFacts(0.25))
    assert list(found) == ["a\udcff"]
    assert found["a\udcff"].provenance.image == "a\udcff.png"
    qupath.write(one, tmp_path / "one.geojson")
