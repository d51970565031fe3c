"""Variants of the second stage: valid recipes, one change each; what is printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from studies import second_stage as study
from studies.left_out import LEFT_OUT
from studies.leftoutfolds import FOLDS, HAMAMATSU_CROPS, fold_recipe

from metaphase.detectionfile import save_detections
from metaphase.figures import Detections
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
    assert name == "recipe" or variant.overrides or variant.without


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


def test_a_row_is_printed_when_all_its_folds_are_there(tmp_path: Path) -> None:
    case = Case(
        "nanozoomer/S05_1",
        group="nanozoomer/S05",
        mpp=0.25,
        figures=(figure(0, 50, 50),),
        width_px=400,
        height_px=400,
    )
    regions, folds = Dataset([case]), [FOLDS["Y1"]]
    assert study.row("recipe", folds, regions, tmp_path) is None
    folder = tmp_path / "recipe" / "Y1" / LEFT_OUT
    made = Provenance(image=case.id, width_px=400, height_px=400, mpp=0.25)
    save_detections(Detections([50.0], [50.0], [0.9], provenance=made), folder / case.id)
    assert study.row("recipe", folds, regions, tmp_path) is None  # not finished
    (folder / "done").touch()
    cells = study.row("recipe", folds, regions, tmp_path)
    assert cells == (study.VARIANTS["recipe"].what, "1.000", "1.000", "–", "–")
