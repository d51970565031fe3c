"""The network of the second stage."""

from __future__ import annotations

import pytest
import torch

from metaphase.figures import Label
from metaphase.models.export import export_onnx
from metaphase.models.networks import build_network

OPTIONS = {"weights": "none", "tile_px": 64, "mpp": 0.2}


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build_network("window", OPTIONS, (Label.MITOTIC,)).eval()


def test_one_logit_a_window(network):
    maps = network(torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8))
    assert [tuple(m.shape) for m in maps] == [(3, 1, 1, 1)]
    assert network.head.kind == "window"
    assert network.input.mpp == 0.2


def test_the_loss_is_least_for_the_right_answer(network):
    targets = [{"labels": torch.tensor([0])}, {"labels": torch.tensor([], dtype=torch.int64)}]

    def loss(*logits):
        maps = (torch.tensor(logits).reshape(2, 1, 1, 1),)
        return float(network.loss(maps, targets)["score"])

    assert loss(4.0, -4.0) < loss(0.0, 0.0) < loss(-4.0, 4.0)


def test_stages_are_frozen_from_the_first():
    some = build_network("window", {**OPTIONS, "trainable_backbone_layers": 2}, (Label.MITOTIC,))
    frozen = {n.split(".")[0] for n, p in some.body.named_parameters() if not p.requires_grad}
    assert "conv_stem" in frozen
    assert all(p.requires_grad for p in some.score.parameters())


@pytest.mark.slow
def test_it_is_exported(network, tmp_path):
    assert export_onnx(network, tmp_path / "window.onnx").stat().st_size > 1e6
