from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from metaphase.cli.exchange import app
from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError
from metaphase.exchange.read import kind_of, read_detections
from metaphase.figures import Detections
from metaphase.provenance import Provenance


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b"):
        made = Provenance(f"{name}.tiff", 1000, 1000, 0.25, threshold=0.5)
        found = Detections([100, 200], [100, 200], [0.8, 0.3], provenance=made)
        save_detections(found, tmp_path / "found" / name)
    return tmp_path / "found"


@pytest.mark.parametrize(
    ("to", "name", "kind", "number"),
    [
        ("csv", "d.csv", "csv", 2),
        ("coco", "d.json", "coco", 2),
        ("sliderunner", "d.sqlite", "sliderunner", 1),
        ("qupath", "a.geojson", "qupath", 1),
        ("grandchallenge-2021", "a.json", "grandchallenge", 2),
        ("grandchallenge-2025", "a.json", "grandchallenge", 2),
        ("dicom", "a.dcm", "dicom", 1),
    ],
)
def test_every_format_and_back(folder, tmp_path, to, name, kind, number):
    if to == "dicom":
        pytest.importorskip("highdicom")
    result = run("convert", folder / "a", "--out", tmp_path / name, "--to", to)
    assert result.exit_code == 0
    assert kind_of(tmp_path / name) == kind
    (back,) = read_detections(tmp_path / name, mpp=0.25).values()
    assert len(back) == number
    run("convert", tmp_path / name, "--out", tmp_path / "ours", "--to", "metaphase", "--mpp", 0.25)
    (again,) = read_detections(tmp_path / "ours").values()
    assert again.points == pytest.approx(back.points, abs=0.005)


def test_many_slides_into_a_folder(folder, tmp_path):
    run(
        "convert",
        folder,
        "--out",
        tmp_path / "out",
        "--to",
        "qupath",
        "--all-scores",
        "--box-um",
        10,
    )
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["a.geojson", "b.geojson"]
    data = json.loads((tmp_path / "out" / "a.geojson").read_text())
    assert [f["geometry"]["type"] for f in data["features"]] == ["Polygon", "Polygon"]
    with pytest.raises(DetectionsError, match="cannot hold 2 slides"):
        run("convert", folder, "--out", tmp_path / "one.geojson", "--to", "qupath")


def test_another_operating_point(folder, tmp_path):
    run(
        "convert",
        folder / "a",
        "--out",
        tmp_path / "a.geojson",
        "--to",
        "qupath",
        "--threshold",
        0.2,
    )
    assert len(json.loads((tmp_path / "a.geojson").read_text())["features"]) == 2


def test_the_resolution_must_be_known(tmp_path):
    (tmp_path / "d.csv").write_text("x,y\n1,2\n")
    with pytest.raises(DetectionsError, match="--mpp"):
        run("convert", tmp_path / "d.csv", "--out", tmp_path / "d.json", "--to", "coco")
