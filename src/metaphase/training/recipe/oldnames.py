"""Names that recipes of version 0.1 used: read for one more release, with a warning."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from metaphase.errors import DeprecatedNameWarning, Problem, RecipeError

REFUSED_FROM = "0.3"
"""The version that no longer reads the old names."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A key of the table ``section`` (its present name; empty: the recipe itself).

    ``values`` are values that were renamed with it.
    """

    section: str
    old: str
    new: str
    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def old_path(self) -> str:
        """The old key with its section."""
        return f"{self.section}.{self.old}".lstrip(".")

    @property
    def new_path(self) -> str:
        """The present key with its section."""
        return f"{self.section}.{self.new}".lstrip(".")


RENAMED = (
    Renamed("", "second", "second_stage"),
    Renamed("second_stage", "exchange", "colour_transfer"),
    Renamed("second_stage", "elsewhere", "random_negatives"),
    Renamed("second_stage", "away_um", "negative_distance_um"),
    Renamed("second_stage", "stain", "stain_normalisation", {"own": "none"}),
    Renamed("sampling", "crops_decoys", "crops_negatives"),  # old word
    Renamed("sampling", "crops_quilts", "crops_mosaics"),  # old word
    Renamed("augment", "restain", "stain_transfer"),  # old word
)
"""In this order: keys of a section are looked up under its present name."""


def with_present_names(
    data: Mapping[str, Any], *, file: str = "recipe", warn: bool = True, replace: bool = False
) -> dict[str, Any]:
    """Return a recipe's table with present names for old ones; ``data`` is not changed.

    Warns of each old name (``DeprecatedNameWarning``) unless ``warn`` is false: files that
    metaphase wrote itself are read silently. Raises RecipeError where a table has both names,
    unless ``replace``: then the value of the old one, a later change, counts.
    """
    renamed = copy.deepcopy(dict(data))
    used = list(_rename(renamed, file, replace))
    for name in used if warn else ():
        warnings.warn(
            f"{file}: {name.old_path} is an old name, which version {REFUSED_FROM} will refuse: "
            f"use {name.new_path}",
            DeprecatedNameWarning,
            stacklevel=4,
        )
    return renamed


def _rename(data: dict[str, Any], file: str, replace: bool) -> Iterator[Renamed]:
    for name in RENAMED:
        table = data.get(name.section) if name.section else data
        if not isinstance(table, dict) or name.old not in table:
            continue
        if name.new in table and not replace:
            message = f"stands beside its old name {name.old}"
            raise RecipeError(Problem(file, name.new_path, message, f"remove {name.old}"))
        value = table.pop(name.old)
        if isinstance(value, str):
            value = name.values.get(value, value)
        table[name.new] = _merged(table.get(name.new), value)
        yield name


def _merged(present: Any, change: Any) -> Any:
    """Return a value with a change; tables are merged key by key."""
    if isinstance(present, dict) and isinstance(change, dict):
        return {
            **present,
            **{key: _merged(present.get(key), value) for key, value in change.items()},
        }
    return change
