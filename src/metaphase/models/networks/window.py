"""The network of the second stage: EfficientNet-Lite on a window around each candidate.

It is fully convolutional with one cell a window, so that it is exported, quantised and run like
every other network; what it gives is the score of what is in the middle of the window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metaphase.figures import Label
from metaphase.models.card import HeadSpec, InputSpec
from metaphase.models.cardbase import Level
from metaphase.models.networks.base import Network, Target
from metaphase.models.networks.lite import LITE_NORMALISATION, efficientnet_lite, levels_of
from metaphase.models.options import EnsembleOptions, WindowOptions

_FIRST_BLOCK = {1: 5, 2: 3}
"""By number of trained stages: the first block of EfficientNet that is trained."""
_STRIDE_AFTER = {2: 8, 4: 16, 6: 32}
"""Stride of the map after a block, where the stage ends."""
_SMOOTHING = 0.025
"""Labels are 0.025 and 0.975: experts disagree on more than one figure in forty."""


def window_specs(
    options: WindowOptions | EnsembleOptions, classes: tuple[Label, ...]
) -> tuple[InputSpec, HeadSpec]:
    """Return input and head of a network that gives one answer a window."""
    side = options.tile_px
    return (
        InputSpec(mpp=options.mpp, tile_px=side, margin_px=0, multiple_px=side),
        HeadSpec(kind="window", levels=(Level(stride=side),), classes=classes),
    )


class WindowNetwork(Network):
    """EfficientNet-Lite features of some strides, averaged over the window, and one layer."""

    kind = "window"

    def __init__(self, options: WindowOptions, classes: tuple[Label, ...]) -> None:
        super().__init__(classes, *window_specs(options, classes), LITE_NORMALISATION)
        self.settings = options
        self.body = efficientnet_lite(
            options.backbone,
            options.weights,
            trainable=options.trainable_backbone_layers,
            levels=levels_of(options.strides),
        )
        self.dropout = nn.Dropout(options.dropout)
        self.score = nn.Conv2d(sum(self.body.feature_info.channels()), len(classes), 1)
        nn.init.normal_(self.score.weight, std=0.01)
        self.score.bias = nn.Parameter(torch.zeros(len(classes)))

    def pooled(self, images: Tensor) -> Tensor:
        """Return the features [n, d, 1, 1] of windows [n, window, window, 3]: the input of the last
        layer."""
        levels = self.body(self.normalise(images))
        return torch.cat([level.mean((2, 3), keepdim=True) for level in levels], dim=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits [n, classes, 1, 1] of windows [n, window, window, 3]."""
        return (self.score(self.dropout(self.pooled(images))),)

    def features(self, images: Tensor, trained_stages: int) -> Tensor:
        """Return the map of the last stage before those that are trained: stride 16 where one stage
        is, stride 8 where two are."""
        body = self.body
        maps = body.bn1(body.conv_stem(self.normalise(images)))
        for block in body.blocks[: _FIRST_BLOCK[trained_stages]]:
            maps = block(maps)
        return cast(Tensor, maps)

    def from_features(self, maps: Tensor, trained_stages: int) -> Tensor:
        """Return logits [n, classes] of such maps; the same as ``forward`` of their images."""
        pooled = self.pooled_after(maps, trained_stages)[:, :, None, None]
        logits: Tensor = self.score(self.dropout(pooled))[:, :, 0, 0]
        return logits

    def pooled_after(self, maps: Tensor, trained_stages: int) -> Tensor:
        """Return the features [n, channels] of such maps that the last layer sees."""
        first, levels = _FIRST_BLOCK[trained_stages], []
        for number in range(first - 1, len(self.body.blocks)):
            if number >= first:
                maps = self.body.blocks[number](maps)
            if _STRIDE_AFTER.get(number) in self.settings.strides:
                levels.append(maps)
        return torch.cat([level.mean((2, 3)) for level in levels], dim=1)

    def untrained(self, trained_stages: int) -> Iterator[nn.Parameter]:
        """Yield the parameters of the stages before those that are trained."""
        body = self.body
        for part in (body.conv_stem, body.bn1, *body.blocks[: _FIRST_BLOCK[trained_stages]]):
            yield from part.parameters()

    def loss(self, maps: tuple[Tensor, ...], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Return "score": cross entropy. A window holds what its target has a point for."""
        logits = maps[0].float()[:, :, 0, 0]
        expected = torch.full_like(logits, _SMOOTHING)
        for row, target in zip(expected, targets, strict=True):
            row[target["labels"]] = 1 - _SMOOTHING
        return {"score": F.binary_cross_entropy_with_logits(logits, expected)}
