"""Several networks of the second stage as one: each sees another part of the window.

A small part shows the figure in detail, a large one its surroundings. Their errors differ, so that
the mean of their logits ranks better than each of them (Lakshminarayanan et al. 2017).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from metaphase.figures import Label
from metaphase.models.networks.base import Network, Target
from metaphase.models.networks.lite import LITE_NORMALISATION
from metaphase.models.networks.window import WindowNetwork, window_specs
from metaphase.models.options import EnsembleOptions, WindowOptions


class EnsembleNetwork(Network):
    """The mean of the logits of its members, each a ``WindowNetwork`` on the middle of a window."""

    kind = "ensemble"

    def __init__(self, options: EnsembleOptions, classes: tuple[Label, ...]) -> None:
        super().__init__(classes, *window_specs(options, classes), LITE_NORMALISATION)
        self.settings = options
        self.members = nn.ModuleList(
            WindowNetwork(member_options(options, number), classes)
            for number in range(len(options.members))
        )

    def pooled(self, images: Tensor) -> Tensor:
        """Return the features [n, d, 1, 1] of all members, joined in their order."""
        found = []
        for number, member in enumerate(self.members):
            assert isinstance(member, WindowNetwork)
            found.append(member.pooled(self.view(images, number)))
        return torch.cat(found, dim=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return logits [n, classes, 1, 1] of windows [n, window, window, 3]."""
        logits = [
            network(self.view(images, number))[0] for number, network in enumerate(self.members)
        ]
        total = logits[0]
        for more in logits[1:]:
            total = total + more
        return (total / len(logits),)

    def view(self, images: Tensor, number: int) -> Tensor:
        """Return what a member sees of windows: float [n, side, side, 3] in 0..255."""
        member = self.settings.members[number]
        start = (self.settings.tile_px - member.crop_px) // 2
        end = start + member.crop_px
        part = images[:, start:end, start:end].float()
        if member.crop_px == member.tile_px:
            return part
        size = (member.tile_px, member.tile_px)
        part = F.interpolate(
            part.permute(0, 3, 1, 2), size=size, mode="bilinear", align_corners=False
        )
        return part.permute(0, 2, 3, 1)

    def loss(self, maps: tuple[Tensor, ...], targets: Sequence[Target]) -> dict[str, Tensor]:
        """Members are trained one by one: see ``WindowNetwork.loss``."""
        raise NotImplementedError


def member_options(options: EnsembleOptions, number: int) -> WindowOptions:
    """Return the options of a member, with its own resolution."""
    member = options.members[number]
    return WindowOptions(
        mpp=options.mpp * member.crop_px / member.tile_px,
        tile_px=member.tile_px,
        strides=options.strides,
        backbone=options.backbone,
        weights=options.weights,
        trainable_backbone_layers=options.trainable_backbone_layers,
        dropout=options.dropout,
    )
