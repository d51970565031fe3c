"""How an imported graph is fed and its outputs are read: the part ``foreign`` of a model card.

The graph of an imported model stays as it was. Detection makes its input of uint8 RGB tiles
(``detection/foreign/tileinput.py``) and decodes its outputs (``detection/foreign/decode.py``).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from metaphase.models.cardbase import Level, Strict
from metaphase.models.foreignkinds import (
    BoxFormat,
    Colour,
    Decoding,
    Kind,
    Layout,
    Number,
    Resize,
    ScoreKind,
)

Side = Annotated[int, Field(gt=0, le=16384)]


class ForeignInput(Strict):
    """The input of the graph.

    A tile is resized to the input, divided by ``divisor``, and normalised with ``mean`` and
    ``std``, which are those of R, G, B; then its channels are put in order.
    """

    layout: Layout = Field(description="Order of batch, channels, height and width.")
    number: Number = Field(description="Type of the numbers.")
    width_px: Side = Field(description="Width of the input.")
    height_px: Side = Field(description="Height of the input.")
    batch: int = Field(1, gt=0, le=256, description="Tiles in a call.")
    colour: Colour = Field("rgb", description="Order of the channels.")
    divisor: float = Field(255.0, gt=0, description="Grey levels 0 to 255 are divided by this.")
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[
        Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]
    ] = (1.0, 1.0, 1.0)
    resize: Resize = Field(
        "none", description="How a tile of another size becomes the input; letterbox adds a border."
    )
    border: int = Field(114, ge=0, le=255, description="Grey level of the border.")


class ForeignOutput(Strict):
    """The outputs of the graph and how they become points."""

    decoding: Decoding
    names: tuple[str, ...] = Field(
        min_length=1, max_length=64, description="Outputs that are read."
    )
    positions: tuple[Annotated[int, Field(ge=0, lt=1024)], ...] = Field(
        description="Their places among the graph's outputs."
    )
    batched: tuple[bool, ...] = Field(description="Which of them have the batch as first axis.")
    classes: tuple[str, ...] = Field(
        min_length=1,
        max_length=1024,
        description="Classes by number. Those that end in * are no detections.",
    )
    first_label: Literal[0, 1] = Field(0, description="Number of the first class.")
    class_axis: Literal["first", "last"] = Field(
        "last", description="Axis of the classes, of the outputs of one tile."
    )
    scores: ScoreKind = "probability"
    box_format: BoxFormat = "xyxy"
    unit_boxes: bool = Field(False, description="Boxes are shares of the input's sides.")
    levels: tuple[Level, ...] = Field(
        default=(), max_length=16, description="Strides and anchors of raw RetinaNet and FCOS maps."
    )

    @model_validator(mode="after")
    def _check_lengths(self) -> ForeignOutput:
        if not len(self.names) == len(self.positions) == len(self.batched):
            raise ValueError("names, positions and batched are of different lengths")
        return self


class ForeignGraph(Strict):
    """An imported graph: where it comes from, its input, and its outputs."""

    kind: Kind
    file: str = Field(description="Name of the file that was imported.")
    producer: str = Field("", description="Program that wrote it.")
    input: ForeignInput
    output: ForeignOutput
    assumed: tuple[str, ...] = Field(
        default=(), description="What neither the graph nor the user states."
    )
