"""The compact detector: EfficientNet-Lite, a light feature pyramid, one map at stride 8."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metaphase.figures import Label
from metaphase.models.card import InputSpec
from metaphase.models.networks.base import Network, Target
from metaphase.models.networks.heads import HEADS
from metaphase.models.networks.lite import LITE_NORMALISATION, efficientnet_lite, levels_of
from metaphase.models.options import CompactOptions

_PRIOR = 0.01  # score of an untrained cell (Lin et al. 2017): keeps the first steps calm


class CompactNetwork(Network):
    """EfficientNet-Lite features, at strides 8, 16, 32 or fewer, merged to one map at stride 8."""

    kind = "compact"

    def __init__(self, options: CompactOptions, classes: tuple[Label, ...]) -> None:
        meaning = HEADS[options.head](options, classes)
        super().__init__(
            classes,
            InputSpec(
                mpp=options.mpp,
                tile_px=options.tile_px,
                margin_px=options.margin_px,
                multiple_px=32,
            ),
            meaning.spec,
            LITE_NORMALISATION,
        )
        self.settings = options
        self.meaning = meaning
        self.body = efficientnet_lite(
            options.backbone,
            options.weights,
            trainable=options.trainable_backbone_layers,
            levels=levels_of(options.strides),
        )
        channels = self.body.feature_info.channels()
        self.lateral = nn.ModuleList(_Conv(c, options.width, 1) for c in channels)
        self.smooth = nn.ModuleList(_Separable(options.width) for _ in channels)
        self.tower = nn.Sequential(*(_Separable(options.width) for _ in range(options.depth)))
        self.dropout = nn.Dropout2d(options.dropout)
        self.score = nn.Conv2d(options.width, len(classes), 1)
        self.offset = nn.Conv2d(options.width, meaning.geometry, 1)
        for layer, bias in (self.score, math.log(_PRIOR / (1 - _PRIOR))), (self.offset, 0.0):
            nn.init.normal_(layer.weight, std=0.01)
            layer.bias = nn.Parameter(torch.full((layer.out_channels,), bias))

    def features(self, images: Tensor) -> Tensor:
        """Return the merged features [n, width, h / 8, w / 8]."""
        levels = self.body(self.normalise(images))
        merged: Tensor | None = None
        for feature, lateral, smooth in zip(
            reversed(levels), reversed(self.lateral), reversed(self.smooth), strict=True
        ):
            here = lateral(feature)
            if merged is not None:
                here = here + F.interpolate(merged, scale_factor=2.0, mode="nearest")
            merged = smooth(here)
        assert merged is not None
        shared: Tensor = self.tower(merged)
        return shared

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits [n, classes, h / 8, w / 8] and offsets [n, 2 (boxes: 4), h / 8, w / 8]."""
        shared = self.dropout(self.features(images))
        return self.score(shared), self.offset(shared)

    def loss(self, maps: tuple[Tensor, ...], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return the parts "score" and "offset", both over the number of figures in the batch."""
        return self.meaning.loss(maps, targets)


class _Conv(nn.Sequential):
    def __init__(self, inside: int, outside: int, size: int, groups: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inside, outside, size, padding=size // 2, groups=groups, bias=False),
            nn.BatchNorm2d(outside),
        )


class _Separable(nn.Sequential):
    """A 3x3 layer on each channel, then 1x1 across them: a ninth of the work of a full 3x3."""

    def __init__(self, width: int) -> None:
        super().__init__(
            _Conv(width, width, 3, groups=width), _Conv(width, width, 1), nn.ReLU6(inplace=True)
        )
