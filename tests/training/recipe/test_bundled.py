"""Bundled recipes by name: listed, copied, and taken where a recipe is named."""

from __future__ import annotations

from pathlib import Path

import pytest

import metaphase
from metaphase.cli import main
from metaphase.training.recipe.bundled import bundled_recipes, recipe_path, summary_of

NAMES = {"compact", "demo", "exercise", "midog21", "resnet50"}


def command(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


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


def test_the_command_lists_prints_and_copies(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METAPHASE_DATA", str(tmp_path))
    assert command("recipes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} >= NAMES
    assert command("recipes", "exercise") == 0
    assert capsys.readouterr().out == bundled_recipes()["exercise"].read_text(encoding="utf-8")
    assert command("recipes", "compact", "--out", str(tmp_path / "mine.toml")) == 0
    assert metaphase.load_recipe(tmp_path / "mine.toml").name == "compact"
    capsys.readouterr()
    assert command("recipes", "--out", str(tmp_path / "x.toml")) == 2
    assert command("recipes", "compakt") == 2
