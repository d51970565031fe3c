"""A small second stage with random weights, and windows whose dots it can learn to score."""

from __future__ import annotations

import numpy as np
import torch

from metaphase.figures import Label
from metaphase.models.networks import build_network

SIDE = 32


def small_network(seed=0):
    torch.manual_seed(seed)
    options = {
        "weights": "none",
        "tile_px": SIDE,
        "mpp": 0.5,
        "strides": (16,),
        "dropout": 0.0,
    }
    network = build_network("window", options, (Label.MITOTIC,)).eval()
    torch.nn.init.normal_(network.score.weight, std=0.05)
    return network


def dots(n, seed=0):
    """Return windows [n] with a dot in the middle, dark in those with target 1, and the targets."""
    rng = np.random.default_rng(seed)
    windows = rng.normal(210, 8, (n, SIDE, SIDE, 3))
    target = (np.arange(n) % 3 == 0).astype(float)
    middle = slice(SIDE // 2 - 5, SIDE // 2 + 5)
    windows[:, middle, middle] -= np.where(target > 0, 150, 40)[:, None, None, None]
    return windows.clip(0, 255).astype(np.uint8), target
