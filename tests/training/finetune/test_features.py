"""Features give the logits of the network, in every symmetry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from metaphase.detection.secondstage import turn
from metaphase.figures import Label
from metaphase.models.networks import build_network
from metaphase.training.finetune.features import head_of, set_head, window_features
from metaphase.training.finetune.head import Head
from tests.training.finetune.networks import dots, small_network


def logits_of(network, windows):
    with torch.inference_mode():
        return network(torch.from_numpy(windows))[0].reshape(-1).numpy()


def ensemble():
    torch.manual_seed(3)
    members = [{"crop_px": 32, "tile_px": 32}, {"crop_px": 16, "tile_px": 32}]
    options = {
        "weights": "none", "tile_px": 32, "mpp": 0.5, "strides": (16,), "members": members,
    }  # fmt: skip
    network = build_network("ensemble", options, (Label.MITOTIC,)).eval()
    for member in network.members:
        torch.nn.init.normal_(member.score.weight, std=0.05)
    return network


NETWORKS = pytest.mark.parametrize("make", [small_network, ensemble])


@NETWORKS
def test_the_head_on_features_is_the_network(make):
    network, (windows, _) = make(), dots(5)
    features = window_features(network, windows, 4)
    assert features.shape[:2] == (5, 4)
    head = head_of(network)
    for number in range(4):
        expected = logits_of(network, turn(windows, number))
        actual = head.logits(features[:, number].astype(float))
        assert actual == pytest.approx(expected, abs=1e-4)


@NETWORKS
def test_a_head_is_put_into_the_network(make):
    network, (windows, _) = make(), dots(3)
    features = window_features(network, windows, 1)[:, 0].astype(float)
    head = Head(np.linspace(-1, 1, features.shape[1]), 0.25)
    set_head(network, head)
    assert logits_of(network, windows) == pytest.approx(head.logits(features), abs=1e-3)


def test_progress_and_nothing():
    seen = []
    network, (windows, _) = small_network(), dots(40)
    window_features(network, windows, 1, lambda done, total: seen.append((done, total)))
    assert seen == [(32, 40), (40, 40)]
    assert window_features(network, windows[:0], 2).shape == (0, 2, network.score.in_channels)
