"""What a recipe's ``[adapt]`` can say of any method; a method's file adds its own fields."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metaphase.training.recipe.sections import Section


class AdaptOptions(Section):
    """A method that makes the detector hold up on other scanners. Several are given as
    `[[adapt]]`, and are applied in their order."""

    method: str = Field(description="Name of the method; its own fields stand beside it.")
    by: Literal["scanner", "tumour", "species", "laboratory", "group"] | None = Field(
        default=None,
        description="Domains that the method tells apart; by default those of "
        "`sampling.balance_by`, or scanners.",
    )
    unlabelled_share: float = Field(
        default=0.5,
        gt=0,
        le=2,
        description="Unlabelled patches a step, in parts of the batch, where the method uses any.",
    )
