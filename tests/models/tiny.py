"""A network of a few numbers that finds dark dots: quick to export, run and check by hand."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict
from torch import nn
from torch.nn import functional as F

from metaphase.figures import Label
from metaphase.models import networks
from metaphase.models.card import HeadSpec, InputSpec, Level
from metaphase.models.export import export_onnx
from metaphase.models.modelfile import save_model
from metaphase.models.networks.base import Network
from tests.detection.scenes import make_card


class TinyOptions(BaseModel):
    model_config = ConfigDict(extra="forbid")

    weights: str = "none"
    tile_px: int = 128


class TinyNetwork(Network):
    kind = "tiny"

    def __init__(self, options, classes):
        super().__init__(
            classes,
            InputSpec(mpp=0.25, tile_px=options.tile_px, margin_px=32, multiple_px=8),
            HeadSpec(kind="centre", levels=(Level(stride=8),), classes=classes),
            {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        )
        self.score = nn.Conv2d(3, len(classes), 1)
        self.offset = nn.Conv2d(3, 2, 1)
        nn.init.constant_(self.score.weight, -4.0)  # dark is -1 in every channel
        nn.init.constant_(self.score.bias, 0.0)
        nn.init.normal_(self.offset.weight, std=0.01)
        nn.init.zeros_(self.offset.bias)

    def forward(self, images):
        blurred = F.avg_pool2d(self.normalise(images), 24, 8, padding=8, count_include_pad=False)
        return self.score(blurred), self.offset(blurred)

    def loss(self, maps, targets):
        raise NotImplementedError


def register(monkeypatch):
    monkeypatch.setitem(networks.KINDS, "tiny", (TinyNetwork, TinyOptions))


def save_tiny(folder: Path, *, classes=(Label.MITOTIC,), onnx=True, weights=True, **changes):
    """Write a model file of a tiny network."""
    torch.manual_seed(0)
    network = TinyNetwork(TinyOptions(), classes).eval()
    card = make_card(
        name="tiny",
        network="tiny",
        network_options={"weights": "none", "tile_px": 128},
        input=network.input,
        head=network.head,
        **changes,
    )
    graph = export_onnx(network, folder.with_suffix(".onnx")) if onnx else None
    state = network.state_dict() if weights else None
    return save_model(folder, card, weights=state, onnx=graph)
