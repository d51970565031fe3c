"""A run with a second stage, from recipe to model file."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch

from metaphase.detection.detect import detect
from metaphase.errors import InterruptedRunError
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.modelfile import load_model, load_network
from metaphase.models.networks import build_network
from metaphase.training.recipe.sections import SecondStage
from metaphase.training.secondstage import training as room
from metaphase.training.train import train
from tests.training.dots import dots_recipe

SMALL = (
    "second_stage.windows=160",
    "second_stage.batch_size=16",
    "second_stage.window_px=32",
    "second_stage.window_um=8",
    "second_stage.trainable_backbone_layers=5",
    "second_stage.min_score=0.0",
    "second_stage.ema=0.5",
)


pytestmark = pytest.mark.usefixtures("cheap_training", "one_thread")


def weights(run: Path) -> dict[str, torch.Tensor]:
    second = load_model(run / "model").second_stage
    assert second is not None
    return load_network(second).state_dict()


@pytest.mark.slow
def test_a_run_looks_twice_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = dots_recipe(tmp_path / "data", *SMALL, "trainer.epochs=1")
    whole = train(recipe, out=tmp_path / "whole", show=False)
    model = load_model(whole / "model")
    assert model.card.second_stage is not None
    assert model.second_stage is not None
    assert model.second_stage.card.input.tile_px == 32
    with (whole / "second.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [int(row["step"]) for row in rows] == [10]
    found = detect(tmp_path / "data" / "images" / "case3.png", model, mpp=0.25)
    assert found.provenance.model_id == model.id

    monkeypatch.setattr(room, "CHECKPOINT_STEPS", 4)
    learn = room.SecondStageRun.learn

    def interrupted(self, *batch):
        if self.step == 6:
            raise KeyboardInterrupt
        learn(self, *batch)

    monkeypatch.setattr(room.SecondStageRun, "learn", interrupted)
    with pytest.raises(InterruptedRunError, match="resumes"):
        train(recipe, out=tmp_path / "parts", show=False)
    monkeypatch.setattr(room.SecondStageRun, "learn", learn)
    parts = train(recipe, out=tmp_path / "parts", show=False)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(parts)[name]), name


MEMBERS = (
    "second_stage.windows=32",
    "second_stage.members=[{window_um=8, window_px=48}, {window_um=6, window_px=32}]",
    "second_stage.strides=[16]",
)


@pytest.mark.slow
def test_members_are_trained_one_after_the_other(tmp_path: Path) -> None:
    recipe = dots_recipe(tmp_path / "data", *SMALL, *MEMBERS)
    run = train(recipe, out=tmp_path / "run", show=False)
    second = load_model(run / "model").second_stage
    assert second is not None
    assert second.card.network == "ensemble"
    assert second.card.input.tile_px == 32
    state = load_network(second).state_dict()
    first, other = (state[f"members.{n}.score.bias"] for n in (0, 1))
    assert not torch.equal(first, other)
    assert (run / "second.csv").is_file()
    assert (run / "second-2.csv").is_file()
    found = detect(tmp_path / "data" / "images" / "case3.png", load_model(run / "model"), mpp=0.25)
    assert found.provenance.threshold >= 0


def test_a_source_that_is_left_out_teaches_the_second_stage_nothing() -> None:
    cases = Dataset(Case(name, mpp=0.25) for name in ("aperio/1", "pairs/1", "pairs/2"))
    settings = SecondStage(without_sources=("pairs",))
    assert room.regions_to_learn(settings, cases).ids == ("aperio/1",)
    assert room.regions_to_learn(SecondStage(), cases).ids == cases.ids


def test_options_of_members_are_parts_of_the_window(tmp_path: Path) -> None:
    recipe = dots_recipe(tmp_path / "data", *SMALL, *MEMBERS)
    options = room.network_options(recipe)
    assert options["members"] == [
        {"crop_px": 32, "tile_px": 48},
        {"crop_px": 24, "tile_px": 32},
    ]
    build_network("ensemble", options)


@pytest.mark.parametrize(
    ("overrides", "weights"),
    [
        ((), "none"),
        (("second_stage.backbone=efficientnet_lite2",), "imagenet"),
        (("network={kind='retinanet_resnet50_fpn_v2', weights='none'}",), "imagenet"),
    ],
)
def test_it_begins_with_weights_that_fit_its_body(
    tmp_path: Path, overrides: tuple[str, ...], weights: str
) -> None:
    """Those of the detector's recipe, where the body is the same."""
    recipe = dots_recipe(tmp_path / "data", *SMALL, *overrides)
    assert recipe.network.weights == "none"
    options = room.network_options(recipe)
    assert options["weights"] == weights
    assert options["tile_px"] == 32
    assert options["mpp"] == 0.25
    if weights == "none":
        build_network("window", options)
