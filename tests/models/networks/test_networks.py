"""What all kinds of networks have in common."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import ValidationError

from metaphase.detection.decode import decode
from metaphase.errors import ModelFileError, RecipeError
from metaphase.figures import LABELS, Label
from metaphase.models.networks import KINDS, Network, build_network
from tests.models.networks.scenes import ANCHORS, COMPACT, RETINA, TRAPPED, target, tiles


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("compact", COMPACT),
        ("compact", ANCHORS),
        ("compact", {**COMPACT, "backbone": "efficientnet_lite2"}),
        ("retinanet_resnet50_fpn_v2", RETINA),
        ("retinanet_resnet50_fpn_v2", TRAPPED),
    ],
)
@pytest.mark.parametrize("classes", [(Label.MITOTIC,), LABELS])
def test_maps_fit_the_head_and_the_loss_reaches_every_trainable_weight(
    kind: str, options: dict[str, object], classes: tuple[Label, ...]
) -> None:
    network = build_network(kind, options, classes)
    maps = network(tiles(2))
    assert len(maps) == 2 * len(network.head.levels)
    # decode() checks the maps against the head and raises where they do not fit.
    assert len(decode([m.detach().numpy() for m in maps], network.head, min_score=0.9)) == 2
    losses = network.loss(maps, [target([(100.0, 90.0)]), target([])])
    torch.stack(list(losses.values())).sum().backward()
    trainable = {n: p for n, p in network.named_parameters() if p.requires_grad}
    idle = [n for n, p in trainable.items() if p.grad is None]
    assert not idle


def test_errors_name_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="choose one of compact"):
        build_network("yolo", {})
    with pytest.raises(ModelFileError, match="no such weights file"):
        build_network("compact", {"weights": str(tmp_path / "absent.pth")})
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(ModelFileError, match="does not fit"):
        build_network("compact", {"weights": str(tmp_path / "other.pth")})
    with pytest.raises(ValidationError):
        build_network("compact", {"colour": "blue"})


def test_every_kind_is_rebuilt_from_its_options() -> None:
    for kind in KINDS:
        network: Network = build_network(kind, {"weights": "none"})
        again = build_network(kind, network.options, pretrained=False)
        again.load_state_dict(network.state_dict())
        assert again.head == network.head
