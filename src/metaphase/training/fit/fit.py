"""From a recipe to a Lightning run: loaders, callbacks, checkpoints, resume."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
)
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, Subset

from metaphase.labels.dataset import Dataset
from metaphase.models.networks import Network, Target
from metaphase.training.adapt.training import Adapting
from metaphase.training.data.trainingdata import Unlabelled
from metaphase.training.fit.history import History
from metaphase.training.fit.mining import Mining
from metaphase.training.fit.module import DetectorModule
from metaphase.training.fit.precision import autocast, precision_of
from metaphase.training.fit.progress import Progress
from metaphase.training.fit.regionvalidation import GridTiles, RegionScorer, collate_tiles
from metaphase.training.patches.dataset import patch_dataset
from metaphase.training.patches.loader import patch_loader
from metaphase.training.recipe.recipe import Recipe

PRECISION = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
MONITOR = "validation/f1"
WORST_MONITOR = "validation/worst_f1"


def fit(
    recipe: Recipe,
    network: Network,
    training: Dataset,
    validation: Dataset,
    folder: Path,
    *,
    crops: Dataset | None = None,
    unlabelled: Unlabelled | None = None,
    show: bool = True,
) -> tuple[DetectorModule, pl.Trainer]:
    """Train a network and return its module with the weights that ``trainer.keep`` asks for.

    Checkpoints go to ``folder/checkpoints`` (``last.ckpt`` after every epoch, ``best.ckpt`` by F1);
    where a ``last.ckpt`` is there, the run goes on from it. Without validation cases nothing is
    judged on the way and the last weights are kept.
    """
    _quiet()
    judged = len(validation) > 0
    patches = patch_dataset(recipe, training, crops, unlabelled)
    scorer = RegionScorer(recipe, network, validation)
    mining = Mining(recipe, patches, folder)
    trainer = _trainer(recipe, folder, judged=judged, mining=mining, show=show)
    steps_per_epoch = _steps_per_epoch(recipe, len(patches), trainer.world_size)
    adapting = Adapting(recipe, network, patches, unlabelled)
    module = DetectorModule(
        network,
        recipe,
        steps=steps_per_epoch * recipe.trainer.epochs,
        scorer=scorer,
        methods=adapting.methods,
    )
    train_loader = patch_loader(
        patches,
        batch_size=recipe.trainer.batch_size,
        workers=recipe.trainer.workers,
        rank=trainer.global_rank,
        world=trainer.world_size,
        pin_memory=torch.cuda.is_available(),
    )
    loaders: list[Any] = [adapting.beside(train_loader, trainer)]
    if judged:
        loaders.append(_grid_loader(recipe, network, validation, trainer))
    last = folder / "checkpoints" / "last.ckpt"
    with warnings.catch_warnings():
        # Lightning's advice on worker counts and log intervals is no news to the user.
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        trainer.fit(
            module,
            *loaders,
            ckpt_path=last if last.is_file() else None,
            weights_only=False,  # our own checkpoint, with the state of optimiser and callbacks
        )
    if judged and recipe.trainer.keep == "best":
        _load_best(module, folder)
    adapting.finish(module.network)
    return module, trainer


def _trainer(
    recipe: Recipe, folder: Path, *, judged: bool, mining: Mining, show: bool
) -> pl.Trainer:
    settings = recipe.trainer
    callbacks: list[pl.Callback] = [History(folder), LearningRateMonitor("step")]
    if settings.ema > 0:
        callbacks.append(EMAWeightAveraging(decay=settings.ema))
    if recipe.sampling.mine_at:
        callbacks.append(mining)
    if show:
        callbacks.append(Progress())
    checkpoints = folder / "checkpoints"
    callbacks.append(
        ModelCheckpoint(
            checkpoints, filename="last", save_on_train_epoch_end=True, enable_version_counter=False
        )
    )
    if judged:
        monitor = MONITOR if settings.worst_of is None else WORST_MONITOR
        callbacks.append(
            ModelCheckpoint(
                checkpoints,
                filename="best",
                monitor=monitor,
                mode="max",
                save_on_train_epoch_end=False,
                enable_version_counter=False,
            )
        )
        if settings.early_stopping:
            callbacks.append(
                EarlyStopping(monitor, mode="max", patience=settings.early_stopping, verbose=False)
            )
    return pl.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices if settings.devices != "auto" else _devices(settings.accelerator),
        num_nodes=settings.nodes,
        strategy="ddp" if _processes(recipe) > 1 else "auto",
        max_epochs=settings.epochs,
        precision=PRECISION[precision_of(settings)],
        gradient_clip_val=settings.gradient_clip or None,
        accumulate_grad_batches=settings.accumulate,
        check_val_every_n_epoch=settings.validate_every,
        num_sanity_val_steps=0,
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        callbacks=callbacks,
        default_root_dir=folder,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10,
        use_distributed_sampler=False,
    )


def _devices(accelerator: str) -> int | str:
    """One process on a CPU: PyTorch uses its cores. Every device on a GPU machine."""
    return "auto" if accelerator != "cpu" and torch.cuda.is_available() else 1


def _processes(recipe: Recipe) -> int:
    devices = recipe.trainer.devices
    here = torch.cuda.device_count() if devices == "auto" else devices
    return max(1, here) * recipe.trainer.nodes


def _steps_per_epoch(recipe: Recipe, patches: int, world: int) -> int:
    batches = max(1, patches // world // recipe.trainer.batch_size)
    return -(-batches // recipe.trainer.accumulate)


def _grid_loader(
    recipe: Recipe, network: Network, cases: Dataset, trainer: pl.Trainer
) -> DataLoader[Any]:
    tiles = GridTiles(recipe, network, cases)
    mine = range(trainer.global_rank, len(tiles), trainer.world_size)
    return DataLoader(
        Subset(tiles, mine),  # type: ignore[arg-type]  # map-style, as DataLoader wants
        batch_size=recipe.trainer.batch_size,
        collate_fn=collate_tiles,
        num_workers=0,
    )


def _load_best(module: DetectorModule, folder: Path) -> None:
    best = folder / "checkpoints" / "best.ckpt"
    state = torch.load(best, map_location="cpu", weights_only=False)["state_dict"]
    module.load_state_dict(state)


def measure_step(recipe: Recipe, *, steps: int = 3) -> float:
    """Return the seconds of one training step (forward, loss, backward), the median of a few."""
    import time

    from metaphase.models.networks import build_network

    options = recipe.network_options()
    network = build_network(recipe.network.kind, options, recipe.classes, pretrained=False)
    network = network.to(memory_format=torch.channels_last)
    side, batch = recipe.sampling.patch_px, recipe.trainer.batch_size
    images = torch.randint(0, 256, (batch, side, side, 3), dtype=torch.uint8)
    target: Target = {
        "points": torch.tensor([[side / 2, side / 2]]),
        "boxes": torch.tensor([[side / 2 - 25, side / 2 - 25, side / 2 + 25, side / 2 + 25]]),
        "labels": torch.zeros(1, dtype=torch.int64),
    }
    cpu = torch.device("cpu")
    seconds = []
    for _ in range(steps + 1):
        start = time.perf_counter()
        with autocast(recipe.trainer, cpu):
            maps = network(images)
        losses = network.loss(maps, [target] * batch)
        torch.stack(list(losses.values())).sum().backward()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds[1:]))  # the first one pays for set-up


def _quiet() -> None:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
