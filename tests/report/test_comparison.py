import json

import pytest

from metaphase.detectionfile import save_detections
from metaphase.errors import InputError
from metaphase.evaluation.scoresfile import load_scores, save_scores
from metaphase.evaluation.settings import EvaluationSettings
from metaphase.exchange.foreigndetections import ForeignDetections
from metaphase.labels.read import load_dataset
from metaphase.report.comparison import (
    model_of,
    names_of_sources,
    score_source,
    write_comparison,
)
from tests.evaluation.scenes import found
from tests.models.tiny import save_tiny
from tests.report.html import page_of
from tests.training.dots import write_dots

LABELS = "case,x_px,y_px\na,100,100\na,500,500\nb,100,100\n"
SETTINGS = EvaluationSettings(resamples=20)


@pytest.fixture
def labels(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text(LABELS)
    return path


@pytest.fixture
def folders(tmp_path):
    for name, points in (("one", [(100, 100)]), ("two", [(100, 100), (500, 500)])):
        save_detections(found("a", points, [0.9] * len(points)), tmp_path / name / "a")
        save_detections(found("b", [(100, 100)], [0.8]), tmp_path / name / "b")
    return tmp_path / "one", tmp_path / "two"


def test_names_are_short_and_distinct(folders):
    assert names_of_sources(["runs/one", "compact"]) == ["one", "compact"]
    assert names_of_sources([str(folders[0]), f"x/{folders[0].name}"]) == ["one-1", "one-2"]


def test_both_sides_their_differences_and_a_report(labels, folders, tmp_path):
    dataset, foreign = load_dataset(labels), ForeignDetections(labels)
    sides = [
        score_source(
            str(folder), name, dataset, settings=SETTINGS, foreign=foreign, folder=tmp_path
        )
        for folder, name in zip(folders, ("one", "two"), strict=True)
    ]
    differences = SETTINGS.compare(sides[0].scores, sides[1].scores)
    out = tmp_path / "out"
    files, problems = write_comparison(sides, differences, out, crops=0)
    assert problems == []
    assert all(file.is_file() for file in files)
    data = json.loads((out / "comparison.json").read_text())
    assert data["second_minus_first"]["recall"]["difference"] == pytest.approx(1 / 3)
    assert (data["first"]["name"], data["second"]["name"]) == ("one", "two")
    assert load_scores(out / "evaluation-two.json").f1 == 1.0
    assert "two minus one, on the same cases" in " ".join(page_of(out / "report.html").words)


def test_an_evaluation_is_taken_as_it_is(labels, folders, tmp_path):
    dataset, foreign = load_dataset(labels), ForeignDetections(labels)
    first = score_source(
        str(folders[0]), "one", dataset, settings=SETTINGS, foreign=foreign, folder=tmp_path
    )
    save_scores(first.scores, tmp_path / "s.json")
    again = score_source(
        str(tmp_path / "s.json"), "s", dataset, settings=SETTINGS, foreign=foreign, folder=tmp_path
    )
    assert again.scores.to_dict() == first.scores.to_dict()


def test_a_model_detects_first_and_only_once(tmp_path):
    labels = write_dots(tmp_path / "data", cases=2)
    model = save_tiny(tmp_path / "model")
    dataset = load_dataset(labels)
    assert model_of(str(model.folder)).id == model.id
    assert model_of(str(model.folder / "card.json")).id == model.id
    assert model_of("nothing") is None

    def score(data):
        return score_source(
            str(model.folder),
            "tiny",
            data,
            settings=EvaluationSettings(resamples=0),
            foreign=ForeignDetections(labels),
            folder=tmp_path / "out",
            show=False,
        )

    scores = score(dataset).scores
    assert scores.model_ids == (model.id,)
    files = {p: p.stat().st_mtime_ns for p in (tmp_path / "out").rglob("detections.json")}
    assert len(files) == 2
    assert score(dataset).scores.to_dict() == scores.to_dict()
    assert {p: p.stat().st_mtime_ns for p in files} == files
    (tmp_path / "data" / "images" / "case0.png").unlink()
    with pytest.raises(InputError, match="1 cases have no image"):
        score(dataset)


def test_a_source_that_is_nothing_is_an_error(labels, tmp_path):
    with pytest.raises(InputError, match="is no model, no file"):
        score_source(
            "nowhere",
            "nowhere",
            load_dataset(labels),
            settings=SETTINGS,
            foreign=ForeignDetections(labels),
            folder=tmp_path,
        )
