"""A finding of the doctor, and the patient that is examined."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from metaphase.arrays import FloatArray
from metaphase.labels.dataset import Case, Dataset
from metaphase.training.data.trainingdata import TrainingData
from metaphase.training.patches.minedplaces import load_mined
from metaphase.training.patches.sampling import Sampler, sampling_case
from metaphase.training.recipe.anchors import box_sizes
from metaphase.training.recipe.recipe import Recipe
from metaphase.units import scanner_mpp


class Level(StrEnum):
    """Severity. Only errors prevent a training."""

    OK = "ok"
    NOTE = "note"
    TRAP = "trap"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """One result of a check: severity, place in the recipe, message, number, way out."""

    level: Level
    where: str
    message: str
    measured: str = ""
    way_out: str = ""


@dataclass(frozen=True)
class Patient:
    """A recipe with its labels and split. Training cases are those that can be trained on."""

    recipe: Recipe
    data: TrainingData

    @cached_property
    def training(self) -> Dataset:
        """The labelled training cases."""
        return self._part(self.data.split.training)

    @cached_property
    def held_out(self) -> Dataset:
        """The labelled cases of validation and test."""
        return self._part((*self.data.split.validation, *self.data.split.test))

    @cached_property
    def sizes(self) -> FloatArray:
        """The training figures' boxes [n, 2] in pixels of the network's input."""
        return box_sizes(self.training, self.recipe.network.mpp, self.recipe.data.box_um)

    @cached_property
    def sampler(self) -> Sampler | None:
        """The sampler of the run, from the labels alone; None where they lack image sizes."""
        recipe, by = self.recipe, self.recipe.sampling.balance_by
        mined = recipe.sampling.mined
        places = load_mined(mined) if mined and mined.is_file() else {}
        known = [
            sampling_case(
                case,
                width_px=case.width_px,
                height_px=case.height_px,
                mpp=mpp_of(case) or recipe.network.mpp,
                domain="" if by == "none" else case.domain(by),
                mined=places.get(case.id),
                ignore_radius_um=recipe.data.ignore_radius_um,
            )
            for case in self.training
            if case.width_px and case.height_px
        ]
        if not known:
            return None
        return Sampler(
            known,
            recipe.sampling,
            mpp=recipe.network.mpp,
            mpp_jitter=recipe.augment.mpp_jitter,
            seed=recipe.seed,
        )

    @property
    def patches_per_epoch(self) -> int:
        """The patches of an epoch over all devices."""
        sampling = self.recipe.sampling
        if sampling.patches_per_epoch is not None:
            return sampling.patches_per_epoch
        return (sampling.patches_per_case or 0) * len(self.training)

    @property
    def steps_per_epoch(self) -> int:
        """The optimiser's steps an epoch, on as many devices as the recipe says."""
        trainer = self.recipe.trainer
        devices = trainer.devices if isinstance(trainer.devices, int) else 1
        patches = self.patches_per_epoch // (devices * trainer.nodes)
        return max(1, -(-max(1, patches // trainer.batch_size) // trainer.accumulate))

    def _part(self, ids: Sequence[str]) -> Dataset:
        of_part = set(ids)
        return self.data.regions.where(lambda case: case.labelled and case.id in of_part)


def mpp_of(case: Case) -> float | None:
    """Return the resolution by the labels or the scanner, um/px; None where it is unknown."""
    return case.mpp or scanner_mpp(case.scanner)


def shown(names: Iterable[object], most: int = 5) -> str:
    """Return the first names, and how many more there are."""
    words = [str(name) for name in names]
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
