"""Features of the stages that are not trained, computed once for every view of every figure.

A view is a window around a figure with augmented shape, stain, colour and optics. It is a pure
function of the seed, its number and the figure's batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from metaphase.arrays import IntArray, Pixels
from metaphase.detection.atypical import symmetries
from metaphase.detection.secondstage import turn
from metaphase.models.networks.window import WindowNetwork
from metaphase.training.atypical.figures import LabelledFigures
from metaphase.training.patches.augment import sometimes_compressed
from metaphase.training.patches.sampling import CONTEXTS, rng_for
from metaphase.training.recipe.sections import Atypical, Augment, SecondStage
from metaphase.training.secondstage.variation import Colours, Variation

_BATCH = 64

HalfArray = np.ndarray[tuple[int, ...], np.dtype[np.float16]]


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Maps [views, n, channels, h, w] of the last stage that is not trained: of augmented views,
    and of plain windows in each symmetry that is averaged."""

    views: HalfArray
    plain: HalfArray


def compute_features(
    network: WindowNetwork,
    figures: LabelledFigures,
    settings: Atypical,
    augment: Augment,
    seed: int,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Features:
    """Return the features of all figures. ``report`` is called with windows done and in all."""
    contexts = figures.contexts
    variation = Variation(
        Colours.of(contexts),
        augment,
        SecondStage(
            window_px=settings.window_px,
            jitter_um=settings.jitter_um,
            colour_transfer=settings.colour_transfer,
        ),
        mpp=contexts.mpp,
        window=network.input,
        origins=contexts.origins,
    )
    stages = settings.trained_stages
    total = (settings.views + settings.symmetries) * len(figures)
    done = 0
    parts: dict[bool, list[HalfArray]] = {True: [], False: []}
    numbers = [(True, view) for view in range(settings.views)]
    numbers += [(False, number) for number in symmetries(settings.symmetries)]
    for augmented, number in numbers:
        batches = []
        for start in range(0, len(figures), _BATCH):
            chosen = np.arange(start, min(start + _BATCH, len(figures)))
            if augmented:
                windows = _view(contexts.pixels, contexts.origin, chosen, variation, seed, number)
            else:
                windows = torch.from_numpy(
                    turn(_middle(contexts.pixels[chosen], settings.window_px), number)
                )
            with torch.inference_mode():
                maps = network.features(windows, stages)
            batches.append(maps.numpy().astype(np.float16))
            done += len(chosen)
            report(done, total)
        parts[augmented].append(np.concatenate(batches))
    return Features(np.stack(parts[True]), np.stack(parts[False]))


def _view(
    pixels: Pixels, origin: IntArray, chosen: IntArray, variation: Variation, seed: int, view: int
) -> torch.Tensor:
    rng = rng_for(seed, view, int(chosen[0]), CONTEXTS)
    batch = np.stack([sometimes_compressed(pixels[i], variation.augment.jpeg, rng) for i in chosen])
    state = int(rng.integers(2**31))
    return variation(batch, origin[chosen], torch.Generator().manual_seed(state))


def _middle(contexts: Pixels, side: int) -> Pixels:
    """Return the windows in the middle of contexts [n, s, s, 3]."""
    start = (contexts.shape[1] - side) // 2
    return contexts[:, start : start + side, start : start + side]
