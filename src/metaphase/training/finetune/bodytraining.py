"""Fine-tuning of more than the last layer of the second stage.

All weights start from the given network and are pulled back to it (L2-SP: Li et al. 2018, ICML).
Statistics of batch normalisation stay as they are: a review has too few windows to estimate them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch.nn import functional as F

from metaphase.arrays import FloatArray, Pixels
from metaphase.detection.secondstage import turn
from metaphase.models.networks.lite import last_stage
from metaphase.training.finetune.features import ClassifierNetwork, parts_of

Depth = Literal["head", "last", "all"]
"""The last layer; it and the last stage of the backbone; the whole second stage."""

PASSES = 12
"""How often each decision is seen."""
BATCH = 16
LEARNING_RATE = {"last": 3e-4, "all": 1e-4}
PULL = 1e-2
"""Weight of the squared distance from the weights at the start."""
_GAIN = 0.1
_SHIFT = 8.0

Progress = Callable[[int, int], None]
"""Called with the number of steps that are done and in all."""


def fine_tune_body(
    network: ClassifierNetwork,
    windows: Pixels,
    target: FloatArray,
    depth: Literal["last", "all"],
    *,
    seed: int = 0,
    progress: Progress = lambda done, total: None,
) -> ClassifierNetwork:
    """Return a fine-tuned copy of a network. ``windows`` are uint8 [n, side, side, 3].

    ``target`` [n] in [0, 1]. Every step sees figures and other windows in equal number, weighted so
    that the scores stay at the level of the decisions. The same arguments give the same weights.
    """
    tuned = copy.deepcopy(network).eval()
    start = _unfreeze(tuned, depth)
    optimiser = torch.optim.Adam([p for _, p in start], lr=LEARNING_RATE[depth])
    origin = [p.detach().clone() for _, p in start]
    rng = np.random.default_rng(seed)
    steps = max(1, PASSES * len(target) // BATCH)
    sampler = _Sampler(target, rng)
    for step in range(steps):
        rows, weight = sampler.draw()
        images = _varied(windows[rows], rng)
        logits = tuned(images)[0].reshape(-1)
        wanted = torch.from_numpy(target[rows].astype(np.float32))
        loss = F.binary_cross_entropy_with_logits(logits, wanted, weight=weight)
        pull = sum(((p - o) ** 2).sum() for (_, p), o in zip(start, origin, strict=True))
        optimiser.zero_grad(set_to_none=True)
        (loss + PULL * pull).backward()
        optimiser.step()
        progress(step + 1, steps)
    for parameter in tuned.parameters():
        parameter.requires_grad_(False)
    return tuned


def _unfreeze(network: ClassifierNetwork, depth: str) -> list[tuple[str, torch.nn.Parameter]]:
    """Let the layers of a depth be trained, and return them."""
    for part in parts_of(network):
        last = last_stage(part.body)
        for name, parameter in part.named_parameters():
            of_last = name.startswith("score.") or name.removeprefix("body.").startswith(last)
            parameter.requires_grad_(depth == "all" or of_last)
    return [(name, p) for name, p in network.named_parameters() if p.requires_grad]


class _Sampler:
    """Draws balanced batches, and the weights that undo the balance."""

    def __init__(self, target: FloatArray, rng: np.random.Generator) -> None:
        self.rng = rng
        figure = target > 0.5
        self.sides = [np.flatnonzero(figure), np.flatnonzero(~figure)]
        self.share = float(figure.mean())

    def draw(self) -> tuple[np.ndarray, torch.Tensor]:
        """Return the rows of a batch, and the weight of each."""
        figures, others = self.sides
        if not len(figures) or not len(others):
            rows = self.rng.integers(len(figures) + len(others), size=BATCH)
            return rows, torch.ones(BATCH)
        half = BATCH // 2
        rows = np.concatenate([self.rng.choice(figures, half), self.rng.choice(others, half)])
        weight = np.repeat([2 * self.share, 2 * (1 - self.share)], half)
        return rows, torch.from_numpy(weight.astype(np.float32))


def _varied(windows: Pixels, rng: np.random.Generator) -> torch.Tensor:
    """Return windows in random symmetries, a little lighter or darker in each channel."""
    turned = np.stack([turn(window[None], int(rng.integers(8)))[0] for window in windows])
    n = len(turned)
    gain = 1 + rng.uniform(-_GAIN, _GAIN, (n, 1, 1, 3))
    shift = rng.uniform(-_SHIFT, _SHIFT, (n, 1, 1, 3))
    return torch.from_numpy(np.clip(turned * gain + shift, 0, 255).astype(np.float32))
