"""Variants of the second stage: valid recipes, one change each; what is printed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from studies import second_stage as study
from studies.left_out import LEFT_OUT, MIN_SCORE
from studies.leftoutfolds import FOLDS, HAMAMATSU_CROPS, fold_recipe

from metaphase.detectionfile import load_detections, save_detections
from metaphase.figures import Detections, Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.provenance import Provenance
from tests.training.helpers import figure

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "recipes" / "compact.toml"


@pytest.fixture(autouse=True)
def no_data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("METAPHASE_DATA", str(tmp_path))


@pytest.mark.parametrize("name", list(study.VARIANTS))
def test_every_variant_is_a_recipe_with_one_change(name: str) -> None:
    base, changed = (study.short_recipe(RECIPE, each, ()) for each in ("recipe", name))
    assert len(changed.second_stage.members) == 1
    variant = study.VARIANTS[name]
    differs = base.model_dump(mode="json") != changed.model_dump(mode="json")
    assert differs is bool(variant.overrides)
    assert name == "recipe" or variant.overrides or variant.without or variant.ignored


def test_filters_translate_the_images_of_aperio_scanners(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "filters.npz"
    monkeypatch.setitem(study.VARIANTS, study.FILTERS, study.with_filters(file))
    scanner = study.short_recipe(RECIPE, study.FILTERS, ()).augment.scanner
    assert scanner.filters == file
    assert scanner.scanners == ("Aperio XT", "Aperio CS2")


def test_crops_of_a_variant_are_left_out_of_every_source_but_one_without_scanners() -> None:
    variant = study.VARIANTS["no-hamamatsu-crops"]
    fold = study.with_variant(FOLDS["X1"], variant)
    assert fold.slides == FOLDS["X1"].slides
    recipe = fold_recipe(study.short_recipe(RECIPE, "recipe", ()), fold, Dataset([]), ())
    without = {source.name: source.without for source in recipe.data.sources}
    assert HAMAMATSU_CROPS in without["midog"]
    assert HAMAMATSU_CROPS not in without["tupac"]


def field(case_id: str, *figures: Figure) -> Case:
    group = case_id.rpartition("_")[0]
    return Case(case_id, group=group, mpp=0.25, figures=figures, width_px=400, height_px=400)


def found(case_id: str, *rows: tuple[float, float, float]) -> Detections:
    made = Provenance(image=case_id, width_px=400, height_px=400, mpp=0.25)
    x, y, score = zip(*rows, strict=True) if rows else ((), (), ())
    return Detections(x, y, score, provenance=made)


def keep(found: Detections, folder: Path) -> None:
    save_detections(found, folder / found.provenance.image)


S05, A00, A02 = "nanozoomer/S05_1", "aperio/A00_1", "aperio-test/A02_1"


def test_places_that_score_high_elsewhere_come_from_models_that_never_saw_the_scanner(
    tmp_path: Path,
) -> None:
    regions = Dataset([field(S05), field(A00), field(A02), field("nanozoomer-pairs/H00_1")])
    keep(found(S05, (50, 50, 0.9), (90, 90, 0.1)), tmp_path / "n1" / LEFT_OUT)
    keep(found(A00, (10, 10, 0.3)), tmp_path / "a1" / LEFT_OUT)
    with pytest.raises(SystemExit, match=r"a1.*not complete"):
        study.scored_elsewhere(tmp_path, regions, 0.2)
    keep(found(A02), tmp_path / "a1" / LEFT_OUT)
    places = study.scored_elsewhere(tmp_path, regions, 0.2)
    assert {name: points.tolist() for name, points in places.items()} == {
        S05: [[50, 50]],
        A00: [[10, 10]],
        A02: [],
    }


def test_candidates_that_score_high_elsewhere_are_left_out_unless_they_are_labelled(
    tmp_path: Path,
) -> None:
    regions = Dataset([field(S05, figure(0, 50, 50), figure(1, 200, 200, Label.HARD_NEGATIVE))])
    rows = [(50, 52, 0.9), (202, 200, 0.8), (120, 120, 0.7), (300, 300, 0.6)]
    keep(found(S05, *rows), tmp_path)
    candidates = {S05: load_detections(tmp_path / S05)}
    places = {S05: np.array([[50, 50], [200, 200], [120 + 29, 120], [300 + 31, 300.0]])}
    assert study.leave_out_candidates(candidates, regions, places, tmp_path) == 1
    kept = load_detections(tmp_path / S05).points.tolist()
    assert kept == [[50, 52], [202, 200], [300, 300]]
    assert study.leave_out_candidates(candidates, regions, {}, tmp_path) == 0


def test_an_average_is_one_of_logits_and_knows_places_that_only_one_model_keeps() -> None:
    one = found(S05, (50, 50, 0.9), (80, 80, 0.5))
    other = found(S05, (50, 50, 0.5), (90, 90, 0.5))
    mean = study.averaged([one, other])
    assert mean.points.tolist() == [[50, 50], [80, 80], [90, 90]]
    low = 1 / (1 + np.sqrt((1 - MIN_SCORE) / MIN_SCORE))
    assert mean.score == pytest.approx([0.75, low, low])
    assert len(study.averaged([found(S05), found(S05)])) == 0


def test_a_row_is_printed_when_all_its_folds_are_there(tmp_path: Path) -> None:
    regions, folds = Dataset([field(S05, figure(0, 50, 50))]), [FOLDS["Y1"]]
    assert study.rows_of(folds, regions, tmp_path) == []
    folder = tmp_path / "recipe" / "Y1" / LEFT_OUT
    keep(found(S05, (50, 50, 0.9)), folder)
    assert study.rows_of(folds, regions, tmp_path) == []  # not finished
    (folder / "done").touch()
    cells = (study.VARIANTS["recipe"].what, "1.000", "1.000", "–", "–")
    assert study.rows_of(folds, regions, tmp_path) == [cells]
    other = tmp_path / "seed" / "Y1" / LEFT_OUT
    keep(found(S05), other)
    (other / "done").touch()
    names = [cells[0] for cells in study.rows_of(folds, regions, tmp_path)]
    assert names == [study.VARIANTS["recipe"].what, "another seed", "mean of two seeds"]
