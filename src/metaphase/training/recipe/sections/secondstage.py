"""The section `[second_stage]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metaphase.models.options import Backbone, WindowOptions
from metaphase.training.recipe.sections.base import Section, repeated


class Second(Section):
    """A second stage: a small network that scores a window around each candidate again.

    It is trained when the detector is, on figures and on the detector's mistakes (those that were
    mined and those of the finished detector on the training regions).
    """

    windows: int = Field(default=32_000, gt=0, description="Windows that are seen in all.")
    batch_size: int = Field(default=64, gt=0, description="Windows a step.")
    window_um: float = Field(default=16.0, gt=0, description="Side of a window, um.")
    window_px: int = Field(
        default=96, ge=32, multiple_of=32, description="And in pixels, as the network sees it."
    )
    backbone: Backbone = repeated(WindowOptions, "backbone")
    figures: float = Field(
        default=0.45, gt=0, lt=1, description="Part of the windows that hold a mitotic figure."
    )
    crops: float = Field(
        default=0.45, ge=0, lt=1, description="Part of the windows that come from crops."
    )
    elsewhere: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Part of the figure-free windows of regions that are dark places, not mistakes "
        "of the detector.",
    )
    exchange: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Part of the windows of regions that take the colours of crops, and of crops "
        "those of regions.",
    )
    jitter_um: float = Field(
        default=1.5, ge=0, description="A figure is this far from the middle at most, um."
    )
    away_um: float = Field(
        default=7.0, gt=0, description="Figure-free windows of crops are centred this far from it."
    )
    learning_rate: float = Field(default=1.5e-3, gt=0, description="Peak learning rate.")
    backbone_factor: float = Field(default=0.5, ge=0, description="Of the backbone.")
    weight_decay: float = Field(default=2e-2, ge=0, description="Weight decay.")
    warmup: float = Field(default=0.15, ge=0, lt=1, description="Part in which the rate rises.")
    dropout: float = Field(default=0.3, ge=0, lt=1, description="Dropout before the last layer.")
    trainable_backbone_layers: int = Field(
        default=3, ge=0, le=5, description="Stages of the backbone that are trained, from the last."
    )
    ema: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the running mean of the weights."
    )
    min_score: float = Field(
        default=0.1, ge=0, lt=1, description="Candidates that the detector scores lower are left."
    )
    weight: float = Field(
        default=0.5, ge=0, le=1, description="Of the second score in the (geometric) mean."
    )
    symmetries: Literal[1, 2, 4, 8] = Field(
        default=4, description="Mirrored and turned windows that are averaged."
    )
    stain: Literal["own", "macenko"] = Field(
        default="own",
        description="`macenko`: in detection the stains of an image are exchanged, in the windows, "
        "for those of all training regions together (Macenko et al. 2009); an image that tells too "
        "little of its stains keeps them. Training windows always keep theirs.",
    )
