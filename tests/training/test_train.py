from __future__ import annotations

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
from metaphase.errors import FolderInUseError, InputError, InterruptedRunError, RecipeError
from metaphase.locks import locked_folder
from metaphase.models.modelfile import load_model, load_network
from metaphase.training.recipe.recipe import Recipe, load_recipe
from metaphase.training.train import finished, train
from tests.training.dots import curves, dots_recipe

pytestmark = pytest.mark.usefixtures("cheap_training", "one_thread")


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_network(load_model(run / "model")).state_dict()


@pytest.fixture(scope="module")
def trained(cheap_training: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
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
    recipe = dots_recipe(
        *(tmp_path / "data", "trainer.epochs=2", "sampling.mine_at=[0.5]"),
        "sampling.mine_score=0.01",
    )
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


class Planted:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.marker, "code was run")


@pytest.mark.parametrize("name", ["last.ckpt", "previous.ckpt"])
def test_a_planted_checkpoint_is_refused_and_runs_nothing(tmp_path: Path, name: str) -> None:
    recipe = dots_recipe(tmp_path / "data")
    place = tmp_path / "run" / "checkpoints"
    place.mkdir(parents=True)
    torch.save({"state_dict": {}, "callbacks": Planted(tmp_path / "marker")}, place / name)
    with pytest.raises(InputError, match="more than tensors and plain values"):
        train(recipe, out=tmp_path / "run", show=False)
    assert not (tmp_path / "marker").exists()
    assert (place / name).is_file()


@pytest.mark.parametrize("previous", [True, False])
def test_a_checkpoint_that_is_cut_off_changes_nothing_in_the_end(
    trained: Path, tmp_path: Path, previous: bool
) -> None:
    """The run, here a copy in another folder, is resumed from the one before, or anew."""
    recipe = load_recipe(trained / "data" / "recipe.toml")
    run = tmp_path / "run"
    shutil.copytree(trained / "run", run)
    shutil.rmtree(run / "model")
    shutil.rmtree(run / "detections")
    last = run / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[: last.stat().st_size // 2])
    if not previous:
        (run / "checkpoints" / "previous.ckpt").write_bytes(b"")
    train(recipe, out=run, show=False)
    assert (run / "metrics.csv").read_text() == (trained / "run" / "metrics.csv").read_text()
    expected = weights(trained / "run")
    assert all(torch.equal(w, expected[name]) for name, w in weights(run).items())


def test_two_trainings_into_one_folder_are_refused(tmp_path: Path) -> None:
    recipe = dots_recipe(tmp_path / "data")
    with locked_folder(tmp_path / "run"), pytest.raises(FolderInUseError, match="another command"):
        train(recipe, out=tmp_path / "run", show=False)


def test_a_run_that_failed_before_its_first_step_does_not_block_the_corrected_one(
    tmp_path: Path,
) -> None:
    wrong = dots_recipe(tmp_path / "data", "network.weights=absent.pt", "trainer.epochs=1")
    with pytest.raises((InputError, OSError)):
        train(wrong, out=tmp_path / "run", show=False)
    assert (tmp_path / "run" / "recipe.toml").is_file()
    (tmp_path / "run" / "mined").mkdir()
    (tmp_path / "run" / "mined" / "epoch-0000.csv").write_text("case,x_px,y_px\ncase0,5,5\n")
    right = load_recipe(tmp_path / "data" / "recipe.toml", ["trainer.epochs=1"])
    train(right, out=tmp_path / "run", show=False)
    assert load_recipe(tmp_path / "run" / "recipe.toml") == right
    assert not (tmp_path / "run" / "mined").exists()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, place: str) -> None:
    recipe = dots_recipe(tmp_path / "data")
    (tmp_path / "file").write_text("here")
    with pytest.raises(InputError, match="is a file"):
        train(recipe, out=tmp_path / place, show=False)


def test_errors_in_labels_come_before_pytorch_is_imported(tmp_path: Path) -> None:
    dots_recipe(tmp_path / "data")
    code = (
        "import sys\n"
        "from metaphase.errors import RecipeError\n"
        "from metaphase.training.train import train\n"
        'change = [\'data.split={training=["case0"], validation=["case9"]}\']\n'
        "try:\n"
        f"    train({str(tmp_path / 'data' / 'recipe.toml')!r}, out={str(tmp_path / 'run')!r},"
        " overrides=change)\n"
        "except RecipeError as error:\n"
        "    print(error, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("False")
    assert "case9" in done.stdout
