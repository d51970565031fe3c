"""Augmentation of 256 px patches, each step alone, compared with training the network on them.

One thread. Synthetic tissue of two scanners; steps that need a second domain use the other scanner.
The compact network in bfloat16: forward, backward and optimiser step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.scene import Row, cpu_seconds_of
from metaphase.arrays import Pixels
from metaphase.figures import Label
from metaphase.phantom.region import render_region
from metaphase.stain.macenko import Macenko
from metaphase.stain.reinhard import Reinhard
from metaphase.training.patches.augment import STEPS, vary
from metaphase.training.recipe.sections import Augment

_PATCH, _BATCH = 256, 8
_PATCHES = {"tiny": 8, "small": 64, "large": 256}


def rows(size: str = "small") -> Iterator[Row]:
    """Yield milliseconds a patch, and what part of the network's step that is."""
    count = _PATCHES[size]
    ours, theirs = (_patches(scanner, count) for scanner in "AB")
    network = _milliseconds(_training_step(ours), count)

    def row(what: str, took: float) -> Row:
        text = f"{took:.2f} ms a patch"
        return what, text, f"{network:.1f} ms of training", f"{took / network:.1%}"

    for name, _ in STEPS:
        yield row(name, _milliseconds(_varied(ours, theirs, _only(name)), count))
    everything = Augment.model_validate({"camera": {"matrix": 0.1}})
    yield row(
        "the default augmentation, and camera",
        _milliseconds(_varied(ours, theirs, everything), count),
    )
    for normaliser in (Macenko.estimate(theirs[0]), Reinhard.estimate(theirs[0])):
        if normaliser is not None:
            what = f"normalised to another scanner ({normaliser.name})"
            yield row(what, _milliseconds(lambda n=normaliser: [n(image) for image in ours], count))


def _patches(scanner: str, count: int) -> Pixels:
    """Return patches [count, side, side, 3] of synthetic tissue, drawn with overlap."""
    side = 1024
    region, _ = render_region(ord(scanner), side, side, scanner)
    rng = np.random.default_rng(0)
    corners = rng.integers(0, side - _PATCH, (count, 2)).tolist()
    return np.stack([region[y : y + _PATCH, x : x + _PATCH] for x, y in corners])


def _only(name: str) -> Augment:
    """Return settings with one step for every patch, and no other."""
    return Augment.model_validate(
        {other: {"probability": float(other == name)} for other, _ in STEPS}
    )


def _varied(images: Pixels, others: Pixels, settings: Augment) -> Callable[[], None]:
    def run() -> None:
        for index, image in enumerate(images):
            rng = np.random.default_rng(index)
            vary(image, settings, rng, lambda _, other=others[index]: other)

    return run


def _training_step(images: Pixels) -> Callable[[], None]:
    import torch

    from metaphase.models.networks import build_network

    torch.set_num_threads(1)
    network = build_network("compact", {"weights": "none"}, (Label.MITOTIC,)).train()
    network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-5)
    middle = float(_PATCH / 2)
    target = {
        "points": torch.tensor([[middle, middle]]),
        "boxes": torch.tensor([[middle - 25, middle - 25, middle + 25, middle + 25]]),
        "labels": torch.tensor([Label.MITOTIC.code]),
        "ignore": torch.zeros(0, 4),
    }

    def run() -> None:
        for start in range(0, len(images), _BATCH):
            batch = torch.from_numpy(images[start : start + _BATCH])
            with torch.autocast("cpu", dtype=torch.bfloat16):
                losses = network.loss(network(batch), [target] * len(batch))
            optimiser.zero_grad()
            torch.stack([loss.float() for loss in losses.values()]).sum().backward()
            optimiser.step()

    return run


def _milliseconds(run: Callable[[], Any], count: int) -> float:
    """Return the CPU time a patch, after a first call that prepares itself."""
    run()
    return 1000 * cpu_seconds_of(run) / count
