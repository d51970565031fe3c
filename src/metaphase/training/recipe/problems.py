"""Pydantic's validation errors as problems of a recipe: the place in the file, and the way out."""

from __future__ import annotations

import difflib
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ValidationError

from metaphase.errors import Problem

Location = tuple[int | str, ...]
Sections = list[type[BaseModel]]


def problems_of(error: ValidationError, recipe: type[BaseModel], file: str) -> list[Problem]:
    """Return a problem for each error, with the TOML path of its place."""
    return [_problem(e["loc"], e["type"], e["msg"], recipe, file) for e in error.errors()]


def sections_in(annotation: Any) -> Sections:
    """Return the sections that a field with this annotation may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for inner in get_args(annotation) for section in sections_in(inner)]


def _problem(
    location: Location, kind: str, message: str, recipe: type[BaseModel], file: str
) -> Problem:
    path, owners = _follow(location, recipe)
    if kind == "extra_forbidden":
        way_out = _did_you_mean(str(location[-1]), owners, recipe)
        return Problem(file, path, "is not a known key", way_out)
    if kind == "missing":
        return Problem(file, path, "is missing")
    if kind.startswith("union_tag"):
        networks = sections_in(recipe.model_fields["network"].annotation)
        kinds = ", ".join(kind for network in networks for kind in _kinds(network))
        return Problem(file, f"{path}.kind", "is missing or unknown", f"one of {kinds}")
    message = message.removeprefix("Value error, ")
    return Problem(file, path, message[:1].lower() + message[1:])


def _follow(location: Location, recipe: type[BaseModel]) -> tuple[str, Sections]:
    """Return the TOML path of pydantic's location, and the sections that own its last key."""
    path = ""
    owners: Sections = [recipe]
    inside: Sections = [recipe]
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
            continue
        if not inside:  # pydantic's word for one of the types that a value may have
            continue
        annotations = [s.model_fields[part].annotation for s in inside if part in s.model_fields]
        tagged = [section for section in inside if part in _kinds(section)]
        if not annotations and (tagged or _is_tag(part, inside, path)):
            inside = tagged or inside
            continue
        path += f".{part}" if path else part
        owners, inside = inside, [s for a in annotations for s in sections_in(a)]
    return path or "recipe", owners


def _is_tag(part: str, inside: Sections, path: str) -> bool:
    """Whether a part of a location is pydantic's word for a kind of split, not a key."""
    return part in ("table", "name") and len(inside) == 1 and bool(path)


def _kinds(section: type[BaseModel]) -> tuple[Any, ...]:
    kind = section.model_fields.get("kind")
    return get_args(kind.annotation) if kind and get_origin(kind.annotation) is Literal else ()


def _did_you_mean(key: str, owners: Sections, recipe: type[BaseModel]) -> str:
    fields = [name for owner in owners for name in owner.model_fields]
    if near := difflib.get_close_matches(key, fields, n=1, cutoff=0.6):
        return f"did you mean {near[0]}?"
    for name, field in recipe.model_fields.items():
        if any(key in section.model_fields for section in sections_in(field.annotation)):
            return f"did you mean {name}.{key}?"
    return f"known here: {', '.join(fields)}"
