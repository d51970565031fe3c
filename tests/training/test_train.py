from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from metaphase.detection.detect import detect
from metaphase.detectionfile import load_detections
from metaphase.errors import InterruptedRunError, RecipeError
from metaphase.evaluation.scoresfile import load_scores
from metaphase.models.modelfile import load_model, load_network
from metaphase.training.recipe.recipe import Recipe, load_recipe
from metaphase.training.train import finished, train

from .dots import dots_recipe


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def curves(run: Path) -> list[dict[str, str]]:
    with (run / "metrics.csv").open() as stream:
        return list(csv.DictReader(stream))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_network(load_model(run / "model")).state_dict()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the run of ``dots_recipe(folder / "data")``."""
    folder = tmp_path_factory.mktemp("trained")
    train(dots_recipe(folder / "data"), out=folder / "run", show=False)
    return folder


def test_a_run_leaves_everything_that_it_depended_on(trained: Path) -> None:
    recipe, run = load_recipe(trained / "data" / "recipe.toml"), trained / "run"
    assert finished(run)
    model = load_model(run / "model")
    assert model.onnx_path is not None
    assert model.weights_path is not None
    assert model.card.threshold.chosen_on == "dots: 1 validation cases"
    assert model.card.training_data[0]["cases"] == 3
    assert model.card.training_data[0]["mitotic_figures"] == 24
    assert Recipe.model_validate_json(json.dumps(model.card.recipe)) == recipe
    assert load_recipe(run / "recipe.toml") == recipe
    rows = curves(run)
    assert [int(row["epoch"]) for row in rows] == [0, 1, 2]
    wanted = {"train/loss", "validation/loss", "validation/f1", "validation/precision"}
    assert wanted | {"validation/recall", "learning_rate"} <= set(rows[0])
    shown = EventAccumulator(str(run / "tensorboard")).Reload()
    curves_shown = shown.Tags()["scalars"]
    assert {"train/loss", "validation/loss", "validation/f1"} <= set(curves_shown)
    assert any(name.startswith("learning_rate") for name in curves_shown)
    assert "validation/precision_recall" in shown.Tags()["tensors"]
    sweep = {f"0.{k}0": shown.Scalars(f"threshold f1/0.{k}0")[-1].value for k in range(1, 10)}
    best = float(rows[-1]["validation/f1"])  # at the best of all thresholds
    assert max(sweep.values()) <= best + 1e-6
    recalls = [shown.Scalars(f"threshold recall/0.{k}0")[-1].value for k in range(1, 10)]
    assert recalls == sorted(recalls, reverse=True)
    assert json.loads((run / "split.json").read_text())["validation"] == ["case3"]
    assert "torch" in json.loads((run / "environment.json").read_text())["versions"]
    kept = load_detections(run / "detections" / "case3")
    again = detect(trained / "data" / "images" / "case3.png", model, mpp=0.25)
    assert np.array_equal(kept.score, again.score)


def test_a_run_that_was_interrupted_gives_the_same_curve_and_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dots_recipe(tmp_path / "data", "sampling.mine_at=[0.5]", "sampling.mine_score=0.01")
    whole = train(recipe, out=tmp_path / "whole", show=False)

    from metaphase.training.fit.module import DetectorModule

    step = DetectorModule.training_step

    def stop_in_the_second_epoch(self, batch, index):  # type: ignore[no-untyped-def]
        if self.current_epoch == 1 and index == 2:
            raise KeyboardInterrupt
        return step(self, batch, index)

    with monkeypatch.context() as patched:
        patched.setattr(DetectorModule, "training_step", stop_in_the_second_epoch)
        with pytest.raises(InterruptedRunError, match="same command"):
            train(recipe, out=tmp_path / "parts", show=False)
    assert not finished(tmp_path / "parts")
    assert len(curves(tmp_path / "parts")) == 1
    parts = train(recipe, out=tmp_path / "parts", show=False)
    assert (parts / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(parts)[name]), name


def test_the_number_of_workers_changes_nothing(tmp_path: Path) -> None:
    here = dots_recipe(tmp_path / "data", "trainer.epochs=1")
    there = dots_recipe(tmp_path / "data", "trainer.epochs=1", "trainer.workers=2")
    a = train(here, out=tmp_path / "a", show=False)
    b = train(there, out=tmp_path / "b", show=False)
    assert curves(a) == curves(b)


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


def test_a_folder_with_another_run_is_refused(trained: Path) -> None:
    other = load_recipe(trained / "data" / "recipe.toml", ["trainer.epochs=2"])
    with pytest.raises(RecipeError, match="another recipe"):
        train(other, out=trained / "run", show=False)


def test_a_run_of_an_earlier_version_is_the_same_recipe(trained: Path, tmp_path: Path) -> None:
    """A field that came later has its default; one that is not known here is another recipe."""
    run = tmp_path / "run"
    shutil.copytree(trained / "run", run)
    text = (run / "recipe.toml").read_text()
    later = [line for line in text.splitlines() if line.startswith("backbone =")]
    assert later
    (run / "recipe.toml").write_text(text.replace(later[0], ""))
    recipe = load_recipe(trained / "data" / "recipe.toml")
    assert train(recipe, out=run, show=False) == run
    (run / "recipe.toml").write_text("from_the_future = 1\n" + text)
    with pytest.raises(RecipeError, match="another recipe"):
        train(recipe, out=run, show=False)


def test_a_finished_run_is_left_alone(trained: Path) -> None:
    recipe = load_recipe(trained / "data" / "recipe.toml")
    before = (trained / "run" / "model" / "card.json").stat().st_mtime_ns
    assert train(recipe, out=trained / "run", show=False) == trained / "run"
    assert (trained / "run" / "model" / "card.json").stat().st_mtime_ns == before


def test_without_validation_the_last_weights_and_a_fixed_threshold_are_taken(
    tmp_path: Path,
) -> None:
    recipe = dots_recipe(
        tmp_path / "data",
        "trainer.epochs=1",
        "data.split.validation=[]",
        "validation.threshold=0.4",
        "validation.threshold_note=from cross-validation",
    )
    card = load_model(train(recipe, out=tmp_path / "run", show=False) / "model").card
    assert card.threshold.value == 0.4
    assert card.threshold.protocol == "from cross-validation"
    assert card.threshold.f1 is None
