"""Each format of other tools, written by hand or by them, scored from the command line."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from metaphase.cli.evaluate import app
from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError
from metaphase.exchange import coco, csv, grandchallenge, qupath, sliderunner
from metaphase.figures import Label
from metaphase.labels.read import load_dataset
from tests.evaluation.scenes import found
from tests.exchange.cocofiles import write_ground_truth, write_results

FIGURES = """case,x_px,y_px,label
a,100,100,mitotic figure
a,500,500,mitotic figure
b,100,100,mitotic figure
b,300,300,hard negative
c,900,900,mitotic figure
"""
CASES = """case,image,mpp,scanner,labelled,width_px,height_px
a,a.tiff,0.25,S1,yes,4000,4000
b,b.tiff,0.5,S2,yes,4000,4000
c,c.tiff,0.25,S2,yes,4000,4000
"""
COUNTS = (2, 2, 2)
"""TP, FP, FN at 0.5: in a one right and one false, in b one right and one on the hard negative, c
below the threshold. In b 7.5 um are 15 px, in a 30."""


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "figures.csv").write_text(FIGURES)
    (tmp_path / "cases.csv").write_text(CASES)
    return tmp_path / "figures.csv"


@pytest.fixture
def theirs():
    return {
        "a": found("a", [(128, 100), (700, 700)], [0.9, 0.6]),
        "b": found("b", [(100, 114), (301, 300)], [0.8, 0.7], mpp=0.5),
        "c": found("c", [(900, 900)], [0.4]),
    }


def run(path, labels, tmp_path, *options):
    out = tmp_path / "scores.json"
    arguments = [path, "--labels", labels, "--resamples", 0, "--out", out, *options]
    result = CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(out.read_text()), result.output


def counts(data):
    return data["tp"], data["fp"], data["fn"]


def without(theirs, path, facts):
    """Write our CSV without some columns, as others do."""
    csv.write(theirs, path)
    rows = [line.split(",") for line in path.read_text().splitlines()]
    keep = [i for i, name in enumerate(rows[0]) if name not in facts]
    path.write_text("\n".join(",".join(row[i] for i in keep) for row in rows) + "\n")
    return path


def write_csv(theirs, folder):
    path = folder / "theirs.csv"
    return without(theirs, path, ("mpp", "width_px", "height_px", "threshold"))


def write_csv_mm(theirs, folder):
    lines = ["file_name;x_mm;y_mm;probability"]
    for name, some in theirs.items():
        mm = some.points * some.provenance.mpp / 1000
        rows = zip(mm.tolist(), some.score.tolist(), strict=True)
        lines += [f"images/{name}.tiff;{x};{y};{score}" for (x, y), score in rows]
    path = folder / "theirs_mm.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def write_coco(theirs, folder):
    coco.write(theirs, folder / "theirs.json")
    data = json.loads((folder / "theirs.json").read_text())
    for image in data["images"]:
        del image["mpp"], image["threshold"]
    (folder / "theirs.json").write_text(json.dumps(data))
    return folder / "theirs.json"


def write_qupath(theirs, folder):
    for name, some in theirs.items():
        qupath.write(some, folder / "qupath" / f"{name}.geojson")
    return folder / "qupath"


def write_challenge(theirs, folder, version):
    for name, some in theirs.items():
        # 2025: a folder a case, as the platform hands its outputs out
        path = f"{name}.json" if version == "2021" else f"{name}/mitotic-figures.json"
        grandchallenge.write(some, folder / version / path, version)
    return folder / version


def write_sliderunner(theirs, folder):
    sliderunner.write(theirs, folder / "theirs.sqlite")
    return folder / "theirs.sqlite"


WRITERS = {
    "csv": write_csv,
    "csv in mm": write_csv_mm,
    "coco": write_coco,
    "qupath": write_qupath,
    "grand challenge 2021": lambda theirs, folder: write_challenge(theirs, folder, "2021"),
    "grand challenge 2025": lambda theirs, folder: write_challenge(theirs, folder, "2025"),
    "sliderunner": write_sliderunner,
}


@pytest.mark.parametrize("form", WRITERS)
def test_every_form_gives_the_scores_of_the_detections_it_holds(labels, theirs, tmp_path, form):
    path = WRITERS[form](theirs, tmp_path)
    data, output = run(path, labels, tmp_path, "--threshold", 0.5)
    assert counts(data) == COUNTS
    assert data["false_positives"] == {"double": 0, "hard negative": 1, "other": 1}
    assert [case["mpp"] for case in data["outcomes"]] == [0.25, 0.5, 0.25]
    assert data["area_mm2"] == pytest.approx(1 + 4 + 1)
    assert "Detections were read from" in output
    # The radius is in um whatever the form: 28 px at 0.25 and 14 px at 0.5 are 7 um.
    assert counts(run(path, labels, tmp_path, "--threshold", 0.5, "--radius-um", 6.9)[0])[0] == 0
    assert counts(run(path, labels, tmp_path, "--threshold", 0.5, "--radius-um", 7.01)[0])[0] == 2


def test_a_file_without_a_threshold_counts_whole_and_says_so(labels, theirs, tmp_path):
    data, output = run(write_csv(theirs, tmp_path), labels, tmp_path)
    assert counts(data) == (3, 2, 1)
    assert "all of its detections count" in " ".join(output.split())


def test_bare_coco_results_take_their_image_ids_from_the_labels(labels, theirs, tmp_path):
    truth = tmp_path / "truth.json"
    write_ground_truth(load_dataset(labels), truth)
    ids = {row["file_name"]: row["id"] for row in json.loads(truth.read_text())["images"]}
    results = tmp_path / "results.json"
    write_results(theirs, results, {name: ids[name] for name in theirs})
    data, _ = run(results, truth, tmp_path, "--threshold", 0.5)
    assert counts(data) == COUNTS
    data, _ = run(results, labels, tmp_path, "--threshold", 0.5, "--truth", truth)
    assert counts(data) == COUNTS


def test_a_case_that_a_file_cannot_name_is_empty_only_if_the_user_says_so(labels, theirs, tmp_path):
    path = tmp_path / "some.csv"
    path.write_text("image,x,y,score\na,100,100,0.9\nstranger,5,5,0.9\n")
    with pytest.raises(DetectionsError) as error:
        run(path, labels, tmp_path)
    assert [problem.file for problem in error.value.problems] == ["case b", "case c"]
    data, output = run(path, labels, tmp_path, "--absent-is-empty")
    assert counts(data) == (1, 0, 3)
    assert "2 cases are not named" in output
    data, _ = run(path, labels, tmp_path, "--allow-missing")
    assert counts(data) == (1, 0, 1)


def test_a_file_of_no_case_is_an_error_with_the_names_of_both_sides(labels, tmp_path):
    path = tmp_path / "some.csv"
    path.write_text("image,x,y,score\nstranger,5,5,0.9\n")
    with pytest.raises(DetectionsError, match=r"stranger.*a, b, c"):
        run(path, labels, tmp_path)
    with pytest.raises(DetectionsError, match="not there"):
        run(tmp_path / "nothing.csv", labels, tmp_path)


def test_two_peoples_detections_side_by_side(labels, theirs, tmp_path):
    ours = tmp_path / "ours"
    for name, some in theirs.items():
        save_detections(some, ours / name)
    others = write_challenge(theirs, tmp_path, "2021")
    first = tmp_path / "first.json"
    run(others, labels, tmp_path, "--threshold", 0.5)
    (tmp_path / "scores.json").rename(first)
    for other in (others, first):
        data, output = run(ours, labels, tmp_path, "--compare", other)
        assert data["comparisons"][0]["f1"]["difference"] == 0
        assert "on the same cases" in output


def test_size_and_resolution_come_from_the_image_if_the_labels_lack_them(theirs, tmp_path):
    import numpy as np

    from metaphase.phantom.dataset import write_region

    (tmp_path / "figures.csv").write_text("case,x_px,y_px\na,100,100\n")
    (tmp_path / "cases.csv").write_text("case,image,labelled\na,a.tiff,yes\n")
    write_region(tmp_path / "images" / "a.tiff", np.full((1024, 1024, 3), 240, np.uint8), 0.25)
    grandchallenge.write(theirs["a"], tmp_path / "a.json", "2021")
    data, _ = run(tmp_path / "a.json", tmp_path / "figures.csv", tmp_path)
    assert (data["tp"], data["outcomes"][0]["mpp"]) == (1, 0.25)
    assert data["area_mm2"] == pytest.approx((1024 * 0.25e-3) ** 2)


def test_a_rectangle_of_sliderunner_is_meant_by_its_middle(labels, theirs, tmp_path):
    path = write_sliderunner({"a": theirs["a"]}, tmp_path)
    with closing(sqlite3.connect(path)) as database, database:
        for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type='trigger'"
        ).fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE Annotations SET type = 2 WHERE uid = 1")
        database.execute("UPDATE Annotations_coordinates SET coordinateX=90, coordinateY=80")
        database.execute(
            "INSERT INTO Annotations_coordinates"
            " (coordinateX, coordinateY, slide, annoId, orderIdx) VALUES (112, 118, 1, 1, 2)"
        )
    data, _ = run(path, labels, tmp_path, "--allow-missing", "--radius-um", 1)
    assert data["tp"] == 1
    assert data["outcomes"][0]["points"][0] == [101, 99]


@pytest.mark.needs_data
def test_midogs_own_database_finds_every_figure_of_its_json(data_dir, tmp_path):
    folder = data_dir / "midog"
    data, _ = run(folder / "MIDOG.sqlite", folder / "MIDOG.json", tmp_path, "--labelled-only")
    assert data["recall"] == pytest.approx(1, abs=0.002)
    assert data["precision"] == pytest.approx(1, abs=0.002)
    assert data["hard_negative_class"] == {
        "detected": 2714,
        "labelled": load_dataset(folder / "MIDOG.json").count(Label.HARD_NEGATIVE),
    }


@pytest.mark.needs_data
@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("grand_challenge_2021_output.json", "2021"),
        ("grand_challenge_2025/output/interf0/mitotic-figures.json", "2025"),
    ],
)
def test_the_challenges_own_files_score_against_themselves(data_dir, tmp_path, name, form):
    """The challenges' example outputs hold millimetres: as labels in px at 0.25 um/px they must
    match at a radius of a hundredth of a micrometre."""
    source = data_dir / name
    points = [p for p in json.loads(source.read_text())["points"] if p["name"] == "mitotic figure"]
    rows = [f"x,{p['point'][0] * 4000},{p['point'][1] * 4000}" for p in points]
    (tmp_path / "figures.csv").write_text("case,x_px,y_px\n" + "\n".join(rows) + "\n")
    (tmp_path / "cases.csv").write_text("case,mpp,labelled\nx,0.25,yes\n")
    (tmp_path / "x.json").write_bytes(source.read_bytes())
    data, _ = run(tmp_path / "x.json", tmp_path / "figures.csv", tmp_path, "--radius-um", 0.02)
    assert counts(data) == (len(points), 0, 0)
    assert len(points) > 1
