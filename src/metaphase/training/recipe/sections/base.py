"""What the sections of a recipe share: strictness, paths and lists of cases.

TOML has no null: a field that may be absent is absent by default, and "none" is a word.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from metaphase.models.modelfile import zoo_names
from metaphase.training.recipe.caselists import expand_lists


class Section(BaseModel):
    """A table of a recipe: frozen, refuses unknown keys, does not convert types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def repeated(section: type[BaseModel], name: str) -> Any:
    """Return a field's default and description once more, for a stricter type."""
    field = section.model_fields[name]
    return Field(default=field.default, description=field.description)


def step_probability(default: float) -> Any:
    """Return the field `probability` of a step of augmentation."""
    return Field(default, ge=0, le=1, description="Part of the patches that it is applied to.")


def expand_path(value: str, info: ValidationInfo) -> str:
    """Return an absolute path: variables and ~ expanded, relative to the recipe's folder."""
    if "\0" in value:
        raise ValueError("a path has no NUL character")
    folder = (info.context or {}).get("folder", Path.cwd())
    text = os.path.expanduser(os.path.expandvars(value))
    if missing := re.search(r"\$(\w+|\{\w+\})", text):
        raise ValueError(
            f"the environment variable {missing.group(1).strip('{}')} is not set; "
            "set it to the folder it stands for"
        )
    return os.path.normpath(Path(folder, text))


def _as_path(value: Path, info: ValidationInfo) -> Path:
    return Path(expand_path(str(value), info))


def path_unless(*words: str) -> Any:
    """Return a validator that expands a path unless it is a word or the name of a bundled model."""

    def expand(value: str, info: ValidationInfo) -> str:
        return value if value in (*words, *zoo_names()) else expand_path(value, info)

    return AfterValidator(expand)


RecipePath = Annotated[Path, AfterValidator(_as_path)]


def _expand_lists(value: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
    return expand_lists(value, (info.context or {}).get("folder", Path.cwd()))


PartOfCases = Annotated[
    tuple[str, ...],
    AfterValidator(_expand_lists),
    Field(
        description="Case ids, patterns of them (`A00_*`), domains (`scanner:Aperio CS2`, "
        "`group:A00`, `tumour:...`), or `@list.txt`: a file with one of these a line."
    ),
]
