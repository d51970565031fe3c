"""Training with the network of full size: it learns, also in two processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from metaphase.evaluation.scoresfile import load_scores
from metaphase.training.train import finished, train
from tests.training.dots import curves, dots_recipe

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
def test_the_compact_network_learns(tmp_path: Path) -> None:
    recipe = dots_recipe(
        tmp_path / "data", "trainer.epochs=8", "sampling.patches_per_epoch=64", "trainer.ema=0.8"
    )
    run = train(recipe, out=tmp_path / "run", show=False)
    rows = curves(run)
    assert float(rows[-1]["train/loss"]) < 0.5 * float(rows[0]["train/loss"])
    assert (load_scores(run / "evaluation.json").f1 or 0) > 0.9


@pytest.mark.slow
def test_two_processes_train_one_model(tmp_path: Path) -> None:
    """DDP over gloo on a CPU, through the command line as torchrun's and Slurm's users start it."""
    dots_recipe(tmp_path / "data")
    command = [sys.executable, "-m", "metaphase", "train", str(tmp_path / "data" / "recipe.toml")]
    command += ["--out", str(tmp_path / "run"), "--set", "trainer.devices=2", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert finished(tmp_path / "run")
    rows = curves(tmp_path / "run")
    assert len(rows) == 3
    # 16 patches, two processes, batches of 4: two steps an epoch.
    assert [int(row["step"]) for row in rows] == [2, 4, 6]
    # What the two found was put together: the curve's F1 is that of all tiles.
    assert all(0 <= float(row["validation/f1"]) <= 1 for row in rows)
