"""The section `[optimiser]`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from metaphase.training.recipe.sections.base import Section


class Optimiser(Section):
    """The optimiser and the schedule of its learning rate."""

    kind: Literal["adamw", "adam", "sgd"] = Field(default="adamw", description="The optimiser.")
    learning_rate: float = Field(default=1e-3, gt=0, le=10, description="Peak learning rate.")
    weight_decay: float = Field(default=1e-4, ge=0, le=10, description="Weight decay.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum of `sgd`.")
    backbone_factor: float = Field(
        default=1.0,
        ge=0,
        le=1000,
        description="The backbone's learning rate is multiplied by this.",
    )
    schedule: Literal["onecycle", "cosine", "constant"] = Field(
        default="onecycle", description="Schedule of the learning rate over the run."
    )
    schedule_step: Literal["step", "epoch"] = Field(
        default="step",
        description="When the schedule advances. `epoch` is the report's trap: the schedule is "
        "planned over the steps but advances once an epoch.",
    )
    warmup: float = Field(
        default=0.3, ge=0, lt=1, description="Part of the run in which the rate rises to its peak."
    )
