from __future__ import annotations

import json
from pathlib import Path

import pytest

from metaphase.detectionfile import load_detections
from metaphase.errors import DetectionsError, FolderInUseError, SplitError
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.thresholds import bagged_threshold
from metaphase.labels.read import load_dataset
from metaphase.locks import locked_folder
from metaphase.training.folds.crossvalidation import cross_validate
from metaphase.training.folds.results import is_cross_validation, load_folds
from tests.training.dots import dots_recipe

pytestmark = pytest.mark.usefixtures("cheap_training", "one_thread")


def test_every_group_is_left_out_once_and_its_threshold_chosen_without_it(tmp_path: Path) -> None:
    recipe = dots_recipe(
        tmp_path / "data", "trainer.epochs=1", "sampling.patches_per_epoch=16", cases=3
    )
    recipe = recipe.model_copy(
        update={
            "validation": recipe.validation.model_copy(
                update={"min_score": 0.01, "threshold": 0.31, "threshold_note": "of all groups"}
            )
        }
    )
    told: list[str] = []
    out = tmp_path / "cv"
    result = cross_validate(recipe, out=out, by="group", show=False, progress=told.append)
    dataset = load_dataset(tmp_path / "data" / "labels.json", images=tmp_path / "data" / "images")
    assert set(result["folds"]) == {"S0", "S1", "S2"}
    assert len(told) == 3
    found = {}
    for case in dataset:
        split = json.loads((out / str(case.group) / "split.json").read_text())
        assert case.id in split["test"]
        assert case.id not in split["training"] + split["validation"]
        assert len(split["training"]) == 2
        found[case.id] = load_detections(out / str(case.group) / "left-out" / case.id)
        assert (out / str(case.group) / "left-out" / case.id / "overlay.png").is_file()
    for name, fold in result["folds"].items():
        others = [case.id for case in dataset if case.group != name]
        chosen, _ = bagged_threshold({k: found[k] for k in others}, dataset.select(others))
        assert fold["threshold"] == chosen
    pooled = result["pooled"]
    for count in ("tp", "fp", "fn"):
        assert pooled[count] == sum(fold[count] for fold in result["folds"].values())
    assert pooled["tp"] + pooled["fn"] == dataset.count()
    assert json.loads((out / "cross-validation.json").read_text()) == json.loads(json.dumps(result))

    again: list[str] = []
    models = {path: path.stat().st_mtime_ns for path in out.glob("*/model/card.json")}
    # A number that stems from these very folds does not make them others.
    changed = recipe.validation.model_copy(update={"threshold": 0.32})
    recipe = recipe.model_copy(update={"validation": changed})
    assert cross_validate(recipe, out=out, by="group", show=False, progress=again.append) == result
    assert {path: path.stat().st_mtime_ns for path in models} == models

    folds = load_folds(out)
    assert is_cross_validation(out)
    assert [(f.name, f.threshold) for f in folds.folds] == [
        (name, fold["threshold"]) for name, fold in result["folds"].items()
    ]
    assert all(not set(f.left_out.ids) & set(f.training.ids) for f in folds.folds)
    scores = evaluate(folds.detections(), folds.regions, radius_um=folds.radius_um)
    assert scores.f1 == pooled["f1"]
    assert folds.folds[0].model.card.name.endswith("without S0")


def test_what_is_no_cross_validation_is_told(tmp_path: Path) -> None:
    with pytest.raises(DetectionsError, match="cross-validate"):
        load_folds(tmp_path)
    (tmp_path / "cross-validation.json").write_text("[]")
    with pytest.raises(DetectionsError, match="not the result"):
        load_folds(tmp_path)


def test_an_inner_part_can_choose_instead(tmp_path: Path) -> None:
    recipe = dots_recipe(
        tmp_path / "data", "trainer.epochs=1", "validation.min_score=0.01", cases=4
    )
    out = tmp_path / "cv"
    cross_validate(recipe, out=out, by="scanner", threshold="inner", show=False)
    for name in ("A", "B"):
        split = json.loads((out / name / "split.json").read_text())
        parts = split["training"], split["validation"], split["test"]
        assert all(parts)
        assert len({case for part in parts for case in part}) == 4
        card = json.loads((out / name / "model" / "card.json").read_text())
        assert "1 validation cases" in card["threshold"]["chosen_on"]


def test_one_group_cannot_be_left_out(tmp_path: Path) -> None:
    recipe = dots_recipe(tmp_path / "data")
    with pytest.raises(SplitError, match="one tumour only"):
        cross_validate(recipe, out=tmp_path / "cv", by="tumour", show=False)


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    recipe = dots_recipe(tmp_path / "data", cases=2)
    with locked_folder(tmp_path / "cv"), pytest.raises(FolderInUseError, match="another command"):
        cross_validate(recipe, out=tmp_path / "cv", by="group", show=False)
