"""Fine-tuning more than the last layer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metaphase.models.networks import build_network
from metaphase.training.finetune.bodytraining import fine_tune_body
from tests.training.finetune.networks import dots, small_network


def state(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def changed(before, network):
    return {n for n, value in network.state_dict().items() if not torch.equal(before[n], value)}


@pytest.mark.parametrize("depth", ["last", "all"])
def test_only_the_layers_of_the_depth_change(depth):
    network, (windows, target) = small_network(), dots(24)
    before = state(network)
    tuned = fine_tune_body(network, windows, target, depth)
    assert changed(before, network) == set()  # a copy was trained
    new = changed(before, tuned)
    assert "score.weight" in new
    assert any(name.startswith("body.blocks.1") for name in new) == (depth == "all")
    assert not any("running" in name for name in new)
    assert not tuned.training


def test_the_last_stage_of_each_member_is_trained():
    """Also where the backbone is cut, as in the bundled model: its last stage is at stride 16."""
    members = [{"crop_px": 32, "tile_px": 32}, {"crop_px": 16, "tile_px": 32}]
    options = {"mpp": 0.25, "tile_px": 32, "strides": [16], "weights": "none", "members": members}
    network = build_network("ensemble", options).eval()
    before = state(network)
    new = changed(before, fine_tune_body(network, *dots(24), "last"))
    for number in range(2):
        body = f"members.{number}.body.blocks"
        assert any(name.startswith(f"{body}.4") for name in new)
        assert not any(name.startswith(f"{body}.2") for name in new)


def test_it_learns_and_repeats_itself():
    network, (windows, target) = small_network(), dots(36)
    once = fine_tune_body(network, windows, target, "last", seed=1)
    again = fine_tune_body(network, windows, target, "last", seed=1)
    assert changed(state(once), again) == set()
    with torch.inference_mode():
        before, after = (
            net(torch.from_numpy(windows))[0].reshape(-1).numpy() for net in (network, once)
        )

    def loss(logits):
        return float((np.logaddexp(0, logits) - target * logits).mean())

    assert loss(after) < loss(before)


def test_decisions_of_one_kind_are_enough():
    network, (windows, _) = small_network(), dots(8)
    steps = []
    fine_tune_body(network, windows, np.zeros(8), "last", progress=lambda *at: steps.append(at))
    assert steps[-1][0] == steps[-1][1] == len(steps)
