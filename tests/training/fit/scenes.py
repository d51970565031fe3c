"""Dots that a network of a few numbers finds without training, and a recipe for them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from metaphase.figures import Label
from metaphase.labels.dataset import Dataset
from metaphase.labels.read import load_dataset
from metaphase.models.networks.base import Network
from metaphase.training.recipe.recipe import Recipe
from tests.models.tiny import TinyNetwork, TinyOptions
from tests.training.dots import dots_recipe


def dots(folder: Path, *overrides: str, cases: int = 2, figures: int = 5) -> tuple[Recipe, Dataset]:
    """Write regions of 320 px with dark dots, all of them labelled."""
    recipe = dots_recipe(folder, "trainer.cache_mb=0", *overrides, cases=cases, figures=figures)
    return recipe, load_dataset(folder / "labels.json", images=folder / "images")


def dot_network() -> Network:
    """A network whose score is the darkness: 0.1 to 0.3 on a dot, below 0.02 elsewhere."""
    torch.manual_seed(0)
    network = TinyNetwork(TinyOptions(), (Label.MITOTIC,))
    network.options = {"weights": "none", "tile_px": 128}
    torch.nn.init.zeros_(network.offset.weight)
    return network.eval()


def without_figures(cases: Dataset, *names: str, keep: int = 0) -> Dataset:
    """Return the cases with all figures but the first ``keep`` of some removed."""
    return Dataset(
        (
            replace(case, figures=case.figures[:keep]) if case.id in names else case
            for case in cases
        ),
        name=cases.name,
    )
