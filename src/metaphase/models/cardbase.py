"""What the parts of a model card share: strict fields, and the levels of output maps."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Side = Annotated[float, Field(gt=0, le=65536)]


class Strict(BaseModel):
    """A frozen model that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Level(Strict):
    """One pair of output maps."""

    stride: float = Field(gt=0, le=1024, description="Tile pixels per cell.")
    anchors: tuple[tuple[Side, Side], ...] = Field(
        default=(),
        max_length=64,
        description="Width and height in pixels of each anchor; none for centre heads.",
    )
