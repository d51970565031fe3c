"""Statistics re-estimated on the new scanner: AdaBN (Li et al. 2017, ICLR workshop).

Every batch normalisation gets mean and variance of unlabelled patches; no weight moves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from pydantic import Field
from torch import Tensor, nn

from metaphase.errors import RecipeError
from metaphase.models.networks import Network
from metaphase.training.adapt.base import Method
from metaphase.training.adapt.options import AdaptOptions
from metaphase.training.adapt.registry import register


class StatisticsOptions(AdaptOptions):
    """Batch statistics re-estimated on unlabelled patches after training (AdaBN: Li et al.
    2017)."""

    patches: int = Field(default=256, gt=0, le=1_000_000, description="Unlabelled patches used.")
    keep: float = Field(
        default=0.0, ge=0, le=1, description="Part of the old statistics that is kept."
    )


@register
class AdaBN(Method):
    """Re-estimates the statistics when the weights are final."""

    name = "adabn"
    Options = StatisticsOptions
    unlabelled = "needed"

    def finish(self, network: Network, draw: Callable[[int], Iterator[Tensor]] | None) -> None:
        """Exchange the statistics."""
        assert draw is not None
        re_estimate(network, draw(self.options.patches), keep=self.options.keep)


@torch.no_grad()
def re_estimate(network: Network, batches: Iterator[Tensor], *, keep: float = 0.0) -> None:
    """Set the statistics of every batch normalisation to those of some patches.

    Mean and variance are pooled over all batches: E[x] and E[x^2] - E[x]^2. On the way each layer
    sees what the layers before make of the batch's own statistics. Raises RecipeError where the
    network has no such layer.
    """
    layers = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    layers = [layer for layer in layers if layer.running_mean is not None]
    if not layers:
        raise RecipeError.of(
            "adabn",
            f"a network of kind {network.kind!r} has no batch statistics to re-estimate",
            way_out="use mean-teacher",
        )
    sums = [_Sums() for _ in layers]
    handles = [
        layer.register_forward_pre_hook(lambda m, x, s=s: s.add(x[0]))
        for layer, s in zip(layers, sums, strict=True)
    ]
    momenta = [layer.momentum for layer in layers]
    seen = [layer.num_batches_tracked for layer in layers]
    seen = [count if count is None else count.clone() for count in seen]
    modes = {module: module.training for module in network.modules()}
    network.eval()
    for layer in layers:
        layer.train()
        layer.momentum = 0.0
    device = next(network.parameters()).device
    try:
        for images in batches:
            network(images.to(device))
    finally:
        for handle in handles:
            handle.remove()
        for layer, momentum, count in zip(layers, momenta, seen, strict=True):
            layer.momentum, layer.num_batches_tracked = momentum, count
        for module, mode in modes.items():
            module.training = mode
    for layer, s in zip(layers, sums, strict=True):
        mean, variance = s.result()
        assert layer.running_mean is not None
        assert layer.running_var is not None
        layer.running_mean.lerp_(mean.to(layer.running_mean), 1 - keep)
        layer.running_var.lerp_(variance.to(layer.running_var), 1 - keep)


class _Sums:
    """Adds up x and x^2 a channel."""

    def __init__(self) -> None:
        self.count = 0
        self.first: Tensor | float = 0.0
        self.second: Tensor | float = 0.0

    def add(self, x: Tensor) -> None:
        x = x.double()
        self.count += x.numel() // x.shape[1]
        self.first = self.first + x.sum((0, 2, 3))
        self.second = self.second + (x * x).sum((0, 2, 3))

    def result(self) -> tuple[Tensor, Tensor]:
        mean = torch.as_tensor(self.first) / self.count
        return mean, (torch.as_tensor(self.second) / self.count - mean * mean).clamp(min=1e-12)
