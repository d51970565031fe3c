from __future__ import annotations

import pytest
import torch
from torch import nn

from metaphase.models.networks import build_network
from metaphase.training.fit.optimiser import make_optimiser
from metaphase.training.fit.schedule import make_schedule, rates
from metaphase.training.recipe.sections import Optimiser


@pytest.mark.parametrize("schedule", ["onecycle", "cosine", "constant"])
def test_the_optimiser_follows_the_rates_that_the_doctor_tells(schedule: str) -> None:
    settings = Optimiser(schedule=schedule, learning_rate=0.01, warmup=0.2)
    optimiser = make_optimiser(nn.Linear(2, 2), settings)
    scheduler = make_schedule(optimiser, settings, steps=10)
    seen = []
    for _ in range(10):
        seen.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        scheduler.step()
    assert seen == pytest.approx(rates(settings, steps_per_epoch=5, epochs=2))


def test_the_backbone_has_its_own_rate_and_norms_are_not_decayed() -> None:
    network = build_network("compact", {"weights": "none", "width": 16})
    settings = Optimiser(learning_rate=0.01, backbone_factor=0.1, weight_decay=0.5)
    optimiser = make_optimiser(network, settings)
    group_of = {id(p): g for g in optimiser.param_groups for p in g["params"]}
    stem, norm = network.body.conv_stem.weight, network.body.bn1.weight  # type: ignore[union-attr]
    head = network.score.weight  # type: ignore[union-attr]
    assert group_of[id(stem)]["lr"] == pytest.approx(0.001)
    assert group_of[id(stem)]["weight_decay"] == 0.5
    assert group_of[id(norm)]["weight_decay"] == 0
    assert group_of[id(head)]["lr"] == pytest.approx(0.01)


@pytest.mark.parametrize("kind", ["adamw", "adam", "sgd"])
def test_every_kind_steps_and_frozen_weights_are_left_out(kind: str) -> None:
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    optimiser = make_optimiser(layer, Optimiser(kind=kind))
    before = layer.weight.detach().clone()
    layer(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    assert not torch.equal(before, layer.weight)
    assert sum(len(g["params"]) for g in optimiser.param_groups) == 1
