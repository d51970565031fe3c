from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from metaphase.training.adapt.registry import find_method, method_names
from metaphase.training.recipe.recipe import Recipe, parse_recipe
from metaphase.training.recipe.reference import reference, sections
from metaphase.training.recipe.sections import Sampling, Shares, SplitTable, Trainer

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def text() -> str:
    return reference()


def rows(text: str, title: str) -> dict[str, list[str]]:
    """Return the table below a title: the cells of each row by its field."""
    section = text.partition(f"## {title}\n")[2].partition("\n## ")[0]
    assert section, title
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return {row[0].strip("`"): row[1:] for row in cells}


def test_every_field_is_described() -> None:
    for section in sections():
        assert section.__doc__
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"
            assert field.description.endswith("."), f"{section.__name__}.{name}"


def test_the_document_is_up_to_date(text: str) -> None:
    written = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert written == text, "run: make docs"


def test_the_reference_names_every_field(text: str) -> None:
    for section in sections():
        for name in section.model_fields:
            assert f"`{name}`" in text


def test_sections_are_sections() -> None:
    assert sections()[0] is Recipe
    assert {Sampling, Shares, SplitTable, Trainer} <= set(sections())
    assert all(issubclass(section, BaseModel) for section in sections())


def test_every_method_of_adaptation_has_its_section(text: str) -> None:
    for name in method_names():
        table = rows(text, f"`[adapt]` with method `{name}`")
        assert set(table) == set(find_method(name).Options.model_fields)


@pytest.mark.parametrize(
    ("title", "field", "cells"),
    [
        ("`[trainer]`", "epochs", ["whole number, ≤ 1e+06, > 0", "`20`"]),
        ("`[trainer]`", "keep", ['`"best"` or `"last"`', '`"best"`']),
        ("`[augment]`", "symmetries", ["true or false", "`true`"]),
        ("The recipe", "name", ["text", "needed"]),
        ("The recipe", "notes", ["text", "empty"]),
        ("The recipe", "trainer", ["table", ""]),
        ("`[data]`", "sources", ["list of tables", "needed"]),
        ("`[data]`", "box_um", ["number, > 0, ≤ 1000", ""]),
    ],
)
def test_types_limits_and_defaults_are_in_plain_words(
    text: str, title: str, field: str, cells: list[str]
) -> None:
    kind, default = rows(text, title)[field][:2]
    assert sorted(kind.split(", ")) == sorted(cells[0].split(", "))
    assert default == cells[1]


def test_multiples_and_lists_are_said(text: str) -> None:
    compact = rows(text, '`[network]` with kind `"compact"`')
    assert "multiple of 32" in compact["tile_px"][0]
    assert rows(text, "`[sampling]`")["mine_at"][0] == "list of number"
    assert rows(text, "`[augment.jpeg]`")["quality"][1] == "`[40, 95]`"


def test_a_bar_in_a_description_does_not_end_its_cell(text: str) -> None:
    for line in text.splitlines():
        if line.startswith("| `"):
            assert len(re.split(r"(?<!\\)\|", line)) == 6, line


def test_the_shortest_recipe_of_the_reference_is_one(text: str) -> None:
    example = text.partition("```toml\n")[2].partition("```")[0]
    recipe = parse_recipe(tomllib.loads(example))
    assert recipe.name == "mine"
    assert recipe.data.split == "stratified"
