from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.detectionfile import save_detections
from metaphase.errors import DetectionsError, RecipeError
from metaphase.figures import Detections
from metaphase.provenance import Provenance
from metaphase.training.folds.results import Folds, is_cross_validation, load_folds
from metaphase.training.recipe.recipe import Recipe, resolved
from metaphase.training.recipe.sections import SplitTable
from tests.training.dots import dots_recipe

THRESHOLDS = {"Aperio CS2": 0.3, "B/2": 0.6}
FOLDERS = {"Aperio CS2": "Aperio-CS2", "B/2": "B-2"}
LEFT_OUT = {"Aperio CS2": ("case0", "case2"), "B/2": ("case1",)}


def write_fold(folder: Path, recipe: Recipe, name: str) -> None:
    """Write what a fold leaves: its recipe, and detections in the cases that it left out."""
    left_out = LEFT_OUT[name]
    everyone = {case for ids in LEFT_OUT.values() for case in ids}
    split = SplitTable(training=tuple(sorted(everyone - set(left_out))), test=left_out)
    data = recipe.data.model_copy(update={"split": split})
    place = folder / FOLDERS[name]
    place.mkdir()
    text = resolved(recipe.model_copy(update={"data": data}))
    (place / "recipe.toml").write_text(text, encoding="utf-8")
    for case in left_out:
        provenance = Provenance(
            image=f"{case}.png",
            width_px=320,
            height_px=320,
            mpp=0.25,
            mpp_source="labels",
            model="dots",
            threshold=0.5,
        )
        found = Detections([10, 20], [30, 40], [0.9, 0.45], provenance=provenance)
        save_detections(found, place / "left-out" / case)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    """A cross-validation of two scanners over three cases."""
    recipe = dots_recipe(tmp_path / "data", cases=3)
    folder = tmp_path / "cv"
    folder.mkdir()
    for name in THRESHOLDS:
        write_fold(folder, recipe, name)
    folds = {name: {"threshold": value} for name, value in THRESHOLDS.items()}
    result = {"folds": folds, "radius_um": 6.5}
    (folder / "cross-validation.json").write_text(json.dumps(result))
    return folder


@pytest.fixture
def folds(finished: Path) -> Folds:
    return load_folds(finished)


def test_a_finished_cross_validation_is_recognised(finished: Path, tmp_path: Path) -> None:
    assert is_cross_validation(finished)
    assert is_cross_validation(str(finished))
    assert not is_cross_validation(tmp_path)
    assert not is_cross_validation(tmp_path / "nowhere")


def test_folds_are_read_in_the_order_of_the_result(folds: Folds, finished: Path) -> None:
    assert [(fold.name, fold.threshold) for fold in folds.folds] == list(THRESHOLDS.items())
    assert [fold.folder for fold in folds.folds] == [finished / name for name in FOLDERS.values()]
    assert folds.radius_um == 6.5


def test_no_fold_was_trained_on_what_it_left_out(folds: Folds) -> None:
    for fold in folds.folds:
        assert fold.left_out.ids == LEFT_OUT[fold.name]
        assert not set(fold.left_out.ids) & set(fold.training.ids)
        assert len(fold.left_out) + len(fold.training) == 3
    assert folds.regions.ids == ("case0", "case1", "case2")
    assert folds.regions.count() == 24


def test_detections_have_the_threshold_of_their_fold(folds: Folds) -> None:
    """Which was chosen without their case, whatever the model's own."""
    found = folds.detections()
    assert set(found) == {"case0", "case1", "case2"}
    assert found["case0"].provenance.threshold == THRESHOLDS["Aperio CS2"]
    assert found["case1"].provenance.threshold == THRESHOLDS["B/2"]
    assert len(found["case0"].above_threshold()) == 2
    assert len(found["case1"].above_threshold()) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"folds": {}}', '{"radius_um": 7.5}'])
def test_another_file_is_refused(finished: Path, text: str) -> None:
    (finished / "cross-validation.json").write_text(text)
    with pytest.raises(DetectionsError) as caught:
        load_folds(finished)
    (problem,) = caught.value.problems
    assert problem.file == str(finished / "cross-validation.json")
    assert "cross-validate" in problem.way_out


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DetectionsError, match="cannot be read"):
        load_folds(tmp_path)


def test_no_folds_are_no_result(finished: Path) -> None:
    text = '{"folds": {}, "radius_um": 7.5}'
    (finished / "cross-validation.json").write_text(text)
    with pytest.raises(DetectionsError, match="has no folds"):
        load_folds(finished)


def test_a_recipe_that_is_no_folds_is_refused(finished: Path) -> None:
    path = finished / "B-2" / "recipe.toml"
    text = path.read_text(encoding="utf-8")
    start = text.index("[data.split]")
    end = text.find("\n[", start + 1)
    plain = text[:start] + text[end if end > 0 else len(text) :]
    path.write_text(plain.replace("[data]\n", '[data]\nsplit = "stratified"\n', 1), "utf-8")
    with pytest.raises(RecipeError, match="is not the recipe of a fold") as caught:
        load_folds(finished)
    assert caught.value.problems[0].file == str(path)


def test_detections_that_are_missing_are_told(finished: Path, folds: Folds) -> None:
    for path in sorted((finished / "B-2" / "left-out" / "case1").iterdir()):
        path.unlink()
    with pytest.raises(DetectionsError):
        folds.detections()


@pytest.mark.parametrize(
    "result",
    [
        {"folds": [], "radius_um": 6.5},
        {"folds": {"a": {"threshold": "x"}}, "radius_um": 6.5},
        {"folds": {"a": 0.5}, "radius_um": 6.5},
        {"folds": {"..": {"threshold": 0.5}}, "radius_um": 6.5},
        {"folds": {"a": {"threshold": 0.5}}, "radius_um": -1},
    ],
)
def test_a_damaged_result_is_refused(tmp_path: Path, result: object) -> None:
    (tmp_path / "cross-validation.json").write_text(json.dumps(result))
    with pytest.raises(DetectionsError, match="is not the result of a cross-validation"):
        load_folds(tmp_path)
