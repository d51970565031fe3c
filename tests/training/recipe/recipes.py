"""Helpers of the tests of recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
import tomli_w

from metaphase.errors import RecipeError
from metaphase.training.recipe.recipe import parse_recipe


def write(folder: Path, data: dict) -> Path:
    path = folder / "r.toml"
    path.write_text(tomli_w.dumps(data), encoding="utf-8")
    return path


def problems(data: dict) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(data)
    return [f"{p.record}: {p.message} ({p.way_out})" for p in caught.value.problems]
