"""A run with a network for atypical figures, from recipe to model file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
from studies.atypical import of_run, table

from metaphase.detection.detect import detect
from metaphase.errors import InterruptedRunError
from metaphase.models.modelfile import load_model, load_network
from metaphase.training.atypical import training as room
from metaphase.training.recipe.recipe import load_recipe, parse_recipe, resolved
from metaphase.training.train import finished, train
from tests.models.tiny import register, save_tiny
from tests.training.atypical.scenes import write_crops

RECIPE = """
name = "kinds"
[data]
sources = [{{ role = "crops", labels = "{labels}", images = "{images}", mpp = 0.25 }}]
split = {{ training = [] }}
[atypical]
model = "{model}"
window_um = 16
window_px = 64
weights = "none"
trained_stages = 2
strides = [8, 16]
views = 2
epochs = 12
batch_size = 12
folds = 3
learning_rate = 5e-3
backbone_factor = 1.0
ema = 0.5
dropout = 0.0
[augment]
strength = 0.0
[network]
kind = "compact"
[sampling]
patches_per_epoch = 1
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    torch.set_num_threads(1)
    register(monkeypatch)
    labels = write_crops(tmp_path / "data")
    model = save_tiny(tmp_path / "detector")
    path = tmp_path / "recipe.toml"
    path.write_text(
        RECIPE.format(labels=labels, images=tmp_path / "data" / "images", model=model.folder)
    )
    return load_recipe(path)


@pytest.mark.slow
def test_a_network_is_added_to_a_model_and_resumes(
    recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(recipe, out=tmp_path / "run", show=False)
    assert finished(run)
    model = load_model(run / "model")
    assert model.atypical is not None
    section = model.card.atypical
    assert section is not None
    assert section.scores is not None
    assert section.scores.figures == 36
    assert section.scores.cases == 6
    assert section.scores.auroc is not None
    with (run / "atypical.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == 36
    scores, calibration = of_run(run, 50)
    assert scores.overall.balanced_accuracy == pytest.approx(section.scores.balanced_accuracy)
    assert calibration.threshold == section.threshold
    assert "| all | 6 | 36 | 12 |" in table(scores)
    found = detect(tmp_path / "data" / "images" / "crop0.png", model, mpp=0.25, threshold=0.1)
    assert np.isfinite(found.above(0.1).atypical_or_nan).all()
    assert found.provenance.parameters.atypical is not None

    done = []
    fit = room.fit

    def interrupted(*args):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(1)
        return fit(*args)

    monkeypatch.setattr(room, "fit", interrupted)
    with pytest.raises(InterruptedRunError, match="resumes"):
        train(recipe, out=tmp_path / "parts", show=False)
    assert not finished(tmp_path / "parts")
    done.clear()
    monkeypatch.setattr(room, "fit", lambda *args: (done.append(1), fit(*args))[1])
    parts = train(recipe, out=tmp_path / "parts", show=False)
    assert len(done) == 2  # of four; the others were finished
    again = load_model(parts / "model").atypical
    assert again is not None
    for name, value in load_network(model.atypical).state_dict().items():
        assert torch.equal(value, load_network(again).state_dict()[name]), name


def test_a_network_begins_with_the_second_stage_where_it_fits(recipe) -> None:
    bundled = load_model("compact")
    second = bundled.second_stage
    assert second is not None
    settings = recipe.atypical.model_copy(
        update={"weights": "second stage", "strides": (16, 32), "window_px": 96}
    )
    changed = recipe.model_copy(update={"atypical": settings})
    network = room.starting_network(changed, bundled)
    other = load_network(second)
    if other.settings.strides and max(other.settings.strides) == 32:
        name = "body.blocks.6.0.conv_pw.weight"
        assert torch.equal(network.state_dict()[name], other.state_dict()[name])


def test_a_recipe_with_it_loads_back_equal(recipe) -> None:
    import tomllib

    assert parse_recipe(tomllib.loads(resolved(recipe))) == recipe
