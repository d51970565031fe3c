"""The cases of a run: labelled regions, crops around figures, the split, unlabelled regions."""

from __future__ import annotations

from dataclasses import dataclass, field

from metaphase.labels.dataset import Dataset
from metaphase.labels.split import Split
from metaphase.training.data.masked import Masked


@dataclass(frozen=True, slots=True, eq=False)
class Unlabelled:
    """Cases of which only the pixels are used, with the places that are masked in them."""

    cases: Dataset
    masked: Masked

    def __len__(self) -> int:
        return len(self.cases)


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The cases that a recipe names.

    Every figure of ``regions`` is labelled; of ``crops``, small images around a figure, only those
    shown are known.
    """

    regions: Dataset
    crops: Dataset
    split: Split
    masked: Masked = field(default_factory=dict)

    @property
    def training(self) -> Dataset:
        """The region cases that the run trains on."""
        return self.regions.select(self.split.training)

    @property
    def validation(self) -> Dataset:
        """The region cases that the run is validated on."""
        return self.regions.select(self.split.validation)

    @property
    def held_out(self) -> Dataset:
        """The region cases of validation and test."""
        held_out = {*self.split.validation, *self.split.test}
        return self.regions.where(lambda case: case.id in held_out)

    @property
    def unlabelled(self) -> Unlabelled:
        """The region cases of which only the pixels are used."""
        return Unlabelled(self.regions.select(self.split.unlabelled), self.masked)
