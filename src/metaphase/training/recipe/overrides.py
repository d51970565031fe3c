"""Changes of a recipe on the command line: ``--set section.key=value``."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any

from metaphase.errors import Problem, RecipeError

COMMAND_LINE = "--set"


def override(data: dict[str, Any], overrides: Iterable[str]) -> None:
    """Set ``a.b.c=value`` in nested tables, in place. Numbers in a path count a list's items.

    Raises RecipeError with every change that is not possible.
    """
    problems = [problem for item in overrides if (problem := _set(data, item))]
    if problems:
        raise RecipeError(problems)


def _set(data: dict[str, Any], item: str) -> Problem | None:
    path, equals, text = item.partition("=")
    keys = [key.strip() for key in path.split(".")]
    if not equals or not all(keys):
        return Problem(COMMAND_LINE, item, "is not KEY=VALUE", "e.g. --set trainer.epochs=5")
    table: Any = data
    try:
        for key in keys[:-1]:
            table = table[int(key)] if isinstance(table, list) else table.setdefault(key, {})
        if isinstance(table, list):
            table[int(keys[-1])] = _toml_value(text)
        elif isinstance(table, dict):
            table[keys[-1]] = _toml_value(text)
        else:
            raise TypeError
    except (TypeError, ValueError, IndexError, AttributeError):
        return Problem(COMMAND_LINE, item, "names no field of this recipe that can be set")
    return None


def _toml_value(text: str) -> Any:
    """Return a TOML value; text that is none is a word, as a shell leaves it."""
    try:
        table = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text.strip()
    return table["value"] if len(table) == 1 else text.strip()
