"""The names of the files in the folders of a training run and of a cross-validation.

A run:

recipe.toml            the recipe with every default written out
split.json             which cases were trained and validated on
environment.json       versions, computer, command, precision
metrics.csv            the curves, one row an epoch; tensorboard/ has them too
mined/                 hard negatives mined during training
checkpoints/           last.ckpt, previous.ckpt and best.ckpt, with full state
candidates/            candidates of the detector in the training regions, for the second stage
second.csv             the curve of the second stage, where the recipe has one
atypical.csv           left-out logits of the network for atypical figures, where it has one
detections/            detections of the finished model in the validation cases
evaluation.json        and their scores
model/                 the model file

A cross-validation has a run for each fold (with the detections in the cases that it left out),
scores.json and cross-validation.json.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

MODEL_NAME = "model"
METRICS_NAME = "metrics.csv"
EVALUATION_NAME = "evaluation.json"
CROSS_VALIDATION_NAME = "cross-validation.json"


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The files of one run."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The resolved recipe."""
        return self.path / "recipe.toml"

    @property
    def split(self) -> Path:
        """The cases that were trained and validated on."""
        return self.path / "split.json"

    @property
    def environment(self) -> Path:
        """Versions, computer and command."""
        return self.path / "environment.json"

    @property
    def metrics(self) -> Path:
        """The curves."""
        return self.path / METRICS_NAME

    @property
    def tensorboard(self) -> Path:
        """The folder of TensorBoard's curves."""
        return self.path / "tensorboard"

    @property
    def mined(self) -> Path:
        """The folder of mined hard negatives."""
        return self.path / "mined"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def last_checkpoint(self) -> Path:
        """The state after the last epoch."""
        return self.checkpoints / "last.ckpt"

    @property
    def previous_checkpoint(self) -> Path:
        """The state one epoch earlier."""
        return self.checkpoints / "previous.ckpt"

    @property
    def best_checkpoint(self) -> Path:
        """The state with the best validation."""
        return self.checkpoints / "best.ckpt"

    def second_stage_checkpoint(self, member: int = 0) -> Path:
        """The state of the training of a network of the second stage."""
        return self.checkpoints / f"{_second(member)}.ckpt"

    def second_stage_metrics(self, member: int = 0) -> Path:
        """The curve of a network of the second stage."""
        return self.path / f"{_second(member)}.csv"

    @property
    def atypical_checkpoint(self) -> Path:
        """The finished trainings of the network for atypical figures."""
        return self.checkpoints / "atypical.ckpt"

    @property
    def atypical_logits(self) -> Path:
        """The logits of figures by networks that did not see their case."""
        return self.path / "atypical.csv"

    @property
    def candidates(self) -> Path:
        """The folder of candidates in the training regions."""
        return self.path / "candidates"

    @property
    def detections(self) -> Path:
        """The folder of detections in the validation cases."""
        return self.path / "detections"

    @property
    def left_out(self) -> Path:
        """The folder of detections in the cases that a fold left out."""
        return self.path / "left-out"

    @property
    def evaluation(self) -> Path:
        """The scores on the validation cases."""
        return self.path / EVALUATION_NAME

    @property
    def model(self) -> Path:
        """The model file, a folder."""
        return self.path / MODEL_NAME

    @property
    def has_progress(self) -> bool:
        """Whether there is something that a run can be resumed from."""
        files = (self.last_checkpoint, self.previous_checkpoint, self.model / "card.json")
        return any(file.is_file() for file in files)

    def clear(self) -> None:
        """Remove what a run writes before its first checkpoint; other files stay."""
        for file in (self.recipe, self.split, self.environment, self.metrics):
            file.unlink(missing_ok=True)
        for folder in (self.mined, self.tensorboard):
            shutil.rmtree(folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class CrossValidationFolder:
    """The files of one cross-validation."""

    path: Path

    @property
    def result(self) -> Path:
        """The thresholds and scores of all folds."""
        return self.path / CROSS_VALIDATION_NAME

    @property
    def scores(self) -> Path:
        """The pooled scores."""
        return self.path / "scores.json"

    def fold(self, name: str) -> RunFolder:
        """The run of the fold that leaves ``name`` out."""
        safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
        return RunFolder(self.path / safe)


def _second(member: int) -> str:
    return f"second-{member + 1}" if member else "second"
