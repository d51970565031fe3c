"""Train the network of the second stage, once the detector is there.

A plain loop: it takes minutes, and what there is to see of it is in ``second.csv``. State is kept
in ``checkpoints/second.ckpt``; an interrupted run goes on from there, and gives the same weights.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from metaphase.figures import Label
from metaphase.files import whole_file, write_text
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import Model
from metaphase.models.networks import Network, build_network
from metaphase.training.fit.optimiser import make_optimiser
from metaphase.training.fit.precision import autocast, uses_gpu
from metaphase.training.fit.schedule import make_schedule
from metaphase.training.fit.thresholdselection import detect_cases
from metaphase.training.patches.dataset import patch_dataset
from metaphase.training.patches.loader import worker_options
from metaphase.training.patches.minedplaces import load_mined
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import CompactNetwork, Optimiser, SecondStage
from metaphase.training.secondstage.windows import Pixels, Windows, mined_places

LOG_NAME = "second.csv"
_EVERY = 25
"""Steps between two rows of the log."""
_KEEP = 100
"""Steps between two checkpoints."""


def train_second(
    recipe: Recipe, detector: Model, training: Dataset, crops: Dataset, folder: Path, *, show: bool
) -> Network:
    """Return the trained network of the second stage, in evaluation mode on the CPU.

    ``detector`` is the finished detector; its mistakes on the training regions, and those that were
    mined on the way (``folder/mined``), are what is told from figures.
    """
    settings = _settings(recipe)
    patches = patch_dataset(recipe, training, crops)
    tables = [load_mined(path) for path in sorted((folder / "mined").glob("*.csv"))]
    tables.append(_mistakes(recipe, detector, training, folder, show))
    torch.manual_seed(recipe.seed)
    network = build_network("window", network_options(recipe), (Label.MITOTIC,))
    composer = patches.composer
    windows = Windows(
        patches.sampler.cases,
        patches.slides,
        mined_places(tables),
        settings,
        network.input,
        recipe.augment,
        crops=composer.crops if composer else None,
        seed=recipe.seed,
    )
    run = _Run.start(recipe, settings, network, folder)
    run.go(windows, show=show)
    return run.finished()


def network_options(recipe: Recipe) -> dict[str, Any]:
    """Return what ``build_network`` takes as options of the second stage's network."""
    settings, first = _settings(recipe), recipe.network
    # Weights of another body do not fit this one.
    own = isinstance(first, CompactNetwork) and first.backbone == settings.backbone
    return {
        "backbone": settings.backbone,
        "mpp": settings.window_um / settings.window_px,
        "tile_px": settings.window_px,
        "dropout": settings.dropout,
        "trainable_backbone_layers": settings.trainable_backbone_layers,
        "weights": first.weights if own else "imagenet",
    }


def _settings(recipe: Recipe) -> SecondStage:
    if recipe.second_stage is None:
        raise ValueError("the recipe asks for no second stage")
    return recipe.second_stage


def _mistakes(
    recipe: Recipe, detector: Model, training: Dataset, folder: Path, show: bool
) -> dict[str, np.ndarray]:
    """Return what the finished detector takes for a figure in the training regions.

    What is one is left out by ``Windows``, as of every table of mined places.
    """
    lowest = _settings(recipe).min_score
    found = detect_cases(detector, training, folder / "candidates", min_score=lowest, show=show)
    return {name: one.with_label(Label.MITOTIC).points for name, one in found.items()}


