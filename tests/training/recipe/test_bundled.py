"""Bundled recipes by name: listed, copied, and taken where a recipe is named."""

from __future__ import annotations

from pathlib import Path

import pytest

import metaphase
from metaphase.training.recipe.bundled import bundled_recipes, recipe_path, summary_of

NAMES = {"compact", "demo", "exercise", "midog21", "resnet50"}


def test_every_recipe_is_known_by_name_with_a_summary() -> None:
    recipes = bundled_recipes()
    assert set(recipes) >= NAMES
    assert list(recipes) == sorted(recipes)
    assert all(10 < len(summary_of(path)) < 120 for path in recipes.values())


def test_a_name_is_a_bundled_recipe_unless_a_file_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert recipe_path("compact") == bundled_recipes()["compact"]
    assert recipe_path("compact.toml") == Path("compact.toml")
    assert recipe_path("folder/compact") == Path("folder/compact")
    (tmp_path / "compact").write_text("")
    assert recipe_path("compact") == Path("compact")
    with pytest.raises(metaphase.RecipeError, match=r"one of .*compact, demo"):
        recipe_path("compakt")


def test_recipes_are_loaded_by_name() -> None:
    assert metaphase.load_recipe("demo").name == metaphase.load_recipe(recipe_path("demo")).name
