"""Progress of a run in the terminal: a bar for the steps, a line for each finished epoch."""

from __future__ import annotations

import time
from typing import Any

import pytorch_lightning as pl
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress

from metaphase.training.fit.history import stages_of

_SHOWN = {
    "loss": "train/loss",
    "F1": "validation/f1",
    "precision": "validation/precision",
    "recall": "validation/recall",
}


class Progress(pl.Callback):
    """Progress on stderr, on the first process only. A log file gets the lines without the bar."""

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._bar: RichProgress | None = None
        self._task: TaskID | None = None
        self._start = 0.0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Show the bar, and after which epoch a run is resumed."""
        self._start = time.monotonic()
        if not trainer.is_global_zero:
            return
        if trainer.current_epoch:
            self.console.print(f"resuming after epoch {trainer.current_epoch}")
        self._bar = RichProgress(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("steps"),
            TimeRemainingColumn(),
            console=self.console,
            transient=True,
            disable=not self.console.is_terminal,
        )
        total = int(trainer.estimated_stepping_batches)
        self._task = self._bar.add_task("training", total=total, completed=trainer.global_step)
        self._bar.start()

    def on_train_batch_end(self, trainer: pl.Trainer, *rest: Any) -> None:
        """Update the bar."""
        if self._bar and self._task is not None:
            self._bar.update(self._task, completed=trainer.global_step)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Print the epoch's numbers in a line."""
        if not self._bar:
            return
        known = trainer.callback_metrics
        shown = [(name, k) for name, k in _SHOWN.items() if k.startswith(stages_of(trainer))]
        numbers = [f"{name} {float(known[k]):.3f}" for name, k in shown if k in known]
        minutes = (time.monotonic() - self._start) / 60
        epoch = f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}"
        self._bar.console.print(f"{epoch}  {'  '.join(numbers)}  {minutes:.1f} min")

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Remove the bar."""
        self._stop()

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        """Remove the bar after an error."""
        self._stop()

    def _stop(self) -> None:
        if self._bar:
            self._bar.stop()
            self._bar = None
