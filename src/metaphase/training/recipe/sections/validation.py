"""The section `[validation]`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from metaphase.radii import MATCH_RADIUS_UM, MERGE_RADIUS_UM
from metaphase.training.recipe.sections.base import Section


class Validation(Section):
    """How a run is validated: on whole regions."""

    protocol: Literal["regions", "patches"] = Field(
        default="regions",
        description="The protocol that the recipe describes: `regions` are whole, `patches` are "
        "placed at the labels, as in the report. `metaphase doctor` says what that hides. A run is "
        "validated on whole regions in both cases; `metaphase evaluate --protocol exercise` prints "
        "the other number.",
    )
    min_score: float = Field(
        default=0.05, ge=0, lt=1, description="Detections with a lower score are dropped."
    )
    radius_um: float = Field(
        default=MATCH_RADIUS_UM,
        gt=0,
        le=1000,
        description="Largest distance between a figure and a detection that match, um.",
    )
    merge_radius_um: float = Field(
        default=MERGE_RADIUS_UM,
        gt=0,
        le=1000,
        description="Detections within this distance are merged, um.",
    )
    threshold: Annotated[float, Field(ge=0, le=1)] | Literal["chosen"] = Field(
        default="chosen",
        description="`chosen` on the validation cases, or a number fixed beforehand.",
    )
    threshold_note: str = Field(
        default="fixed in the recipe", description="Where a number as `threshold` comes from."
    )
