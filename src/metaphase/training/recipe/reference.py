"""The reference of recipes, generated from the sections.

``python -m metaphase.training.recipe.reference docs/recipes.md`` writes it; a test compares.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any, Literal, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MultipleOf
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from metaphase.files import write_text
from metaphase.training.adapt.registry import find_method, method_names
from metaphase.training.recipe.problems import sections_in
from metaphase.training.recipe.recipe import Recipe

_HEAD = """# Recipes

<!-- Written by `python -m metaphase.training.recipe.reference docs/recipes.md`; do not edit. -->

A recipe is one TOML file with everything that a training run depends on. Unknown keys are refused,
types are not converted, and all problems are reported together, each with its place in the file.
The shortest recipe that trains:

```toml
name = "mine"

[data]
sources = [{ labels = "MIDOG.json", images = "images" }]
split = "stratified"

[network]
kind = "compact"

[sampling]
patches_per_epoch = 4000
```

- Paths are relative to the recipe's folder; `$VARIABLES` and `~` are expanded.
- `--set section.key=value` changes a value for one run: TOML values, words need no quotes, items of
  a list are counted from 0 (`--set data.sources.0.mpp=0.25`).
- Each run folder holds the resolved recipe: every default written out, loading back equal.
- `metaphase doctor RECIPE.toml` examines a recipe and its data before the first step.

Lengths carry their unit in the name; `px` without another word are pixels of the network's input.
"""
_BOUNDS = ((Ge, "ge", "≥"), (Gt, "gt", ">"), (Le, "le", "≤"), (Lt, "lt", "<"))


def reference() -> str:
    """Return the reference of every section and field, in Markdown."""
    return _HEAD + "".join(f"\n{_section(title, s)}" for title, s in _titled())


def sections() -> list[type[BaseModel]]:
    """Return every section of a recipe, in the order of the reference."""
    return [section for _, section in _titled()]


def _titled() -> Iterator[tuple[str, type[BaseModel]]]:
    yield "The recipe", Recipe
    for name, field in Recipe.model_fields.items():
        for section in sections_in(field.annotation):
            yield from _inside(name, section)
    for name in method_names():
        yield f"`[adapt]` with method `{name}`", find_method(name).Options


def _inside(path: str, section: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    kind = section.model_fields.get("kind")
    word = _words(kind.annotation) if kind and path == "network" else ""
    yield f"`[{path}]`" + (f" with kind {word}" if word else ""), section
    for name, field in section.model_fields.items():
        inside = f"[{path}.{name}]" if get_origin(field.annotation) is tuple else f"{path}.{name}"
        for inner in sections_in(field.annotation):
            yield from _inside(inside, inner)


def _section(title: str, section: type[BaseModel]) -> str:
    text = " ".join((section.__doc__ or "").split())
    rows = [_row(name, field) for name, field in section.model_fields.items()]
    table = "\n".join(["| field | value | default | |", "|---|---|---|---|", *rows])
    return f"## {title}\n\n{text}\n\n{table}\n"


def _row(name: str, field: FieldInfo) -> str:
    description = " ".join((field.description or "").split()).replace("|", "\\|")
    return f"| `{name}` | {_type(field)} | {_default(field)} | {description} |"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "needed"
    if field.default is None or isinstance(field.default, BaseModel):
        return ""
    if field.default == () or field.default == "":
        return "empty"
    return f"`{_toml(field.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(map(_toml, value)) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _type(field: FieldInfo) -> str:
    limits = [
        f"{sign} {getattr(limit, name):g}"
        for limit in field.metadata
        for kind, name, sign in _BOUNDS
        if isinstance(limit, kind)
    ]
    limits += [f"multiple of {m.multiple_of}" for m in field.metadata if isinstance(m, MultipleOf)]
    return ", ".join([_words(field.annotation), *limits])


def _words(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{_toml(word)}`" for word in get_args(annotation))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "table"
    if get_origin(annotation) is tuple:
        return f"list of {_words(get_args(annotation)[0])}".replace("table", "tables")
    if get_origin(annotation) is Union or type(annotation).__name__ == "UnionType":
        parts = [_words(a) for a in get_args(annotation) if a is not type(None)]
        return " or ".join(dict.fromkeys(parts))
    if hasattr(annotation, "__metadata__"):
        return _words(get_args(annotation)[0])
    names = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}
    name = getattr(annotation, "__name__", str(annotation))
    return names.get(name, name.lower())


if __name__ == "__main__":
    write_text(sys.argv[1], reference())
