"""A training in a process that may be killed; importing this imports all that a training needs."""

from __future__ import annotations

from pathlib import Path

import pytorch_lightning  # noqa: F401
import tensorboard  # noqa: F401
import timm  # noqa: F401
import torch

from metaphase.training.fit import fit  # noqa: F401
from metaphase.training.train import train
from tests.training import cheap

torch.set_num_threads(1)


def run_training(recipe: Path, out: Path, graphs: Path) -> None:
    """Train quietly. Exported graphs are kept in the folder ``graphs``."""
    torch.set_num_threads(1)
    with cheap.small_networks(), cheap.kept_graphs(graphs):
        train(recipe, out=out, show=False)
