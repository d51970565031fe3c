"""The time of one training step, measured with a network of random weights on random pixels."""

from __future__ import annotations

import time

import numpy as np
import torch

from metaphase.models.networks import Target, build_network
from metaphase.training.fit.precision import autocast
from metaphase.training.recipe.recipe import Recipe


def measure_step(recipe: Recipe, *, steps: int = 3) -> float:
    """Return the seconds of one training step (forward, loss, backward), the median of a few."""
    options = recipe.network_options()
    network = build_network(recipe.network.kind, options, recipe.classes, pretrained=False)
    network = network.to(memory_format=torch.channels_last)
    side, batch = recipe.sampling.patch_px, recipe.trainer.batch_size
    images = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8)
    target: Target = {
        "points": torch.tensor([[side / 2, side / 2]]),
        "boxes": torch.tensor([[side / 2 - 25, side / 2 - 25, side / 2 + 25, side / 2 + 25]]),
        "labels": torch.zeros(1, dtype=torch.int64),
    }
    cpu = torch.device("cpu")
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        with autocast(recipe.trainer, cpu):
            maps = network(images)
        losses = network.loss(maps, [target] * batch)
        torch.stack(list(losses.values())).sum().backward()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))  # the first one pays for set-up
