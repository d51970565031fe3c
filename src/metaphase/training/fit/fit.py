"""From a recipe to a Lightning run: loaders, callbacks, checkpoints, resume."""

from __future__ import annotations

import logging
import warnings
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import (
    EarlyStopping,
    EMAWeightAveraging,
    LearningRateMonitor,
)
from pytorch_lightning.loggers import TensorBoardLogger
from torch.utils.data import DataLoader, Subset

from metaphase.labels.dataset import Dataset
from metaphase.models.networks import Network
from metaphase.training.adapt.training import Adapting
from metaphase.training.data.trainingdata import TrainingData
from metaphase.training.fit.checkpoints import (
    CheckpointFiles,
    RunCheckpoint,
    checkpoint_to_resume,
    read_checkpoint,
)
from metaphase.training.fit.history import History
from metaphase.training.fit.mining import Mining
from metaphase.training.fit.module import DetectorModule
from metaphase.training.fit.precision import precision_of
from metaphase.training.fit.progress import Progress
from metaphase.training.fit.regionvalidation import GridTiles, RegionScorer, collate_tiles
from metaphase.training.patches.dataset import PatchDataset, patch_dataset
from metaphase.training.patches.loader import patch_loader
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import Trainer
from metaphase.training.runfolder import RunFolder

LIGHTNING_PRECISION = {"bf16": "bf16-mixed", "fp16": "16-mixed", "fp32": "32-true"}
MONITOR = "validation/f1"
WORST_MONITOR = "validation/worst_f1"


def fit(
    recipe: Recipe, network: Network, data: TrainingData, folder: RunFolder, *, show: bool = True
) -> tuple[DetectorModule, pl.Trainer]:
    """Train a network and return its module with the weights that ``trainer.keep`` asks for.

    A checkpoint is written after every epoch, another one for the best F1; where the folder has a
    last one, the run is resumed from it. Without validation cases the last weights are kept.
    Raises InputError for a checkpoint that is none.
    """
    _silence_lightning()
    patches = patch_dataset(recipe, data.training, data.crops, data.unlabelled)
    trainer = _trainer(recipe, folder, patches, validated=len(data.validation) > 0, show=show)
    adapting = Adapting(recipe, network, patches, data.unlabelled)
    module = DetectorModule(
        network,
        recipe,
        steps=_steps_per_epoch(recipe, len(patches), trainer.world_size) * recipe.trainer.epochs,
        scorer=RegionScorer(recipe, network, data.validation),
        methods=adapting.methods,
    )
    loaders = [adapting.with_unlabelled(_train_loader(recipe, patches, trainer), trainer)]
    if len(data.validation):
        loaders.append(_validation_loader(recipe, network, data.validation, trainer))
    with warnings.catch_warnings():
        # Lightning's advice on workers and log intervals does not concern users of metaphase.
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        trainer.fit(module, *loaders, ckpt_path=checkpoint_to_resume(folder), weights_only=True)
    if len(data.validation) and recipe.trainer.keep == "best":
        module.load_state_dict(read_checkpoint(folder.best_checkpoint)["state_dict"])
    adapting.finish(module.network)
    return module, trainer


def _trainer(
    recipe: Recipe, folder: RunFolder, patches: PatchDataset, *, validated: bool, show: bool
) -> pl.Trainer:
    settings = recipe.trainer
    mining = Mining(recipe, patches, folder)
    return pl.Trainer(
        accelerator=settings.accelerator,
        devices=settings.devices if settings.devices != "auto" else _devices(settings),
        num_nodes=settings.nodes,
        strategy="ddp" if _processes(settings) > 1 else "auto",
        max_epochs=settings.epochs,
        precision=LIGHTNING_PRECISION[precision_of(settings)],
        gradient_clip_val=settings.gradient_clip or None,
        accumulate_grad_batches=settings.accumulate,
        check_val_every_n_epoch=settings.validate_every,
        num_sanity_val_steps=0,
        logger=TensorBoardLogger(folder.path, name="", version=folder.tensorboard.name),
        callbacks=_callbacks(recipe, folder, mining, validated=validated, show=show),
        plugins=[CheckpointFiles(folder)],
        default_root_dir=folder.path,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=10,
        use_distributed_sampler=False,
    )


def _callbacks(
    recipe: Recipe, folder: RunFolder, mining: Mining, *, validated: bool, show: bool
) -> list[pl.Callback]:
    settings = recipe.trainer
    callbacks: list[pl.Callback] = [History(folder.metrics), LearningRateMonitor("step")]
    if settings.ema > 0:
        callbacks.append(EMAWeightAveraging(decay=settings.ema))
    if recipe.sampling.mine_at:
        callbacks.append(mining)
    if show:
        callbacks.append(Progress())
    callbacks.append(
        RunCheckpoint(
            folder.checkpoints,
            filename=folder.last_checkpoint.stem,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
    )
    return callbacks + (_validation_callbacks(settings, folder) if validated else [])


def _validation_callbacks(settings: Trainer, folder: RunFolder) -> list[pl.Callback]:
    """Return what keeps the best checkpoint, and stops early where the recipe says so."""
    monitor = MONITOR if settings.worst_of is None else WORST_MONITOR
    best = RunCheckpoint(
        folder.checkpoints,
        filename=folder.best_checkpoint.stem,
        monitor=monitor,
        mode="max",
        save_on_train_epoch_end=False,
        enable_version_counter=False,
    )
    if not settings.early_stopping:
        return [best]
    patience = settings.early_stopping
    return [best, EarlyStopping(monitor, mode="max", patience=patience, verbose=False)]


def _devices(settings: Trainer) -> int | str:
    """Return one process on a CPU, whose cores PyTorch uses; on a GPU machine every device."""
    return "auto" if settings.accelerator != "cpu" and torch.cuda.is_available() else 1


def _processes(settings: Trainer) -> int:
    here = torch.cuda.device_count() if settings.devices == "auto" else settings.devices
    return max(1, here) * settings.nodes


def _steps_per_epoch(recipe: Recipe, patches: int, world: int) -> int:
    batches = max(1, patches // world // recipe.trainer.batch_size)
    return -(-batches // recipe.trainer.accumulate)


def _train_loader(recipe: Recipe, patches: PatchDataset, trainer: pl.Trainer) -> Any:
    return patch_loader(
        patches,
        batch_size=recipe.trainer.batch_size,
        workers=recipe.trainer.workers,
        rank=trainer.global_rank,
        world=trainer.world_size,
        pin_memory=torch.cuda.is_available(),
    )


def _validation_loader(
    recipe: Recipe, network: Network, cases: Dataset, trainer: pl.Trainer
) -> DataLoader[Any]:
    tiles = GridTiles(recipe, network, cases)
    of_this_process = range(trainer.global_rank, len(tiles), trainer.world_size)
    return DataLoader(
        Subset(tiles, of_this_process),  # type: ignore[arg-type]  # map-style, as DataLoader wants
        batch_size=recipe.trainer.batch_size,
        collate_fn=collate_tiles,
        num_workers=0,
    )


def _silence_lightning() -> None:
    for name in ("pytorch_lightning", "lightning.pytorch", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
