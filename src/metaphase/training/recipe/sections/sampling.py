"""The section `[sampling]`: which patches a run sees."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from metaphase.training.recipe.sections.base import RecipePath, Section


class Shares(Section):
    """Parts of the patches by what they are drawn around."""

    mitotic: float = Field(default=0.4, ge=0, le=1e6, description="Around a mitotic figure.")
    hard_negative: float = Field(
        default=0.3, ge=0, le=1e6, description="Around a hard negative, labelled or mined."
    )
    random: float = Field(default=0.3, ge=0, le=1e6, description="Anywhere in a region.")

    @model_validator(mode="after")
    def _some(self) -> Shares:
        if self.mitotic + self.hard_negative + self.random <= 0:
            raise ValueError("at least one share must be positive")
        return self


class Sampling(Section):
    """Which patches a run sees."""

    patch_px: int = Field(
        default=256, ge=32, le=4096, description="Side of a patch at the network's resolution, px."
    )
    patches_per_epoch: int | None = Field(
        default=None, gt=0, le=10_000_000, description="Patches of an epoch over all cases."
    )
    patches_per_case: int | None = Field(
        default=None, gt=0, le=1_000_000, description="Patches of an epoch for each case, instead."
    )
    scheme: Literal["mixture", "exercise"] = Field(
        default="mixture",
        description="`mixture`: by `shares`. `exercise`: half around a random mitotic figure if "
        "the region has any, else uniform.",
    )
    shares: Shares = Field(
        default=Shares(),
        description="Parts of the mixture; a kind that a case lacks is replaced by random patches.",
    )
    offset: Literal["uniform", "centre", "corner-at-centre"] = Field(
        default="uniform",
        description="Where in the patch the figure lies: anywhere, in its centre, or with its "
        "box's top-left corner in the centre (the report's trap).",
    )
    rim_px: int = Field(
        default=24, ge=0, le=2048, description="With `uniform`, least distance to the border, px."
    )
    balance_by: Literal["scanner", "tumour", "species", "laboratory", "group", "none"] = Field(
        default="scanner", description="Domains that are drawn equally often."
    )
    balance_cases: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Within a domain, 0: every figure (or mm2) is equally likely, 1: every case.",
    )
    mined: RecipePath | None = Field(
        default=None,
        description="CSV `case,x_px,y_px` of false positives, used as hard negatives.",
    )
    mined_weight: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        description="Weight of a mined place relative to a labelled hard negative.",
    )
    mine_at: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = Field(
        default=(),
        description="Parts of the run after which false positives in the training regions are "
        "mined as hard negatives (`[0.3, 0.6]`).",
    )
    mine_score: float = Field(
        default=0.1, ge=0, le=1, description="Lowest score of a false positive that is mined."
    )
    crops_share: float = Field(
        default=0.3,
        ge=0,
        le=1,
        description="Part of the patches that are composed of crops, if there is a source of "
        "crops; `shares` divides the rest.",
    )
    crops_negatives: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Pasted negatives (pieces without a mitotic figure) for each pasted figure, "
        "pasted in the same way, so that the paste is no sign of a figure.",
    )
    crops_mosaics: float = Field(
        default=0.25,
        ge=0,
        le=1,
        description="Part of the composed patches whose background is a mosaic of figure-free "
        "strips of crops, so that the scanner is no sign of a figure; the others lie on a region.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Sampling:
        if (self.patches_per_epoch is None) == (self.patches_per_case is None):
            raise ValueError("give either patches_per_epoch or patches_per_case")
        if 2 * self.rim_px >= self.patch_px:
            raise ValueError("rim_px leaves no room in patch_px")
        return self
