from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from metaphase.training.folds import parallel
from metaphase.training.folds.parallel import train_in_parallel
from metaphase.training.train import finished, train
from tests.training.dots import dots_recipe


def test_runs_side_by_side_are_the_runs_one_by_one(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    torch.set_num_threads(1)
    recipe = dots_recipe(tmp_path / "data", "trainer.epochs=1", "sampling.patches_per_epoch=4")
    other = recipe.model_copy(update={"seed": recipe.seed + 1})
    broken = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"split": Path("nowhere.json")})}
    )
    runs = {
        "one": (recipe, tmp_path / "one"),
        "broken": (broken, tmp_path / "broken"),
        "other": (other, tmp_path / "other"),
    }
    told: list[str] = []
    train_in_parallel(runs, 2, show=False, progress=told.append)
    assert sorted(text.split(":")[0] for text in told) == ["broken", "one", "other"]
    assert any("nowhere.json" in text for text in told)
    assert finished(tmp_path / "one")
    assert finished(tmp_path / "other")
    assert not finished(tmp_path / "broken")
    single = train(recipe, out=tmp_path / "alone", show=False)
    kept = [load_file(run / "model" / "weights.safetensors") for run in (single, tmp_path / "one")]
    assert kept[0].keys() == kept[1].keys()
    for name, value in kept[0].items():
        np.testing.assert_array_equal(value, kept[1][name])

    monkeypatch.setattr(parallel, "ProcessPoolExecutor", None)  # nothing is left to do
    train_in_parallel({"one": runs["one"]}, 2, show=False, progress=told.append)
    assert len(told) == 3


def test_threads_are_shared_out_and_the_environment_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    recipe = dots_recipe(tmp_path / "data")
    broken = recipe.model_copy(
        update={"data": recipe.data.model_copy(update={"split": Path("nowhere.json")})}
    )
    train_in_parallel({"broken": (broken, tmp_path / "run")}, 2, show=False)
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ
