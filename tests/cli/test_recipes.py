"""``metaphase recipes``: listed, printed and copied."""

from __future__ import annotations

import metaphase
from metaphase.training.recipe.bundled import bundled_recipes, summary_of


def test_every_recipe_is_listed_with_its_summary(command):
    ended = command("recipes")
    assert ended.code == 0
    lines = [line.split(maxsplit=1) for line in ended.out.splitlines()]
    assert lines == [[name, summary_of(path)] for name, path in bundled_recipes().items()]
    assert {"compact", "demo", "exercise"} <= {name for name, _ in lines}


def test_one_is_printed_as_it_is(command):
    ended = command("recipes", "exercise")
    assert ended.out == bundled_recipes()["exercise"].read_text(encoding="utf-8")


def test_a_copy_is_a_recipe(command, tmp_path, monkeypatch):
    monkeypatch.setenv("METAPHASE_DATA", str(tmp_path))
    ended = command("recipes", "compact", "--out", tmp_path / "mine.toml")
    assert ended.code == 0
    assert ended.out.strip() == str(tmp_path / "mine.toml")
    assert metaphase.load_recipe(tmp_path / "mine.toml").name == "compact"


def test_errors_exit_with_2(command, tmp_path):
    nameless = command("recipes", "--out", tmp_path / "x.toml")
    assert (nameless.code, nameless.out) == (2, "")
    assert "--out: needs the name of a recipe" in nameless.words
    unknown = command("recipes", "compakt", "--out", tmp_path / "x.toml")
    assert unknown.code == 2
    assert "compakt: no such recipe is bundled (one of" in unknown.words
    assert not (tmp_path / "x.toml").exists()