@dataclass
class _Run:
    """A network, what trains it, and how far it is."""

    recipe: Recipe
    settings: SecondStage
    network: Network
    average: AveragedModel
    optimiser: torch.optim.Optimizer
    schedule: Any
    device: torch.device
    folder: Path
    step: int
    rows: list[tuple[int, float, float]]

    @classmethod
    def start(cls, recipe: Recipe, settings: SecondStage, network: Network, folder: Path) -> _Run:
        device = torch.device("cuda" if uses_gpu(recipe.trainer) else "cpu")
        network = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        how = Optimiser(
            learning_rate=settings.learning_rate,
            backbone_factor=settings.backbone_factor,
            weight_decay=settings.weight_decay,
            warmup=settings.warmup,
        )
        optimiser = make_optimiser(network, how)
        run = cls(
            recipe,
            settings,
            network,
            AveragedModel(
                network, multi_avg_fn=get_ema_multi_avg_fn(settings.ema), use_buffers=True
            ),
            optimiser,
            make_schedule(optimiser, how, settings.windows // settings.batch_size),
            device,
            folder,
            0,
            [],
        )
        run._resume()
        return run

    def go(self, windows: Windows, *, show: bool) -> None:
        """Train to the end."""
        self.network.train()
        columns = (
            TextColumn("second stage"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
        )
        console = Console(stderr=True)
        with Progress(*columns, console=console, transient=True, disable=not show) as bar:
            task = bar.add_task("second stage", total=self.steps, completed=self.step)
            for images, wanted in self._batches(windows):
                self._learn(images, wanted)
                bar.update(task, completed=self.step)
                if self.step % _KEEP == 0 or self.step == self.steps:
                    self._keep()
        if show:
            console.print(f"second stage: {self.steps} steps, loss {self.rows[-1][1]:.3f}")

    @property
    def steps(self) -> int:
        """Steps in all."""
        return max(1, self.settings.windows // self.settings.batch_size)

    def finished(self) -> Network:
        """Return the running mean of the network."""
        network = self.average.module
        assert isinstance(network, Network)
        return network.cpu().float().eval()

    def _batches(self, windows: Windows) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        from torch.utils.data import DataLoader

        size = self.settings.batch_size
        loader: DataLoader[Any] = DataLoader(
            windows,  # type: ignore[arg-type]  # it has all that a map-style data set needs
            batch_size=size,
            sampler=range(self.step * size, self.steps * size),
            collate_fn=_collate,
            **worker_options(self.recipe.trainer.workers),
        )
        yield from loader

    def _learn(self, images: torch.Tensor, wanted: torch.Tensor) -> None:
        place = [self.recipe.seed, self.step]
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        images, wanted = images.to(self.device), wanted.to(self.device)
        targets: list[Any] = [
            {"labels": torch.zeros(int(figure), dtype=torch.int64, device=self.device)}
            for figure in wanted
        ]
        with autocast(self.recipe.trainer, self.device):
            maps = self.network(images)
        loss = self.network.loss(maps, targets)["score"]
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 5.0)
        self.optimiser.step()
        self.schedule.step()
        self.average.update_parameters(self.network)
        self.step += 1
        right = ((maps[0].reshape(-1) > 0) == wanted).float().mean()
        if self.step % _EVERY == 0 or self.step == self.steps:
            self.rows.append((self.step, float(loss.detach()), float(right)))

    # --- state

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoints" / "second.ckpt"

    def _keep(self) -> None:
        state = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "step": self.step,
            "rows": self.rows,
        }
        with whole_file(self._checkpoint) as part:
            torch.save(state, part)
        table = io.StringIO()
        writer = csv.writer(table, lineterminator="\n")
        writer.writerow(["step", "loss", "right"])
        writer.writerows((step, f"{loss:.5f}", f"{right:.4f}") for step, loss, right in self.rows)
        write_text(self.folder / LOG_NAME, table.getvalue())

    def _resume(self) -> None:
        if not self._checkpoint.is_file():
            return
        # The optimiser's state holds numbers and lists alone.
        state = torch.load(self._checkpoint, map_location=self.device, weights_only=True)
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])
        self.step, self.rows = state["step"], [tuple(row) for row in state["rows"]]


def _collate(items: Sequence[tuple[Pixels, bool]]) -> tuple[torch.Tensor, torch.Tensor]:
    images = torch.from_numpy(np.stack([image for image, _ in items]))
    return images, torch.tensor([figure for _, figure in items])
