"""Other people's files: real ones, older forms, and bad ones."""

from __future__ import annotations

import json
import re

import pytest

from metaphase.errors import DetectionsError, LabelError
from metaphase.exchange import coco, csv, dicom, grandchallenge, qupath, sliderunner
from metaphase.exchange.importedfile import ImageFacts
from metaphase.exchange.read import kind_of, read_detections
from metaphase.figures import Detections, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.read import load_dataset
from metaphase.provenance import Provenance
from metaphase.qupath.bounds import bounds_offset


def records(error):
    return [problem.record for problem in error.value.problems]


@pytest.mark.needs_data
def test_grand_challenge_2021(data_dir):
    found = read_detections(data_dir / "grand_challenge_2021_output.json", mpp=0.25)
    (some,) = found.values()
    assert len(some) == 4
    assert len(some.above_threshold()) == 2
    assert some.x_px[0] == pytest.approx(0.14647372756903898 * 4000)


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("name", "counted", "candidates"),
    [("interf0/mitotic-figures.json", 15, 33), ("expected_output.json", 26, 225)],
)
def test_grand_challenge_2025(data_dir, name, counted, candidates):
    path = data_dir / "grand_challenge_2025" / "output" / name
    assert kind_of(path) == "grandchallenge"
    (some,) = read_detections(path, mpp=0.25).values()
    assert (len(some.above_threshold()), len(some)) == (counted, candidates)


@pytest.mark.needs_data
def test_grand_challenge_needs_a_resolution(data_dir):
    with pytest.raises(DetectionsError, match="--mpp"):
        read_detections(data_dir / "grand_challenge_2021_output.json")


def test_names_that_are_no_threshold_are_labels(tmp_path):
    made = Provenance("a", 100, 100, 0.25, threshold=0.1)
    found = Detections([1, 2], [1, 2], [0.3, 0.9], [0, 1], provenance=made)
    grandchallenge.write(found, tmp_path / "a.json")
    (back,) = grandchallenge.read(tmp_path / "a.json", ImageFacts(0.25)).values()
    assert back.labels == [Label.HARD_NEGATIVE, Label.MITOTIC]


@pytest.mark.needs_data
def test_midog_as_a_sliderunner_database(data_dir):
    found = read_detections(data_dir / "midog" / "MIDOG.sqlite", mpp=0.25)
    assert len(found) == 200
    assert sum(len(d.with_label()) for d in found.values()) == 1721
    assert sum(len(d.with_label(Label.HARD_NEGATIVE)) for d in found.values()) == 2714


def test_labels_know_the_resolution(tmp_path):
    (tmp_path / "d.csv").write_text("image,x,y,probability\n7.tiff,1,2,0.5\n")
    dataset = Dataset([Case("7", mpp=0.3, width_px=50, height_px=60)])
    (some,) = read_detections(tmp_path / "d.csv", dataset=dataset).values()
    made = some.provenance
    assert (made.mpp, made.width_px, made.height_px) == (0.3, 50, 60)


@pytest.mark.parametrize(
    ("text", "x"),
    [
        ("x_px;y_px;confidence;class\n10;20;0.5;mitosis\n", 10),
        ("slide\tx\ty\nabc\t10\t20\n", 10),
        ("X_UM,Y_UM\n10,20\n", 40),
        ("x_mm,y_mm,score\n0.01,0.02,1\n", 40),
        ("\ufeffcx,cy\n10,20\n", 10),
    ],
)
def test_csv_by_usual_names(tmp_path, text, x):
    path = tmp_path / "d.csv"
    path.write_text(text, encoding="utf-8")
    (some,) = read_detections(path, mpp=0.25).values()
    assert some.x_px[0] == pytest.approx(x)
    assert some.y_px[0] == pytest.approx(2 * x)
    assert some.labels == [Label.MITOTIC]


def test_csv_names_every_bad_line(tmp_path):
    path = tmp_path / "d.csv"
    path.write_text(
        "image,x_px,y_px,score,label\na,1,2,0.5,MF\na,nan,2,0.5,MF\na,1,2,1.5,MF\na,1,2,0.5,cat\na,1,,1,MF\n"
    )
    with pytest.raises(DetectionsError) as error:
        csv.read(path, ImageFacts(0.25))
    assert records(error) == ["line 3", "line 4", "line 5", "line 6"]


def test_csv_that_is_none(tmp_path):
    path = tmp_path / "d.csv"
    for content in (b"", b"a,b\n1,2\n", b"\xff\xfe\x00", b'x,y\n"1,2\n'):
        path.write_bytes(content)
        with pytest.raises(DetectionsError):
            csv.read(path, ImageFacts(0.25))


