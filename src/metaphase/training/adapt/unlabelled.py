"""Unlabelled patches for a run: as pure a function of (seed, epoch, index) as the labelled ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from metaphase.training.adapt.base import UnlabelledBatch
from metaphase.training.data.trainingdata import Unlabelled
from metaphase.training.patches.augment import augment, vary
from metaphase.training.patches.loader import EpochIndices, collate, worker_options
from metaphase.training.patches.patch import Patch
from metaphase.training.patches.sampling import UNLABELLED, rng_for
from metaphase.training.patches.unlabelledplaces import TissuePlaces, domain_of
from metaphase.training.recipe.sections import Augment

FINISH_EPOCH = 2**31 - 1
"""The epoch of what is drawn when training is over."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A patch unchanged and strongly augmented, in the same position."""

    plain: Patch
    varied: NDArray[np.uint8]


class UnlabelledPatches:
    """All unlabelled patches of all epochs; ``len`` is an epoch's. ``codes``: of domains."""

    def __init__(
        self,
        unlabelled: Unlabelled,
        settings: Augment,
        *,
        length: int,
        seed: int,
        by: str,
        codes: dict[str, int],
        patch_px: int,
        mpp: float,
        cache_mb: int = 0,
    ) -> None:
        self.length, self.seed, self.settings = length, seed, settings
        self._codes = {case.id: codes.get(domain_of(case, by), -1) for case in unlabelled.cases}
        self.places = TissuePlaces(
            unlabelled.cases,
            by=by,
            patch_px=patch_px,
            mpp=mpp,
            mpp_jitter=settings.mpp_jitter,
            masked=unlabelled.masked,
            cache_mb=cache_mb,
        )

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Pair:
        epoch, index = divmod(int(index), self.length)
        return self.pair(epoch, index)

    def pair(self, epoch: int, index: int) -> Pair:
        """Return patch ``index`` of an epoch."""
        rng = rng_for(self.seed, epoch, index, UNLABELLED)
        patch = self.places.draw(rng)
        assert patch is not None  # only where another domain is asked for can there be none
        plain = self.settings.model_copy(update={"strength": 0.0})
        image, _, ignore = augment(patch.image, patch.points, patch.ignore, plain, rng)
        code = self._codes[patch.spec.case_id]
        patch = replace(patch, image=image, ignore=ignore, domain=code)

        def partner(own: np.random.Generator) -> NDArray[np.uint8] | None:
            other = self.places.draw(own)
            return None if other is None else other.image

        return Pair(patch, vary(image, self.settings, rng, partner))

    def draw(self, count: int, batch: int = 16) -> Iterator[Tensor]:
        """Yield plain patches for what is done when training is over."""
        for start in range(0, count, batch):
            numbers = range(start, min(start + batch, count))
            images = [self.pair(FINISH_EPOCH, number).plain.image for number in numbers]
            yield torch.from_numpy(np.stack(images))


def collate_pairs(pairs: Sequence[Pair]) -> UnlabelledBatch:
    """Return a batch of pairs."""
    images, targets = collate([pair.plain for pair in pairs])
    return UnlabelledBatch(images, torch.from_numpy(np.stack([p.varied for p in pairs])), targets)


def unlabelled_loader(
    patches: UnlabelledPatches,
    *,
    batch_size: int,
    workers: int = 0,
    rank: int = 0,
    world: int = 1,
) -> Any:
    """Return a DataLoader of ``UnlabelledBatch``, a batch a step."""
    from torch.utils.data import DataLoader

    return DataLoader(
        patches,  # type: ignore[arg-type]  # it has all that a map-style dataset needs
        batch_size=batch_size,
        sampler=EpochIndices(len(patches), rank=rank, world=world),
        collate_fn=collate_pairs,
        drop_last=True,
        **worker_options(workers),
    )


Draw = Callable[[int], Iterator[Tensor]]
