from __future__ import annotations

import pytest
import torch

from metaphase.models.networks import Network
from metaphase.training.fit import steptime
from metaphase.training.fit.steptime import measure_step
from metaphase.training.recipe.recipe import Recipe
from tests.training.adapt.scenes import tiny_network
from tests.training.helpers import make_recipe


@pytest.fixture
def recipe() -> Recipe:
    trainer = {"batch_size": 3, "accelerator": "cpu", "precision": "fp32"}
    return make_recipe(trainer=trainer, network={"width": 16, "depth": 1})


def test_a_step_takes_time(recipe: Recipe) -> None:
    assert 0 < measure_step(recipe, steps=1) < 600


def test_the_whole_step_is_measured(recipe: Recipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forward, loss and backward of a batch of the recipe's size; a first step warms up."""
    network = tiny_network()
    shapes: list[tuple[int, ...]] = []
    forward = network.forward

    def watched(images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        shapes.append(tuple(images.shape))
        return forward(images)

    def build(*args: object, **options: object) -> Network:
        assert options == {"pretrained": False}
        return network

    network.forward = watched  # type: ignore[method-assign]
    monkeypatch.setattr(steptime, "build_network", build)
    measure_step(recipe, steps=2)
    side = recipe.sampling.patch_px
    assert shapes == [(3, side, side, 3)] * 3
    assert all(p.grad is not None for p in network.parameters() if p.requires_grad)
