from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from typer.testing import CliRunner

from metaphase.cli import main
from metaphase.cli.count import app
from metaphase.detectionfile import save_detections
from metaphase.errors import InputError
from metaphase.figures import Detections
from metaphase.provenance import Provenance


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def folder(tmp_path):
    for name, n in (("a", 12), ("b", 0), ("c", 30)):
        step = np.arange(n) * 50.0 + 4000
        made = Provenance(f"{name}.tiff", 10_000, 10_000, 0.25, threshold=0.5)
        save_detections(
            Detections(step, step, np.full(n, 0.8), provenance=made), tmp_path / "found" / name
        )
    return tmp_path / "found"


def rows(out):
    with (out / "counts.csv").open(newline="") as stream:
        return {row["slide"]: row for row in csv.DictReader(stream)}


def test_a_table_of_slides(folder, tmp_path):
    result = run(folder, "--out", tmp_path / "out", "--validation", "80,20,20", "--density")
    output = "precision 0.800 and recall 0.800, from 80 true, 20 false and 20 missed figures"
    assert f"Intervals: {output} (as given)." in result.stdout
    assert result.exit_code == 0
    found = rows(tmp_path / "out")
    assert {k: v["count"] for k, v in found.items()} == {"a": "12", "b": "0", "c": "30"}
    assert found["c"]["score"] == "3"
    assert int(found["a"]["low"]) < 12 < int(found["a"]["high"])
    assert "could be" in result.stdout
    data = json.loads((tmp_path / "out" / "a" / "count.json").read_text())
    assert data["hotspots"][0]["count"] == 12
    outline = json.loads((tmp_path / "out" / "a" / "hotspots.geojson").read_text())
    assert outline["features"][0]["geometry"]["type"] == "Polygon"
    assert outline["features"][0]["properties"]["measurements"]["count"] == 12
    assert (tmp_path / "out" / "a" / "density.csv").read_text().startswith("x_px,")


def test_the_same_count_twice(folder, tmp_path):
    for name in ("one", "two"):
        run(folder, "--out", tmp_path / name, "--validation", "80,20,20", "--shape", "circle")
    files = [p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*")]
    assert len(files) == 8
    for file in files:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_failures_are_reported_and_the_other_slides_are_counted(folder, tmp_path):
    (folder / "a" / "detections.csv").write_text("x_px,y_px,score,label\nbroken\n")
    result = run(folder, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "a: " in result.stderr
    assert "line 2" in result.stderr
    assert set(rows(tmp_path / "out")) == {"b", "c"}


def test_a_field_diameter_sets_area_and_score(folder, tmp_path):
    run(folder / "a", "--out", tmp_path / "out", "--field-diameter", 0.55, "--shape", "circle")
    assert float(rows(tmp_path / "out")["a"]["window_mm2"]) == pytest.approx(2.3758, abs=1e-3)


def test_reviews_and_labels(folder, tmp_path):
    (tmp_path / "review.csv").write_text("image,x_px,y_px,state\na.tiff,4000,4000,rejected\n")
    (tmp_path / "figures.csv").write_text("case,x_px,y_px\na,4100,4100\na,4150,4150\n")
    (tmp_path / "cases.csv").write_text(
        "id,image,scanner,mpp,width_px,height_px\na,a.tiff,Aperio XT,0.25,10000,10000\n"
    )
    result = run(
        *(folder / "a", "--out", tmp_path / "out", "--review", tmp_path / "review.csv"),
        *("--labels", tmp_path / "figures.csv"),
    )
    assert result.exit_code == 0
    row = rows(tmp_path / "out")["a"]
    assert (row["count"], row["labelled"]) == ("11", "2")


def test_other_peoples_files(tmp_path):
    (tmp_path / "d.csv").write_text("image,x,y,score\ns1,10,10,0.9\ns1,20,20,0.9\ns2,5,5,1\n")
    result = run(tmp_path / "d.csv", "--mpp", 0.25, "--out", tmp_path / "out")
    assert result.exit_code == 0
    assert {k: v["count"] for k, v in rows(tmp_path / "out").items()} == {"s1": "2", "s2": "1"}


def test_validation_of_an_evaluation(folder, tmp_path):
    path = tmp_path / "scores.json"
    path.write_text(json.dumps({"overall": {"tp": 80, "fp": 20, "fn": 20}}))
    run(folder / "a", "--out", tmp_path / "one", "--validation", path)
    run(folder / "a", "--out", tmp_path / "two", "--validation", "80,20,20")
    assert rows(tmp_path / "one") == rows(tmp_path / "two")
    for output in ("80,20", "a,b,c", str(tmp_path / "none.json")):
        with pytest.raises(InputError, match="TP,FP,FN"):
            run(folder / "a", "--validation", output)


def test_tissue_from_the_slide(folder, tmp_path):
    from PIL import Image

    pixels = np.full((1000, 1000, 3), 255, np.uint8)
    pixels[:600, :600] = (200, 120, 180)
    Image.fromarray(pixels).resize((10_000, 10_000), Image.Resampling.NEAREST).save(
        tmp_path / "a.tiff", resolution_unit=3, x_resolution=40_000, y_resolution=40_000,
        compression="tiff_deflate",
    )  # fmt: skip
    result = run(folder / "a", "--images", tmp_path, "--out", tmp_path / "out")
    assert result.exit_code == 0
    row = rows(tmp_path / "out")["a"]
    assert float(row["slide_mm2"]) == pytest.approx(2.25, rel=0.05)
    assert row["count"] == "12"
    missing = run(folder / "c", "--images", tmp_path)
    assert missing.exit_code == 1
    assert "c.tiff" in missing.stderr


def test_wrong_usage_exits_with_two(folder, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["count", str(folder), "--shape", "star"])
    assert stop.value.code == 2
    assert "not a shape" in capsys.readouterr().err
