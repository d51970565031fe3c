"""The section `[validation]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metaphase.training.recipe.sections.base import Section


class Validation(Section):
    """How a run is judged: on whole regions."""

    protocol: Literal["regions", "patches"] = Field(
        default="regions",
        description="How the recipe means to be judged: `regions` are whole, `patches` are "
        "placed by the truth, as in the report. The doctor tells what that hides. A run is judged "
        "on whole regions either way; `metaphase evaluate --protocol exercise` prints the other "
        "number.",
    )
    min_score: float = Field(
        default=0.05, ge=0, lt=1, description="Scores below it are not looked at."
    )
    radius_um: float = Field(
        default=7.5, gt=0, description="Detections this near to a figure match, um."
    )
    merge_radius_um: float = Field(
        default=7.5, gt=0, description="Detections this near are one, um."
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["chosen"] = Field(
        default="chosen",
        description="`chosen` on the validation cases, or a number fixed beforehand.",
    )
    threshold_note: str = Field(
        default="fixed in the recipe", description="Where a number as `threshold` comes from."
    )
