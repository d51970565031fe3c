"""Alignment: features that do not depend on the scanner (Ganin and Lempitsky 2015).

A classifier learns the domain of a patch from the deepest features. Its gradient is reversed before
the features, which therefore lose the domain. Labelled and unlabelled patches are used, masked
places are not. The reference algorithm of MIDOG 2021 did so with RetinaNet's
encoder (Wilm et al. 2021, arXiv:2108.11269). The reversal grows over the run as in the paper.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from metaphase.errors import RecipeError
from metaphase.training.adapt.base import (
    Method,
    Setting,
    Step,
    Targets,
    domain_codes,
    maps_and_features,
)
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import register


class ReversalOptions(AdaptOptions):
    """Gradient-reversal domain classifier (Ganin and Lempitsky 2015; Wilm et al. 2021)."""

    strength: float = Field(
        default=0.1,
        ge=0,
        le=1000,
        description="Weight of the reversed gradient at the end of the run.",
    )
    weight: float = Field(
        default=1.0, gt=0, le=1000, description="Weight of the classifier's own loss."
    )
    hidden: int = Field(default=64, gt=0, le=8192, description="Width of the classifier.")


@register
class GradientReversal(Method):
    """Learns features from which the domain cannot be recognised."""

    name = "gradient-reversal"
    Options = ReversalOptions
    unlabelled = "used"

    def __init__(self, options: ReversalOptions, setting: Setting) -> None:
        super().__init__(options, setting)
        if len(setting.domains) < 2:
            raise RecipeError.of(
                "recipe",
                f"there is one domain only: {', '.join(setting.domains)}",
                record="adapt",
                way_out="name cases of another scanner in data.split.unlabelled, or another 'by'",
            )
        side = setting.network.input.multiple_px
        blank = torch.full((1, side, side, 3), 255, dtype=torch.uint8)
        was_training = setting.network.training
        with torch.no_grad():
            _, features = maps_and_features(setting.network.eval(), blank)
        setting.network.train(was_training)
        self.classifier = nn.Sequential(
            nn.Conv2d(features.shape[1], options.hidden, 1),
            nn.ReLU(),
            nn.Conv2d(options.hidden, len(setting.domains), 1),
        )

    def losses(self, step: Step) -> dict[str, Tensor]:
        """Add the classifier's loss, with equal weight for each domain of the step."""
        strength = self.options.strength * _growth(step.progress)
        parts: list[tuple[Tensor, Targets, int]] = []
        if step.features is not None and step.images is not None:
            parts.append((step.features, step.targets, step.images.shape[1]))
        if step.unlabelled is not None:
            images = step.unlabelled.images
            _, features = step.maps_and_features(images)
            parts.append((features, step.unlabelled.targets, images.shape[1]))
        logits_of, codes = [], []
        for features, targets, side in parts:
            logits = self.classifier(reverse(features.float(), strength))
            logits_of.append(pooled(logits, [t["ignore"] for t in targets], side))
            codes += domain_codes(targets)
        domains = torch.tensor(codes, device=logits_of[0].device)
        known = domains >= 0
        if not known.any():
            return step.losses
        losses = F.cross_entropy(torch.cat(logits_of)[known], domains[known], reduction="none")
        return {**step.losses, "domain": self.options.weight * balanced(losses, domains[known])}


def pooled(logits: Tensor, ignore: list[Tensor], side_px: int) -> Tensor:
    """Return the mean [n, domains] over the cells [n, domains, h, w] that no masked box touches."""
    stride = side_px / logits.shape[-1]
    seen = torch.ones_like(logits[:, :1])
    for image, boxes in enumerate(ignore):
        for x1, y1, x2, y2 in (boxes / stride).tolist():
            rows = slice(max(math.floor(y1), 0), max(math.ceil(y2), 0))
            seen[image, :, rows, max(math.floor(x1), 0) : max(math.ceil(x2), 0)] = 0
    # The sum of a patch that is wholly masked is 0.
    return (logits * seen).sum((2, 3)) / seen.sum((2, 3)).clamp(min=1)


def balanced(losses: Tensor, codes: Tensor) -> Tensor:
    """Return the mean of the domains' mean losses."""
    means = [losses[codes == code].mean() for code in torch.unique(codes)]
    return torch.stack(means).mean()


def reverse(features: Tensor, strength: float) -> Tensor:
    """Return the features unchanged; their gradient is multiplied by ``-strength``."""
    result: Tensor = _Reversal.apply(features, strength)
    return result


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, strength: float) -> Tensor:
        ctx.strength = strength
        return features.view_as(features)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return -ctx.strength * gradients[0], None


def _growth(progress: float) -> float:
    return 2 / (1 + math.exp(-10 * progress)) - 1
