import json

import pytest
from typer.testing import CliRunner

from metaphase.cli.evaluate import app
from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError, SplitError
from tests.evaluation.scenes import found

FIGURES = """case,x_px,y_px,label
a,100,100,mitotic figure
a,500,500,mitotic figure
b,100,100,mitotic figure
b,300,300,hard negative
c,900,900,mitotic figure
"""
CASES = """case,image,mpp,scanner,labelled
a,a.tiff,0.25,S1,yes
b,b.tiff,0.25,S2,yes
c,c.tiff,0.25,S2,yes
"""


@pytest.fixture
def labels(tmp_path):
    (tmp_path / "figures.csv").write_text(FIGURES)
    (tmp_path / "cases.csv").write_text(CASES)
    return tmp_path / "figures.csv"


@pytest.fixture
def folder(tmp_path):
    out = tmp_path / "found"
    save_detections(found("a", [(101, 100), (700, 700)], [0.9, 0.6]), out / "a")
    save_detections(found("b", [(100, 101), (301, 300)], [0.8, 0.7]), out / "b")
    save_detections(found("c", [(900, 900)], [0.4]), out / "c")
    return out


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_scores_and_json(labels, folder, tmp_path):
    out = tmp_path / "scores.json"
    result = run(folder, "--labels", labels, "--out", out, "--resamples", 50, "--per-case")
    assert result.exit_code == 0, result.output
    data = json.loads(out.read_text())
    assert (data["tp"], data["fp"], data["fn"]) == (2, 2, 2)
    assert data["false_positives"] == {"double": 0, "hard negative": 1, "other": 1}
    assert data["intervals"]["f1"]["resamples"] == 50
    assert "By scanner" in result.output
    assert "Worst scanner: S1" in result.output
    assert "By case" in result.output


def test_threshold_rule_radius_and_protocol(labels, folder):
    arguments = ("--threshold", 0.3, "--rule", "optimal", "--radius-um", 5, "--resamples", 0)
    result = run(folder, "--labels", labels, *arguments, "--protocol", "exercise")
    assert result.exit_code == 0, result.output
    assert "rule optimal, radius 5 um, threshold 0.3" in result.output
    assert "not comparable" in " ".join(result.output.split())


def test_choosing_a_threshold_says_that_the_scores_are_too_high(labels, folder):
    result = run(folder, "--labels", labels, "--choose-threshold", "--resamples", 0)
    assert result.exit_code == 0, result.output
    assert "was chosen on these 3 cases" in result.output
    assert "too high" in " ".join(result.output.split())


def test_a_part_of_a_split(labels, folder, tmp_path):
    split = tmp_path / "split.json"
    split.write_text(json.dumps({"training": ["a"], "validation": ["b"], "test": ["c"]}))
    out = tmp_path / "s.json"
    common = ("--labels", labels, "--split", split, "--resamples", 0, "--out", out)
    assert run(folder, *common).exit_code == 0
    assert [case["id"] for case in json.loads(out.read_text())["outcomes"]] == ["c"]
    assert run(folder, *common, "--choose-threshold").exit_code == 0
    assert [case["id"] for case in json.loads(out.read_text())["outcomes"]] == ["b"]
    refused = run(folder, *common, "--choose-threshold", "--part", "test")
    assert refused.exit_code == 2
    assert isinstance(run(folder, *common, "--part", "unlabelled").exception, SplitError)
    split.write_text(json.dumps({"training": ["a"], "test": ["a"]}))
    with pytest.raises(SplitError):
        CliRunner().invoke(app, [str(a) for a in (folder, *common)], catch_exceptions=False)


def test_comparing_with_a_folder_and_with_a_file(labels, folder, tmp_path):
    out = tmp_path / "first.json"
    run(folder, "--labels", labels, "--out", out, "--resamples", 0)
    result = run(
        folder, "--labels", labels, "--compare", out, "--compare", folder, "--resamples", 30
    )
    assert result.exit_code == 0, result.output
    assert "found minus first, on the same cases" in result.output
    assert "found minus found, on the same cases" in result.output


def test_missing_cases_are_an_error_unless_allowed(labels, folder):
    for name in ("detections.json", "detections.csv"):
        (folder / "c" / name).unlink()
    with pytest.raises(DetectionsError, match="case c: has no detections"):
        CliRunner().invoke(app, [str(folder), "--labels", str(labels)], catch_exceptions=False)
    result = run(folder, "--labels", labels, "--allow-missing", "--resamples", 0)
    assert result.exit_code == 0
    assert "left out: c" in result.output


@pytest.mark.parametrize(
    "wrong",
    [
        ("--threshold", "0.5", "--choose-threshold"),
        ("--save-threshold-in", "m"),
        ("--part", "test"),
        ("--by", "colour"),
        ("--check-pixels",),
    ],
)
def test_contradicting_options_are_refused(labels, folder, wrong):
    assert run(folder, "--labels", labels, *wrong).exit_code == 2


def test_scores_state_their_part_and_whether_the_threshold_was_chosen_there(
    labels, folder, tmp_path
):
    split, out = tmp_path / "split.json", tmp_path / "scores.json"
    split.write_text(json.dumps({"name": "s", "validation": ["a"], "test": ["b", "c"]}))
    words = (folder, "--labels", labels, "--split", split, "--resamples", 0, "--out", out)
    assert run(*words).exit_code == 0
    assert "Scored on the test cases of split.json." in json.loads(out.read_text())["notes"]
    assert run(*words, "--choose-threshold").exit_code == 0
    notes = json.loads(out.read_text())["notes"]
    assert "Scored on the validation cases of split.json." in notes
    assert any("was chosen on these cases" in note for note in notes)
