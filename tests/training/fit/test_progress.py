from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from rich.console import Console

from metaphase.training.fit.progress import Progress


def trainer(epoch: int = 0, **fields: Any) -> Any:
    """What the callback reads of Lightning's trainer."""
    metrics = {"train/loss": 0.5, "validation/f1": 0.25, "validation/recall": 1.0}
    values = {
        "current_epoch": epoch,
        "max_epochs": 10,
        "global_step": 4 * epoch,
        "estimated_stepping_batches": 40,
        "callback_metrics": {name: torch.tensor(value) for name, value in metrics.items()},
        "check_val_every_n_epoch": 1,
        "is_global_zero": True,
    }
    return SimpleNamespace(**{**values, **fields})


def progress(*, terminal: bool = False) -> tuple[Progress, io.StringIO]:
    """Progress on a file, or on what it takes for a terminal."""
    written = io.StringIO()
    callback = Progress()
    callback.console = Console(file=written, force_terminal=terminal, width=100)
    return callback, written


MODULE: Any = None


def test_a_log_file_gets_a_line_an_epoch_and_no_bar() -> None:
    callback, written = progress()
    callback.on_train_start(trainer(), MODULE)
    for epoch in range(2):
        callback.on_train_batch_end(trainer(epoch))
        callback.on_train_epoch_end(trainer(epoch), MODULE)
    callback.on_train_end(trainer(2), MODULE)
    lines = written.getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/10", "epoch 2/10"]
    assert lines[0].split("  ")[1:4] == ["loss 0.500", "F1 0.250", "recall 1.000"]
    assert lines[0].endswith(" min")


def test_an_epoch_without_validation_has_its_loss_only() -> None:
    callback, written = progress()
    callback.on_train_start(trainer(), MODULE)
    callback.on_train_epoch_end(trainer(0, check_val_every_n_epoch=2), MODULE)
    assert "loss 0.500" in written.getvalue()
    assert "F1" not in written.getvalue()


def test_a_terminal_gets_a_bar_of_all_steps() -> None:
    callback, written = progress(terminal=True)
    callback.on_train_start(trainer(), MODULE)
    callback.on_train_batch_end(trainer(3))
    callback.on_train_end(trainer(10), MODULE)
    assert "training" in written.getvalue()
    assert "/40" in written.getvalue()


def test_a_resumed_run_says_after_which_epoch() -> None:
    callback, written = progress()
    callback.on_train_start(trainer(3), MODULE)
    assert written.getvalue() == "resuming after epoch 3\n"
    callback.on_train_end(trainer(10), MODULE)


def test_other_processes_are_silent() -> None:
    callback, written = progress()
    other = trainer(3, is_global_zero=False)
    callback.on_train_start(other, MODULE)
    callback.on_train_batch_end(other)
    callback.on_train_epoch_end(other, MODULE)
    callback.on_train_end(other, MODULE)
    assert written.getvalue() == ""


@pytest.mark.parametrize("terminal", [False, True])
def test_after_an_error_nothing_more_is_shown(terminal: bool) -> None:
    callback, written = progress(terminal=terminal)
    callback.on_train_start(trainer(), MODULE)
    callback.on_exception(trainer(), MODULE, KeyboardInterrupt())
    before = written.getvalue()
    callback.on_train_batch_end(trainer(1))
    callback.on_train_epoch_end(trainer(1), MODULE)
    callback.on_train_end(trainer(1), MODULE)
    assert written.getvalue() == before
