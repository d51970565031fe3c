"""Patches in batches: PyTorch's DataLoader over a ``PatchDataset``, whose epoch is in the index."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from metaphase.training.patches.dataset import PatchDataset
from metaphase.training.patches.patch import Patch

if TYPE_CHECKING:
    pass


class EpochIndices:
    """The indices that one of ``world`` devices reads in an epoch; a sampler for DataLoader.

    Lightning calls ``set_epoch`` before each epoch. Every device gets the same number.
    """

    def __init__(self, length: int, *, rank: int = 0, world: int = 1, epoch: int = 0) -> None:
        self.length, self.rank, self.world, self.epoch = length, rank, world, epoch

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return max(self.length // self.world, 1)

    def __iter__(self) -> Iterator[int]:
        start = self.epoch * self.length
        for step in range(len(self)):
            yield start + (step * self.world + self.rank) % self.length


def collate(patches: Sequence[Patch]) -> tuple[Any, list[dict[str, Any]]]:
    """Return images (uint8 tensor [n, size, size, 3]) and a target a patch, for a network."""
    import torch

    images = torch.from_numpy(np.stack([patch.image for patch in patches]))
    targets = [
        {
            "points": torch.from_numpy(patch.points).float(),
            "boxes": torch.from_numpy(patch.boxes).float(),
            "labels": torch.from_numpy(patch.labels),
            "ignore": torch.from_numpy(patch.ignore).float(),
            "domain": torch.tensor(patch.domain),
        }
        for patch in patches
    ]
    return images, targets


def patch_loader(
    patches: PatchDataset,
    *,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
    pin_memory: bool = False,
) -> Any:
    """Return a DataLoader of (images, targets). Its ``sampler.set_epoch`` moves on."""
    from torch.utils.data import DataLoader

    return DataLoader(
        patches,  # type: ignore[arg-type]  # it has all that a map-style dataset needs
        batch_size=batch_size,
        sampler=EpochIndices(len(patches), rank=rank, world=world),
        collate_fn=collate,
        drop_last=len(patches) // world >= batch_size,
        pin_memory=pin_memory,
        **worker_options(workers),
    )


def worker_options(workers: int) -> dict[str, Any]:
    """Return DataLoader's options on worker processes.

    They are forked from a fork server, a clean process, so that no lock or thread of this process
    is copied; they live through all epochs.
    """
    if workers == 0:
        return {"num_workers": 0}
    return {
        "num_workers": workers,
        "multiprocessing_context": _context(),
        "persistent_workers": True,
        "prefetch_factor": 4,
    }


def _context() -> Any:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["torch", "metaphase.training.patches.dataset"])
    return context
