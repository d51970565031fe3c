"""One training of the last stages on cached features; a pure function of its arguments."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from metaphase.arrays import FloatArray, IntArray, Rng
from metaphase.models.networks.window import WindowNetwork
from metaphase.training.atypical.features import Features, HalfArray
from metaphase.training.atypical.figures import LabelledFigures
from metaphase.training.fit.optimiser import make_optimiser
from metaphase.training.fit.schedule import make_schedule
from metaphase.training.patches.sampling import CONTEXTS, rng_for
from metaphase.training.recipe.sections import Atypical, Optimiser

_STREAM = 1_000_000  # sets the numbers of batches apart from those of views


def fit(
    network: WindowNetwork,
    features: Features,
    figures: LabelledFigures,
    chosen: IntArray,
    settings: Atypical,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> WindowNetwork:
    """Train the last stages on the figures ``chosen`` [k]; return the running mean of the network.

    ``report`` is called with steps done and in all.
    """
    sampler = _Sampler(figures, chosen, settings, seed)
    _freeze(network, settings.trained_stages)
    how = Optimiser(
        learning_rate=settings.learning_rate,
        backbone_factor=settings.backbone_factor,
        weight_decay=settings.weight_decay,
        warmup=settings.warmup,
    )
    steps = max(1, round(settings.epochs * len(chosen) / settings.batch_size))
    optimiser = make_optimiser(network, how)
    schedule = make_schedule(optimiser, how, steps)
    average = AveragedModel(
        network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema), use_buffers=True
    )
    network.train()
    for step in range(steps):
        torch.manual_seed(seed + step)  # dropout
        maps, target = sampler.batch(features.views, step)
        logits = network.from_features(maps, settings.trained_stages)[:, 0]
        loss = F.binary_cross_entropy_with_logits(logits, target)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        average.update_parameters(network)
        report(step + 1, steps)
    trained = average.module
    assert isinstance(trained, WindowNetwork)
    return trained.eval()


def logits_of(
    network: WindowNetwork, features: Features, chosen: IntArray, settings: Atypical
) -> FloatArray:
    """Return the mean logits [k] of figures over the symmetries."""
    total = np.zeros(len(chosen))
    with torch.inference_mode():
        for maps in features.plain:
            for start in range(0, len(chosen), settings.batch_size):
                part = chosen[start : start + settings.batch_size]
                logits = network.from_features(_tensor(maps[part]), settings.trained_stages)
                total[start : start + settings.batch_size] += logits[:, 0].double().numpy()
    return total / len(features.plain)


class _Sampler:
    """Draws batches: a pure function of seed and step."""

    def __init__(
        self, figures: LabelledFigures, chosen: IntArray, settings: Atypical, seed: int
    ) -> None:
        self.settings, self.seed = settings, seed
        self.target = figures.share * (1 - 2 * settings.smoothing) + settings.smoothing
        _, case = np.unique(np.asarray(figures.group), return_inverse=True)
        weight = np.bincount(case).astype(np.float64)[case] ** -settings.case_balance
        self.parts = []
        for kind in (figures.atypical, ~figures.atypical):
            members = chosen[kind[chosen]]
            self.parts.append((members, np.cumsum(weight[members])))

    def batch(self, views: HalfArray, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the maps and the targets of a step."""
        rng = rng_for(self.seed, _STREAM, step, CONTEXTS)
        size = self.settings.batch_size
        atypical = int(rng.binomial(size, self.settings.atypical_share))
        rows = np.concatenate(
            [
                _draw(rng, *part, n)
                for part, n in zip(self.parts, (atypical, size - atypical), strict=True)
            ]
        )
        view = rng.integers(len(views), size=size)
        maps, target = _tensor(views[view, rows]), torch.from_numpy(self.target[rows]).float()
        if self.settings.mixup > 0:
            part = float(rng.beta(self.settings.mixup, self.settings.mixup))
            other = torch.from_numpy(rng.permutation(size))
            maps = part * maps + (1 - part) * maps[other]
            target = part * target + (1 - part) * target[other]
        return maps, target


def _draw(rng: Rng, members: IntArray, edges: FloatArray, n: int) -> IntArray:
    at = np.searchsorted(edges, rng.random(n) * edges[-1], side="right")
    return np.asarray(members[np.minimum(at, len(members) - 1)])


def _tensor(maps: HalfArray) -> torch.Tensor:
    values = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))
    return values.contiguous(memory_format=torch.channels_last)


def _freeze(network: WindowNetwork, trained_stages: int) -> None:
    """Let the optimiser leave out what the features were computed with."""
    for parameter in network.untrained(trained_stages):
        parameter.requires_grad_(False)
