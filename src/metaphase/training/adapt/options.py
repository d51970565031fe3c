"""The fields of ``[adapt]`` that all methods have; a method's file adds its own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metaphase.training.recipe.sections import Section


class AdaptOptions(Section):
    """A method of domain adaptation. Several are given as `[[adapt]]` and applied in order."""

    method: str = Field(description="Name of the method; its own fields stand beside it.")
    by: Literal["scanner", "tumour", "species", "laboratory", "group"] | None = Field(
        default=None,
        description="Kind of domains of the method; by default that of "
        "`sampling.balance_by`, or scanners.",
    )
    unlabelled_share: float = Field(
        default=0.5,
        gt=0,
        le=2,
        description="Unlabelled patches a step, in parts of the batch, where the method uses any.",
    )
