from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from metaphase.errors import SplitError
from metaphase.labels.read import load_dataset
from metaphase.training.checks.doctor import Level, examine
from metaphase.training.data.heldout import (
    could_be_domain,
    exclude_crops,
    exclude_related_crops,
    literal_pattern,
)
from metaphase.training.data.load import load_data
from metaphase.training.data.sources import join_sources, region_cases
from metaphase.training.folds.crossvalidation import cross_validate
from metaphase.training.folds.foldrecipe import fold_recipe
from metaphase.training.recipe.recipe import Recipe, load_recipe
from tests.training.dots import dots_recipe

CROPS = {
    "a1": ("A", "X1"),
    "b1": ("B", "X2"),
    "b2": ("B", "[X3]*"),
    "either": ("A (or B, not recorded)", "X4"),
    "unknown": ("", "X5"),
    "leak": ("C", "S1"),  # the slide of a field
}


def recipe_with_crops(folder: Path, *more: str) -> Recipe:
    """The dots' fields, two of scanner A and two of B, and crops cut from none of them."""
    dots_recipe(folder, cases=4)
    rng = np.random.default_rng(1)
    (folder / "crops").mkdir()
    cases, figures = [], []
    for name, (scanner, group) in CROPS.items():
        pixels = rng.normal((225, 190, 215), 6, (128, 128, 3)).clip(0, 255).astype(np.uint8)
        pixels[56:72, 56:72] = (60, 30, 90)
        Image.fromarray(pixels).save(folder / "crops" / f"{name}.png")
        cases.append([name, f"{name}.png", scanner, group, 0.25, "true"])
        figures.append([name, 64, 64])
    with (folder / "crop-cases.csv").open("w", newline="") as stream:
        head = ["id", "image", "scanner", "group", "mpp", "labelled"]
        csv.writer(stream).writerows([head, *cases])
    with (folder / "crops.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([["case", "x_px", "y_px"], *figures])
    path = folder / "recipe.toml"
    text = path.read_text()
    line = next(x for x in text.splitlines() if x.startswith("sources"))
    both = (
        'sources = [{ labels = "labels.json", images = "images", name = "fields" }, '
        '{ labels = "crops.csv", cases = "crop-cases.csv", images = "crops", name = "crops", '
        'role = "crops" }]'
    )
    path.write_text(text.replace(line, both))
    return load_recipe(path, more)


@pytest.fixture
def recipe(tmp_path):
    return recipe_with_crops(tmp_path / "data")


def crops_of(recipe: Recipe) -> set[str]:
    return set(join_sources(s for s in recipe.data.sources if s.role == "crops").ids)


def test_the_crops_of_a_left_out_scanner_go_and_those_that_may_be_of_it(recipe):
    regions = region_cases(recipe)
    left_out = regions.by_domain("scanner")["B"]
    assert "S1" not in {case.group for case in left_out}
    fold = exclude_related_crops(recipe, left_out, by="scanner", name="B")
    assert crops_of(fold) == {"a1", "leak"}
    # The slide S1 is of the other scanner: left out with that.
    fold = exclude_related_crops(recipe, regions.by_domain("scanner")["A"], by="scanner", name="A")
    assert crops_of(fold) == {"b1", "b2"}


def test_the_crops_of_a_left_out_slide_and_of_validation_go(recipe):
    regions = region_cases(recipe)
    groups = regions.by_domain("group")
    assert crops_of(exclude_related_crops(recipe, groups["S1"], by="group", name="S1")) == {
        *CROPS
    } - {"leak"}
    fold = exclude_related_crops(
        recipe, groups["S0"], by="group", name="S0", validation=groups["S1"]
    )
    assert "leak" not in crops_of(fold)
    assert exclude_related_crops(recipe, groups["S0"], by="group", name="S0") == recipe


def test_crops_are_held_out_of_all_folds(recipe):
    fold = exclude_crops(recipe, ["b?", "group:S1"])
    assert crops_of(fold) == {"a1", "either", "unknown"}
    assert region_cases(fold).ids == region_cases(recipe).ids
    assert exclude_crops(recipe, []) == recipe


def test_a_source_of_which_nothing_is_left_goes(recipe):
    regions = region_cases(recipe)
    crops = recipe.data.sources[1].model_copy(update={"only": ("b?",)})
    data = recipe.data.model_copy(update={"sources": (recipe.data.sources[0], crops)})
    fold = exclude_related_crops(
        recipe.model_copy(update={"data": data}),
        regions.by_domain("scanner")["B"],
        by="scanner",
        name="B",
    )
    assert [source.name for source in fold.data.sources] == ["fields"]


@pytest.mark.parametrize(
    ("value", "maybe"),
    [
        ("Aperio XT", True),
        ("Aperio ScanScope XT", True),
        ("TUPAC16 (Aperio ScanScope XT or Leica SCN400, not recorded)", True),
        ("unknown", True),
        ("Aperio CS2", False),
    ],
)
def test_a_scanner_that_is_not_recorded_may_be_the_one(value, maybe):
    assert could_be_domain(value, "Aperio XT", "scanner") is maybe


def test_a_name_with_signs_of_patterns_means_itself():
    from fnmatch import fnmatchcase

    assert fnmatchcase("[X3]*", literal_pattern("[X3]*"))
    assert not fnmatchcase("X", literal_pattern("[X3]*"))


def test_folds_train_without_the_left_out_scanners_crops(recipe):
    regions = region_cases(recipe)
    for name, expected in {"A": {"b1", "b2"}, "B": {"a1", "leak"}}.items():
        left_out = regions.by_domain("scanner")[name]
        for how in ("other-folds", "inner"):
            data = load_data(
                fold_recipe(recipe, regions, left_out, name, by="scanner", threshold=how)
            )
            # What is set aside within a fold to choose a threshold is judged on as well.
            aside = {regions[id_].group for id_ in data.split.validation}
            leaks = {id_ for id_ in expected if CROPS[id_][1] in aside}
            assert set(data.crops.ids) == expected - leaks
            assert set(data.split.test) == set(left_out.ids)


def test_pixels_of_a_crop_in_a_held_out_field_are_refused(recipe, tmp_path):
    folder = tmp_path / "data"
    (case,) = [
        c
        for c in load_dataset(folder / "labels.json", images=folder / "images")
        if c.scanner == "B"
    ][:1]
    field = Image.open(case.image)
    # White dots make the dull texture tell places apart.
    pixels = np.asarray(field).copy()
    rng = np.random.default_rng(3)
    for x, y in rng.integers(10, 300, (150, 2)):
        pixels[y : y + 12, x : x + 12] = rng.integers(90, 255)
    Image.fromarray(pixels).save(case.image)
    Image.fromarray(pixels[100:228, 90:218]).save(folder / "crops" / "a1.png")
    with pytest.raises(SplitError, match="crop a1"):
        cross_validate(recipe, out=tmp_path / "cv", by="scanner", check_pixels=True, show=False)
    assert not (tmp_path / "cv").exists()


def test_the_doctor_tells_of_crops_by_name_and_by_pixels(recipe):
    split = recipe.data.split.model_copy(
        update={"training": ("group:S0", "group:S2"), "validation": ("group:S1",), "test": ()}
    )
    data = recipe.data.model_copy(update={"split": split})
    findings = examine(recipe.model_copy(update={"data": data}), measure=False, pixels=True)
    errors = [f for f in findings if f.level == Level.ERROR]
    assert any("crops of S1" in f.where for f in errors)
    (alike,) = (f for f in findings if f.message == "no pixels are on two sides")
    assert alike.measured == "2 training, 1 validation; 6 crops against 1 held-out cases"


def test_the_doctor_says_so_where_nothing_is_held_out_to_compare_with(recipe):
    split = recipe.data.split.model_copy(
        update={"training": ("group:*",), "validation": (), "test": ()}
    )
    data = recipe.data.model_copy(update={"split": split})
    findings = examine(recipe.model_copy(update={"data": data}), measure=False, pixels=True)
    assert not any("no pixels are on two sides" in f.message for f in findings)
    (told,) = (f for f in findings if "pixels were not compared" in f.message)
    assert told.level == Level.NOTE
    assert told.measured == "4 cases, 6 crops"
