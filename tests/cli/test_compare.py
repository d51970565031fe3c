import json

import pytest
from typer.testing import CliRunner

from metaphase.cli.compare import app
from metaphase.detectionfile import save_detections
from metaphase.errors import InputError
from tests.evaluation.scenes import found

LABELS = "case,x_px,y_px\na,100,100\na,500,500\nb,100,100\n"
CASES = "case,image,mpp,scanner\na,a.tiff,0.25,S1\nb,b.tiff,0.25,S2\n"


@pytest.fixture
def sides(tmp_path):
    (tmp_path / "labels.csv").write_text(LABELS)
    (tmp_path / "cases.csv").write_text(CASES)
    for name, points in (("one", [(100, 100)]), ("two", [(100, 100), (500, 500)])):
        save_detections(found("a", points, [0.9] * len(points)), tmp_path / name / "a")
        save_detections(found("b", [(100, 100)], [0.8]), tmp_path / name / "b")
    return tmp_path / "one", tmp_path / "two", "--labels", tmp_path / "labels.csv"


def run(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_one_table_with_differences_and_intervals(sides):
    result = run(*sides, "--resamples", 50)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "On the same cases" in text
    assert "two minus one, on the same cases" in text
    assert "F1, S1" in text


def test_a_report_and_files(sides, tmp_path):
    out = tmp_path / "out"
    result = run(*sides, "--resamples", 50, "--out", out, "--crops", 0)
    assert result.exit_code == 0, result.output
    names = {path.name for path in out.iterdir()}
    assert names == {"evaluation-one.json", "evaluation-two.json", "comparison.json", "report.html"}
    data = json.loads((out / "comparison.json").read_text())
    assert data["second_minus_first"]["f1"]["interval"]["resamples"] == 50


def test_different_cases_are_refused(sides, tmp_path):
    one, two, *labels = sides
    (tmp_path / "two" / "b" / "detections.json").unlink()
    result = run(one, two, *labels)
    assert isinstance(result.exception, InputError)
    assert "case b" in str(result.exception)


@pytest.mark.parametrize("wrong", [("--by", "colour"), ("--part", "test"), ("--crops", "3")])
def test_wrong_usage_exits_with_two(sides, wrong):
    assert run(*sides, *wrong).exit_code == 2
