from __future__ import annotations

from metaphase.training.recipe.recipe import load_recipe
from tests.training.helpers import recipe_data
from tests.training.recipe.recipes import problems, write


def test_several_sources_need_names():
    data = recipe_data(data={"sources": [{"labels": "a"}, {"labels": "b"}]})
    assert "name" in problems(data)[0]


def test_crops_alone_cannot_be_trained_on():
    assert problems(recipe_data(data={"sources": [{"labels": "a", "role": "crops"}]}))


def test_a_built_in_split_is_a_word_and_any_other_a_file(tmp_path):
    named = load_recipe(write(tmp_path, recipe_data(data={"split": "exercise"})))
    filed = load_recipe(write(tmp_path, recipe_data(data={"split": "mine.json"})))
    assert named.data.split == "exercise"
    assert filed.data.split == str(tmp_path / "mine.json")