def test_qupath_older_and_other_forms(tmp_path):
    point = {"type": "Point", "coordinates": [1, 2, 0]}
    features = [
        {
            "type": "Feature",
            "id": "PathAnnotationObject",
            "geometry": point,
            "properties": {
                "classification": {"name": "Mitosis", "colorRGB": -377282},
                "measurements": [{"name": "Score", "value": 0.25}],
            },
        },
        {
            "type": "Feature",
            "geometry": {"type": "MultiPoint", "coordinates": [[3, 4], [5, 6]]},
            "properties": {"classification": {"names": ["Tumor", "Hard negative"]}},
        },
        {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [9, 0], [9, 9], [0, 0]]]},
            "properties": {
                "classification": {"name": "Region*"},
                "childObjects": [
                    {
                        "type": "Feature",
                        "geometry": point,
                        "properties": {"classification": {"name": "Mitotic figure"}},
                    }
                ],
            },
        },
    ]
    path = tmp_path / "case.geojson"
    path.write_text(json.dumps(features))
    (some,) = read_detections(path, mpp=0.25).values()
    assert sorted(zip(some.x_px, some.score, some.labels, strict=True)) == [
        (1, 0.25, Label.MITOTIC),
        (1, 1, Label.MITOTIC),
        (3, 1, Label.HARD_NEGATIVE),
        (5, 1, Label.HARD_NEGATIVE),
    ]


def test_qupath_corrections_come_back_as_labels(tmp_path, monkeypatch):
    made = Provenance("slide.mrxs", 5000, 5000, 0.25)
    found = Detections([100, 200, 300], [10, 20, 30], [0.9, 0.8, 0.7], provenance=made)
    path = tmp_path / "slide" / "detections.geojson"
    offset = bounds_offset({"openslide.bounds-x": "40", "openslide.bounds-y": "8"})
    qupath.write(found, path, offset_px=offset)
    data = json.loads(path.read_text())
    assert data["features"][0]["geometry"]["coordinates"] == [60, 2]
    del data["features"][1]  # rejected
    data["features"][1]["properties"]["classification"]["name"] = "Hard negative"
    data["features"].append(
        {
            "type": "Feature",
            "geometry": {"type": "Point", "coordinates": [400, 40]},
            "properties": {"classification": {"name": "Mitotic figure"}},
        }
    )
    path.write_text(json.dumps(data))
    (tmp_path / "slides").mkdir()
    (tmp_path / "slides" / "slide.mrxs").write_bytes(b"pixels")
    monkeypatch.setattr("metaphase.labels.formats.qupath.bounds_of_file", lambda image: offset)
    case = load_dataset(path, images=tmp_path / "slides", mpp=0.25)["slide"]
    assert (case.labelled, case.mpp, case.image.name) == (True, 0.25, "slide.mrxs")
    assert [(f.x_px, f.y_px, f.label) for f in case.figures] == [
        (100, 10, Label.MITOTIC),
        (300, 30, Label.HARD_NEGATIVE),
        (440, 48, Label.MITOTIC),
    ]
    assert len({f.id for f in case.figures}) == 3


def test_qupath_names_every_bad_feature(tmp_path):
    def feature(name="Mitotic figure", geometry=None):
        geometry = geometry or {"type": "Point", "coordinates": [1, 2]}
        return {
            "type": "Feature",
            "geometry": geometry,
            "properties": {"classification": {"name": name}},
        }

    items = [
        feature(),
        feature("Lymphocyte"),
        feature(geometry={"type": "LineString", "coordinates": [[1, 2], [3, 4]]}),
        feature(geometry={"type": "Point", "coordinates": ["a", 2]}),
        {"type": "Feature", "geometry": None, "properties": None},
        feature(geometry={"type": "Polygon", "coordinates": []}),
    ]
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": items}))
    for reader, kind in ((load_dataset, LabelError), (qupath.read, DetectionsError)):
        with pytest.raises(kind) as error:
            reader(path) if reader is load_dataset else reader(path, ImageFacts(0.25))
        assert records(error) == [f"feature {i}" for i in range(2, 7)]


