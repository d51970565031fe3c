"""The section `[second_stage]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metaphase.models.options import Backbone, WindowOptions
from metaphase.training.recipe.sections.base import Section, repeated


class SecondStage(Section):
    """A second stage: a small network that classifies a window around each candidate.

    It is trained after the detector, on figures and on the detector's false positives: those that
    were mined during training and those of the finished detector in the training regions.
    """

    windows: int = Field(
        default=32_000, gt=0, le=1_000_000_000, description="Windows of the whole training."
    )
    batch_size: int = Field(default=64, gt=0, le=65_536, description="Windows a step.")
    window_um: float = Field(default=16.0, gt=0, le=1000, description="Side of a window, um.")
    window_px: int = Field(
        default=96, ge=32, le=1024, multiple_of=32, description="Side of a window, px."
    )
    backbone: Backbone = repeated(WindowOptions, "backbone")
    figures: float = Field(
        default=0.45, gt=0, lt=1, description="Part of the windows that show a mitotic figure."
    )
    crops: float = Field(
        default=0.45, ge=0, lt=1, description="Part of the windows that are cut from crops."
    )
    random_negatives: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Part of the figure-free windows of regions that lie at random dark places; "
        "the others lie at false positives of the detector.",
    )
    colour_transfer: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Part of the windows whose colours are transferred: windows of regions get "
        "those of crops, windows of crops those of regions.",
    )
    jitter_um: float = Field(
        default=1.5,
        ge=0,
        le=100,
        description="Largest distance of a figure from the centre of its window, um.",
    )
    negative_distance_um: float = Field(
        default=7.0,
        gt=0,
        le=1000,
        description="Least distance of a crop's figures from the centre of its figure-free "
        "windows, um.",
    )
    learning_rate: float = Field(default=1.5e-3, gt=0, le=10, description="Peak learning rate.")
    backbone_factor: float = Field(
        default=0.5,
        ge=0,
        le=1000,
        description="The backbone's learning rate is multiplied by this.",
    )
    weight_decay: float = Field(default=2e-2, ge=0, le=10, description="Weight decay.")
    warmup: float = Field(
        default=0.15, ge=0, lt=1, description="Part of the training in which the rate rises."
    )
    dropout: float = Field(default=0.3, ge=0, lt=1, description="Dropout before the last layer.")
    trainable_backbone_layers: int = Field(
        default=3, ge=0, le=5, description="Stages of the backbone that are trained, from the last."
    )
    ema: float = Field(
        default=0.99, ge=0, lt=1, description="Decay of the running mean of the weights."
    )
    min_score: float = Field(
        default=0.1, ge=0, lt=1, description="Candidates with a lower score are not rescored."
    )
    weight: float = Field(
        default=0.5,
        ge=0,
        le=1,
        description="Weight of the second stage's score in the geometric mean of both scores.",
    )
    symmetries: Literal[1, 2, 4, 8] = Field(
        default=4, description="Mirrored and rotated windows whose scores are averaged."
    )
    stain_normalisation: Literal["none", "macenko"] = Field(
        default="none",
        description="`macenko`: during detection, the windows' stains are normalised to those of "
        "all training regions together (Macenko et al. 2009); an image with too little stain to "
        "estimate keeps its own. Training windows are not normalised.",
    )
