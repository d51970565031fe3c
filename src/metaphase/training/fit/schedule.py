"""The learning-rate schedule: a pure function that training and the doctor share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from metaphase.training.recipe.sections import Optimiser

if TYPE_CHECKING:
    from torch.optim import Optimizer
    from torch.optim.lr_scheduler import LambdaLR

START_DIVISOR = 25.0
END_DIVISOR = 1e4
"""The first rate is the peak / 25, the last one the first / 10,000: PyTorch's OneCycleLR."""


def rate_factor(optimiser: Optimiser, step: int, steps: int) -> float:
    """Return what the peak learning rate is multiplied by at ``step`` (from 0) of ``steps``.

    "onecycle" is Smith and Topin 2017 as in PyTorch's ``OneCycleLR`` (cosine up, cosine down);
    "cosine" warms up in a line and falls to 0 (Loshchilov and Hutter 2016); "constant" stays after
    its warm-up. ``rates`` says which steps are taken.
    """
    step = min(step, steps - 1)
    if optimiser.schedule == "onecycle":
        return _onecycle(step, steps, optimiser.warmup)
    warm = optimiser.warmup * steps
    if step < warm:
        return (step + 1) / (math.ceil(warm) + 1)
    if optimiser.schedule == "constant":
        return 1.0
    return _cosine(1.0, 0.0, (step - warm) / max(steps - warm, 1))


def rates(optimiser: Optimiser, *, steps_per_epoch: int, epochs: int) -> list[float]:
    """Return the learning rate of every step of a run.

    With ``schedule_step = "epoch"`` the schedule is planned over all steps but advances only once
    an epoch: it hardly moves.
    """
    steps = steps_per_epoch * epochs
    every = steps_per_epoch if optimiser.schedule_step == "epoch" else 1
    peak = optimiser.learning_rate
    return [peak * rate_factor(optimiser, step // every, steps) for step in range(steps)]


def make_schedule(optimiser: Optimizer, settings: Optimiser, steps: int) -> LambdaLR:
    """Return PyTorch's schedule over ``steps`` optimiser steps; see ``rate_factor``."""
    from torch.optim.lr_scheduler import LambdaLR

    return LambdaLR(optimiser, lambda step: rate_factor(settings, step, steps))


def _onecycle(step: int, steps: int, warmup: float) -> float:
    start = 1 / START_DIVISOR
    top = warmup * steps - 1
    if step <= top:
        return _cosine(start, 1.0, step / top if top > 0 else 1.0)
    return _cosine(1.0, start / END_DIVISOR, (step - top) / max(steps - 1 - top, 1))


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) / 2 * (1 + math.cos(math.pi * part))
