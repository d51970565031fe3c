from __future__ import annotations

import pytest

from metaphase.training.data.sources import region_cases
from metaphase.training.folds.foldrecipe import fold_recipe
from metaphase.training.recipe.recipe import parse_recipe
from tests.training.helpers import recipe_data

GROUPS = "ABCDE"
CASES = "id,image,scanner,mpp,labelled,group\n" + "".join(
    f"{g}{n},x.png,S,0.25,true,{g}\n" for g in GROUPS for n in (1, 2)
)


@pytest.fixture
def recipe(tmp_path):
    (tmp_path / "cases.csv").write_text(CASES + "u,x.png,N,0.25,false,U\n")
    rows = "".join(f"{g}{n},5,5\n" for g in GROUPS for n in (1, 2))
    (tmp_path / "figures.csv").write_text("case,x_px,y_px\n" + rows)
    data = recipe_data(
        data={
            "sources": [{"labels": "figures.csv"}],
            "split": {"training": ["A*"], "unlabelled": ["u"]},
        },
        trainer={"early_stopping": 3},
        validation={"threshold": 0.7},
    )
    return parse_recipe(data, folder=tmp_path)


def fold(recipe, threshold, name="B"):
    regions = region_cases(recipe).labelled()
    left_out = regions.by_domain("group")[name]
    return fold_recipe(recipe, regions, left_out, name, by="group", threshold=threshold)


def test_with_other_folds_all_other_groups_are_trained_on(recipe):
    made = fold(recipe, "other-folds")
    split = made.data.split
    assert split.test == ("B1", "B2")
    assert set(split.training) == {f"{g}{n}" for g in "ACDE" for n in (1, 2)}
    assert split.validation == ()
    assert made.trainer.keep == "last"
    assert made.trainer.early_stopping is None
    assert made.validation.threshold == 0.5  # a fixed one may have been chosen on B


def test_inner_validation_is_a_group_of_its_own(recipe):
    made = fold(recipe, "inner")
    split = made.data.split
    validated = {case[0] for case in split.validation}
    trained = {case[0] for case in split.training}
    assert validated
    assert not validated & trained
    assert validated | trained == set("ACDE")
    assert made.trainer == recipe.trainer
    assert made.validation.threshold == 0.7


def test_unlabelled_cases_are_used_only_by_methods_that_need_them(recipe):
    assert fold(recipe, "other-folds").data.split.unlabelled == ()
    uses = parse_recipe({**recipe.model_dump(mode="json"), "augment": {"fourier": {}}}, folder=".")
    assert fold(uses, "other-folds").data.split.unlabelled == ("u",)
