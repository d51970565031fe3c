from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from metaphase.training.fit.history import History, stages_of


def trainer(epoch: int = 0, **fields: Any) -> Any:
    """What the callback reads of Lightning's trainer."""
    metrics = {"train/loss": 1.5 - epoch / 10, "validation/f1": epoch / 10, "lr-AdamW": 1.0}
    values = {
        "sanity_checking": False,
        "current_epoch": epoch,
        "global_step": 4 * (epoch + 1),
        "optimizers": [SimpleNamespace(param_groups=[{"lr": 1e-4}, {"lr": 1e-3}])],
        "callback_metrics": {name: torch.tensor(value) for name, value in metrics.items()},
        "check_val_every_n_epoch": 1,
        "is_global_zero": True,
    }
    return SimpleNamespace(**{**values, **fields})


def read(path: Path) -> list[dict[str, str]]:
    with path.open() as stream:
        return list(csv.DictReader(stream))


def run(path: Path, epochs: int, **fields: Any) -> History:
    history = History(path)
    for epoch in range(epochs):
        history.on_train_epoch_end(trainer(epoch, **fields), None)  # type: ignore[arg-type]
    return history


def test_every_epoch_is_a_row(tmp_path: Path) -> None:
    run(tmp_path / "metrics.csv", 3)
    rows = read(tmp_path / "metrics.csv")
    assert list(rows[0]) == ["epoch", "step", "learning_rate", "train/loss", "validation/f1"]
    assert [row["epoch"] for row in rows] == ["0", "1", "2"]
    assert [row["step"] for row in rows] == ["4", "8", "12"]
    assert {row["learning_rate"] for row in rows} == {"0.001"}  # the largest of the groups
    assert [float(row["validation/f1"]) for row in rows] == pytest.approx([0, 0.1, 0.2])


def test_an_epoch_without_validation_leaves_its_cells_empty(tmp_path: Path) -> None:
    """Although Lightning still has the values of the last one."""
    run(tmp_path / "metrics.csv", 4, check_val_every_n_epoch=2)
    rows = read(tmp_path / "metrics.csv")
    assert [row["validation/f1"] for row in rows][::2] == ["", ""]
    assert [float(row["validation/f1"]) for row in rows[1::2]] == pytest.approx([0.1, 0.3])
    assert all(row["train/loss"] for row in rows)


@pytest.mark.parametrize(
    ("every", "validated"),
    [(1, [True] * 6), (2, [False, True] * 3), (3, [False, False, True] * 2), (None, [True] * 6)],
)
def test_the_stages_of_an_epoch(every: int | None, validated: list[bool]) -> None:
    for epoch, expected in enumerate(validated):
        stages = stages_of(trainer(epoch, check_val_every_n_epoch=every))
        assert "train/" in stages
        assert ("validation/" in stages) == expected


def test_a_resumed_run_has_the_rows_of_before(tmp_path: Path) -> None:
    before = run(tmp_path / "metrics.csv", 2)
    resumed = History(tmp_path / "metrics.csv")
    resumed.load_state_dict(before.state_dict())
    resumed.on_train_epoch_end(trainer(2), None)  # type: ignore[arg-type]
    assert [row["epoch"] for row in read(tmp_path / "metrics.csv")] == ["0", "1", "2"]
    assert len(before.rows) == 2  # the state is a copy


def test_an_epoch_is_not_told_twice(tmp_path: Path) -> None:
    """A run that was killed after its checkpoint writes the table of the checkpoint anew."""
    history = run(tmp_path / "metrics.csv", 3)
    state = {"rows": history.rows[:1]}
    resumed = History(tmp_path / "metrics.csv")
    resumed.load_state_dict(state)
    resumed.on_train_epoch_end(trainer(1), None)  # type: ignore[arg-type]
    assert [row["epoch"] for row in read(tmp_path / "metrics.csv")] == ["0", "1"]


def test_a_check_before_the_run_is_no_epoch(tmp_path: Path) -> None:
    assert run(tmp_path / "metrics.csv", 1, sanity_checking=True).rows == []
    assert not (tmp_path / "metrics.csv").exists()


def test_only_the_first_process_writes(tmp_path: Path) -> None:
    history = run(tmp_path / "metrics.csv", 2, is_global_zero=False)
    assert len(history.rows) == 2
    assert not (tmp_path / "metrics.csv").exists()
