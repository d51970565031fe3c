"""Dots on pink from two scanners, one of them unlabelled, and a recipe that learns them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from metaphase.models.networks import Network, build_network
from metaphase.training.adapt.base import Setting, Step, UnlabelledBatch, maps_and_features
from metaphase.training.adapt.training import setting_of
from metaphase.training.recipe.recipe import Recipe, load_recipe

from ..dots import RECIPE, write_dots

TINY = {"weights": "none", "width": 16, "depth": 1, "tile_px": 192}


def scene(folder: Path, *overrides: str, adapt: str = "") -> Recipe:
    """Four labelled cases of scanners A and B, and two unlabelled ones that look different."""
    write_dots(folder)
    new = folder / "new"
    new.mkdir()
    for number in range(2):
        pixels = np.asarray(Image.open(folder / "images" / f"case{number}.png")).astype(float)
        yellow = (pixels * [0.8, 0.9, 0.7]).clip(0, 255).astype(np.uint8)
        Image.fromarray(yellow).save(new / f"new{number}.png")
    text = RECIPE.replace(
        'sources = [{ labels = "labels.json", images = "images" }]',
        'sources = [{ name = "old", labels = "labels.json", images = "images" },\n'
        '{ name = "new", labels = "new", kind = "images", mpp = 0.25, scanner = "N" }]',
    ).replace(
        'split = { training = ["case0", "case1", "case2"], validation = ["case3"] }',
        'split = { training = ["old/case0", "old/case1", "old/case2"], '
        'validation = ["old/case3"], unlabelled = ["new/*"] }',
    )
    path = folder / "recipe.toml"
    path.write_text(text + adapt)
    return load_recipe(path, overrides)


def tiny_network(seed: int = 0) -> Network:
    torch.manual_seed(seed)
    return build_network("compact", TINY)


def setting(recipe: Recipe, network: Network, *domains: str) -> Setting:
    return setting_of(recipe, network, domains or ("A", "B", "N"), 2)


def target(
    domain: int = 0, *points: tuple[float, float], ignore: object = ()
) -> dict[str, torch.Tensor]:
    at = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    return {
        "points": at,
        "boxes": torch.cat([at - 20, at + 20], dim=1),
        "labels": torch.zeros(len(at), dtype=torch.int64),
        "ignore": torch.tensor(ignore, dtype=torch.float32).reshape(-1, 4),
        "domain": torch.tensor(domain),
    }


def images(n: int, seed: int = 0, side: int = 96) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (n, side, side, 3), dtype=torch.uint8, generator=generator)


def unlabelled(n: int = 2, ignore: object = ()) -> UnlabelledBatch:
    return UnlabelledBatch(images(n, 1), images(n, 2), [target(2, ignore=ignore) for _ in range(n)])


TWO = [target(0, (40, 40)), target(1, (50, 20))]
"""Targets of two patches, one of each domain."""


def step_of(
    network: Network,
    targets: list[dict[str, torch.Tensor]],
    batch: UnlabelledBatch | None = None,
    progress: float = 1.0,
) -> Step:
    """Return a step with a labelled patch for each of the targets."""
    pixels = images(len(targets))
    maps, features = maps_and_features(network, pixels)
    losses = network.loss(maps, targets)  # type: ignore[arg-type]
    return Step(network, pixels, targets, maps, features, losses, batch, progress)