def test_dicom_refers_to_the_slide(tmp_path):
    pydicom = pytest.importorskip("pydicom")
    pytest.importorskip("highdicom")
    found = Detections([5.25], [6.5], [0.75], provenance=Provenance("s.dcm", 90, 80, 0.5))
    image = dicom._stand_in(found)
    image.StudyInstanceUID = pydicom.uid.generate_uid()
    source = tmp_path / "s.dcm"
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image.save_as(source, enforce_file_format=True)
    dicom.write(found, tmp_path / "a.dcm", source=source)
    written = pydicom.dcmread(tmp_path / "a.dcm")
    told = written.ReferencedImageSequence[0].ReferencedSOPInstanceUID
    assert told == image.SOPInstanceUID
    assert written.StudyInstanceUID == image.StudyInstanceUID
    other = Detections([1], [1], [0.5], provenance=Provenance("s.dcm", 77, 77, 0.5))
    with pytest.raises(DetectionsError, match="77 x 77"):
        dicom.write(other, tmp_path / "b.dcm", source=source)
    with pytest.raises(DetectionsError, match="no Microscopy Bulk"):
        dicom.read(source)


@pytest.mark.needs_data
def test_dicom_without_what_a_reference_needs(tmp_path, data_dir):
    pytest.importorskip("highdicom")
    found = Detections([5.25], [6.5], [0.75], provenance=Provenance("s.dcm", 0, 0, 0.5))
    with pytest.raises(DetectionsError, match="lacks FrameOfReferenceUID"):
        dicom.write(found, tmp_path / "a.dcm", source=data_dir / "slides" / "small_dicom.dcm")


def test_dicom_has_no_empty_annotations(tmp_path):
    pytest.importorskip("highdicom")
    empty = Detections.empty(Provenance("s", 9, 9, 0.25))
    with pytest.raises(DetectionsError, match="no detections"):
        dicom.write(empty, tmp_path / "a.dcm")


@pytest.mark.parametrize("content", [b"", b"{", b"[1, 2]", b"{}", b"\x00\x01", b"hello\n", b"null"])
def test_files_that_are_nothing_of_the_kind(tmp_path, content):
    path = tmp_path / "file.json"
    path.write_bytes(content)
    with pytest.raises(DetectionsError):
        read_detections(path, mpp=0.25)
    for module in (coco, grandchallenge, qupath, sliderunner):
        with pytest.raises(DetectionsError):
            module.read(path, ImageFacts(0.25))


def test_folders(tmp_path):
    with pytest.raises(DetectionsError, match="holds no detections"):
        read_detections(tmp_path)
    with pytest.raises(DetectionsError, match="not there"):
        read_detections(tmp_path / "none")
    with pytest.raises(DetectionsError, match="unknown kind"):
        read_detections(tmp_path, kind="word")
    for name in ("a", "b"):
        (tmp_path / f"{name}.csv").write_text("x,y\n1,2\n")
    assert list(read_detections(tmp_path, mpp=0.25)) == ["a", "b"]
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.csv").write_text("x,y\n1,2\n")
    assert list(read_detections(tmp_path, mpp=0.25)) == ["a", "b", "more/a"]


def test_folders_that_detect_wrote(tmp_path):
    from metaphase.detectionfile import save_detections

    found = Detections([1], [2], [0.5], provenance=Provenance("a.svs", 9, 9, 0.25))
    save_detections(found, tmp_path / "a")
    assert read_detections(tmp_path) == {"a": found}
    assert read_detections(tmp_path / "a") == {"a": found}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("a.png,1,2,0.5,1e-9,10,10", "1e-09 um/px is no resolution"),
        ("a.png,1e30,2,0.5,0.25,10,10", "is not a position"),
        ("a.png,1,2,0.5,0.25,1e300,10", "is no size"),
        ("a.png,1,2,0.5,0.25,-5,10", "is no size"),
    ],
)
def test_absurd_numbers_name_file_and_record(tmp_path, row, said):
    path = tmp_path / "all.csv"
    path.write_text(f"image,x_px,y_px,score,mpp,width_px,height_px\n{row}\n")
    with pytest.raises(DetectionsError, match=said) as caught:
        read_detections(path)
    assert re.search(r"all\.csv: (line 2|a\.png): ", str(caught.value))


def test_files_of_one_name_in_several_folders(tmp_path):
    feature = {
        "type": "Feature",
        "geometry": {"type": "Point", "coordinates": [1, 2]},
        "properties": {"classification": {"name": "Mitosis"}},
    }
    for place in ("p1/01.geojson", "p2/01.geojson", "p3/02.geojson"):
        (tmp_path / place).parent.mkdir()
        (tmp_path / place).write_text(json.dumps([feature]))
    assert set(read_detections(tmp_path, mpp=0.25)) == {"p1/01", "p2/01", "02"}
    (tmp_path / "p1" / "01.svs.geojson").write_text(json.dumps([feature]))
    with pytest.raises(DetectionsError, match=r"p1/01: is the second file"):
        read_detections(tmp_path, mpp=0.25)
