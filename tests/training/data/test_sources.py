from __future__ import annotations

import pytest

from metaphase.errors import RecipeError
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.data.sources import (
    crop_cases,
    load_source,
    read_split,
    region_cases,
    select_cases,
)
from metaphase.training.recipe.recipe import Recipe, parse_recipe
from metaphase.training.recipe.sections import Source
from tests.training.helpers import recipe_data

CASES = "id,image,scanner,mpp,labelled,group\na1,a1.png,S,0.25,true,A\nb1,b1.png,T,0.25,true,B\n"
FIGURES = "case,x_px,y_px\na1,5,5\nb1,6,6\n"


@pytest.fixture
def folder(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cases.csv").write_text(CASES)
        (tmp_path / name / "figures.csv").write_text(FIGURES)
    return tmp_path


def recipe(folder, split=None, **second) -> Recipe:
    sources = [
        {"labels": "one/figures.csv", "name": "one"},
        {"labels": "two/figures.csv", "name": "two", **second},
    ]
    data = recipe_data(data={"sources": sources, "split": split or {}})
    return parse_recipe(data, folder=folder)


def test_ids_of_several_sources_have_their_name_before_them(folder):
    assert region_cases(recipe(folder)).ids == ("one/a1", "one/b1", "two/a1", "two/b1")
    assert len(crop_cases(recipe(folder))) == 0


def test_regions_and_crops_are_kept_apart(folder):
    both = recipe(folder, role="crops")
    assert region_cases(both).ids == ("a1", "b1")
    assert crop_cases(both).ids == ("a1", "b1")


def test_a_source_takes_a_part_of_its_cases(folder):
    both = recipe(folder, only=["scanner:*"], without=["group:B"])
    assert load_source(both.data.sources[1]).ids == ("a1",)


def test_every_pattern_that_names_no_case_is_reported():
    cases = Dataset([Case("a"), Case("b")])
    source = Source.model_construct(only=("a", "x"), without=("y",))
    with pytest.raises(RecipeError) as caught:
        select_cases(source, cases)
    assert [p.record for p in caught.value.problems] == [
        "data.sources.only",
        "data.sources.without",
    ]


def test_a_split_of_patterns(folder):
    both = recipe(folder, {"training": ["one/*", "one/a1"], "test": ["scanner:T"]})
    split = read_split(both, region_cases(both))
    assert split.training == ("one/a1", "one/b1")
    assert split.test == ("one/b1", "two/b1")


def test_a_stratified_split_has_every_case_once(folder):
    both = recipe(folder, "stratified")
    parts = read_split(both, region_cases(both)).parts()
    assert sorted(case for part in parts.values() for case in part) == sorted(
        region_cases(both).ids
    )
