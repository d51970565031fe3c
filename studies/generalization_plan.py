"""The methods of ``studies.generalization`` as parts of a recipe, and the runs' folders."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Table = dict[str, Any]

PARTS: dict[str, Table] = {
    "nothing": {},
    "augment": {"augment": {"strength": 1.0, "mpp_jitter": 0.1, "camera": {"matrix": 0.1}}},
    "strong": {"augment": {"strength": 1.6, "mpp_jitter": 0.15, "camera": {"matrix": 0.15}}},
    "stain-transfer": {
        "augment": {
            "stain_transfer": {"method": "macenko", "probability": 0.3},
            "partner_by": "scanner",
        }
    },
    "fourier": {"augment": {"fourier": {"probability": 0.3}, "partner_by": "scanner"}},
    "balance": {
        "sampling": {"balance_by": "scanner"},
        "trainer": {"worst_of": "scanner"},
        "adapt": [{"method": "worst-domain"}],
    },
    "align": {"adapt": [{"method": "gradient-reversal", "by": "scanner"}]},
    "teacher": {"adapt": [{"method": "mean-teacher", "by": "scanner"}]},
    "adabn": {"adapt": [{"method": "adabn", "by": "scanner"}]},
}
"""What each method adds to the recipe that does nothing: no augmentation but symmetries."""

ROWS = ("nothing", "augment", "balance", "align", "teacher", "adabn", "best")
NEEDS_SEVERAL = ("balance",)
"""Methods that mean nothing where one scanner only is labelled."""


@dataclass(frozen=True)
class Plan:
    """What is measured and where it is kept."""

    out: Path
    best: tuple[str, ...]
    epochs: int
    seed: int
    tiny: bool
    methods: tuple[str, ...] = ()

    def rows(self, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return the methods that are measured."""
        return self.methods or default

    def parts(self, method: str) -> tuple[str, ...]:
        """Return the names of the parts of a method."""
        return self.best if method == "best" else tuple(method.split("+"))

    def result(self, name: str) -> Path:
        """Return where a run's result is; those of other settings lie elsewhere."""
        tried = "tiny" if self.tiny else f"epochs-{self.epochs}_seed-{self.seed}"
        named = name.replace("best", "+".join(self.best)).replace(" ", "-").replace(":", "/")
        return self.out / tried / named / "result.json"


def method_names() -> list[str]:
    """Return the names that methods may have."""
    return list(PARTS)


def with_method(recipe: Table, parts: tuple[str, ...]) -> Table:
    """Return a recipe with the parts of a method added to it."""
    result = copy.deepcopy(recipe)
    for name in parts:
        for section, values in PARTS[name].items():
            if section == "adapt":
                result["adapt"] = [*result.get("adapt", []), *values]
            else:
                result[section] = {**result.get(section, {}), **values}
    if result.get("augment", {}).get("strength") == 0 and {"stain-transfer", "fourier"} & set(
        parts
    ):
        # These are variations too: with them alone, all the others are off.
        off = ("stain", "tone", "colour", "blur", "sharpen", "noise", "jpeg")
        result["augment"] |= {"strength": 1.0, **{name: {"probability": 0.0} for name in off}}
    return result
