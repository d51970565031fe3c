from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel

from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.reference import reference, sections
from metaphase.training.recipe.sections import Sampling

ROOT = Path(__file__).resolve().parents[3]


def test_every_field_is_described():
    for section in sections():
        assert section.__doc__
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"
            assert field.description.endswith("."), f"{section.__name__}.{name}"


def test_the_reference_is_up_to_date():
    written = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert written == reference(), "run: make docs"


def test_the_reference_names_every_field():
    text = reference()
    for section in sections():
        for name in section.model_fields:
            assert f"`{name}`" in text


def test_sections_are_sections():
    assert Sampling in sections()
    assert Recipe in sections()
    assert all(issubclass(section, BaseModel) for section in sections())
