"""The curves of a run: a row an epoch. They are part of the checkpoint, for a resumed run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from metaphase.csvfile import csv_text
from metaphase.files import write_text


class History(pl.Callback):
    """Writes a table (CSV) after every epoch: epoch, step, learning rate, losses, scores."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[dict[str, float]] = []

    def state_dict(self) -> dict[str, Any]:
        """Return the rows, for a checkpoint."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the rows of a resumed run."""
        self.rows = list(state_dict["rows"])

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Add a row for the epoch, whose validation has ended."""
        if trainer.sanity_checking:
            return
        row: dict[str, float] = {
            "epoch": trainer.current_epoch,
            "step": trainer.global_step,
            "learning_rate": max(g["lr"] for g in trainer.optimizers[0].param_groups),
        }
        row |= {
            name: float(value)
            for name, value in sorted(trainer.callback_metrics.items())
            if name.startswith(stages_of(trainer))
        }
        self.rows.append(row)
        if trainer.is_global_zero:
            self.write()

    def write(self) -> None:
        """Write the table. An epoch without validation leaves its cells empty."""
        names = list(dict.fromkeys(name for row in self.rows for name in row))
        rows = [[f"{row[name]:.8g}" if name in row else "" for name in names] for row in self.rows]
        write_text(self.path, csv_text(names, rows))


def stages_of(trainer: pl.Trainer) -> tuple[str, ...]:
    """Return the prefixes of this epoch's values: Lightning keeps those of the last validation."""
    every = trainer.check_val_every_n_epoch or 1
    validated = (trainer.current_epoch + 1) % every == 0
    return ("train/", "validation/") if validated else ("train/",)
