from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from torchvision.models.detection.retinanet import RetinaNet_ResNet50_FPN_V2_Weights

from metaphase.detection.decode import decode
from metaphase.errors import ModelFileError
from metaphase.figures import LABELS, Label
from metaphase.models.networks import Network, build_network
from tests.models.networks.scenes import RETINA, TRAPPED, target

KIND = "retinanet_resnet50_fpn_v2"


@pytest.fixture(scope="module")
def plain() -> Network:
    return build_network(KIND, RETINA)


@pytest.fixture(scope="module")
def trapped() -> Network:
    return build_network(KIND, TRAPPED)


@pytest.fixture(scope="module")
def coco(plain: Network, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of a whole detector, as torchvision publishes them."""
    path = tmp_path_factory.mktemp("weights") / "coco.pth"
    torch.save(plain.detector.state_dict(), path)  # type: ignore[union-attr, operator]
    return path


def blank_maps(fill: float = -20.0, classes: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.full((1, classes, 16, 16), fill), torch.zeros(1, 4, 16, 16)


def test_maps_are_flattened_as_the_anchors_are(plain: Network) -> None:
    """The cell that decode() takes for an anchor is the one that the loss trains for it."""
    spot = (3 * 8.0, 7 * 8.0)
    logits, deltas = blank_maps()
    logits[0, 0, 7, 3] = 20.0
    right = plain.loss((logits, deltas), [target([spot])])
    wrong = plain.loss((logits.transpose(2, 3), deltas), [target([spot])])
    assert float(right["classification"]) < float(wrong["classification"])
    found = decode([logits.numpy(), deltas.numpy()], plain.head, min_score=0.5)[0]
    assert (found.x[0], found.y[0]) == spot


def test_the_hidden_resize_is_described_in_tile_pixels(trapped: Network) -> None:
    assert trapped.head.levels[0].stride == pytest.approx(8 * 512 / 800)
    assert trapped.head.levels[-1].anchors[0][0] == pytest.approx(64 * 512 / 800)


def test_levels_double_their_stride(plain: Network, trapped: Network) -> None:
    strides = [level.stride for level in trapped.head.levels]
    assert len(strides) == 5
    assert [b / a for a, b in pairwise(strides)] == [2.0] * 4
    (only,) = plain.head.levels
    assert only.stride == 8
    assert only.anchors == ((50.0, 50.0),)


def test_the_hidden_resize_scales_the_figures_with_the_tile(trapped: Network) -> None:
    """A figure of the largest anchor's size in tile pixels is matched well at that level only."""
    side = trapped.head.levels[-1].anchors[0][0]
    figure = target([(256.0, 256.0)])
    figure["boxes"] = torch.tensor([[256 - side / 2] * 2 + [256 + side / 2] * 2])
    # A tile of 512 px is 800 px inside; the features of stride 8 to 128 have 100 to 7 cells.
    sizes = [100, 50, 25, 13, 7]
    maps: list[torch.Tensor] = []
    for cells in sizes:
        maps += [torch.zeros(1, 1, cells, cells), torch.zeros(1, 4, cells, cells)]
    losses = trapped.loss(tuple(maps), [figure])
    assert set(losses) == {"classification", "bbox_regression"}
    assert all(torch.isfinite(loss) for loss in losses.values())
    # Its box is that of the anchor but for the place: little is left to regress.
    larger = {**figure, "boxes": torch.tensor([[156.0, 156.0, 356.0, 356.0]])}
    assert losses["bbox_regression"] < trapped.loss(tuple(maps), [larger])["bbox_regression"]  # type: ignore[list-item]


def test_hard_negatives_are_background_unless_they_are_a_class(plain: Network) -> None:
    spot = (64.0, 64.0)
    maps = blank_maps(-2.0)
    nothing = plain.loss(maps, [target([])])
    negative = plain.loss(maps, [target([spot], [1])])
    figure = plain.loss(maps, [target([spot], [0])])
    assert float(negative["classification"]) == float(nothing["classification"])
    assert float(figure["classification"]) > float(nothing["classification"])


def test_an_empty_tile_has_a_finite_loss(plain: Network) -> None:
    losses = plain.loss(blank_maps(), [target([])])
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert float(losses["bbox_regression"]) == 0


# --- what is trained


@pytest.mark.parametrize(("layers", "trained"), [(0, set()), (2, {"layer4", "layer3"})])
def test_stages_are_frozen_from_the_first(layers: int, trained: set[str]) -> None:
    network = build_network(KIND, {**RETINA, "trainable_backbone_layers": layers})
    body = network.detector.backbone.body  # type: ignore[union-attr]
    learning = {n.split(".")[0] for n, p in body.named_parameters() if p.requires_grad}
    assert learning == trained


def test_what_no_level_uses_is_not_trained(plain: Network, trapped: Network) -> None:
    """Its gradient would never come, and several devices would wait for it."""

    def idle(network: Network) -> int:
        blocks = network.detector.backbone.fpn.layer_blocks  # type: ignore[union-attr]
        return sum(not any(p.requires_grad for p in block.parameters()) for block in blocks)

    assert idle(plain) == 2
    assert idle(trapped) == 0


# --- weights


def test_coco_weights_from_a_file_fit_all_but_the_classes(plain: Network, coco: Path) -> None:
    loaded = build_network(KIND, {**RETINA, "weights": str(coco)}, LABELS)
    name = "detector.backbone.body.conv1.weight"
    assert torch.equal(loaded.state_dict()[name], plain.state_dict()[name])
    head = "detector.head.classification_head.cls_logits.weight"
    assert loaded.state_dict()[head].shape[0] == 2 * plain.state_dict()[head].shape[0]


def test_a_file_without_the_backbone_is_refused(coco: Path, tmp_path: Path) -> None:
    state = torch.load(coco, weights_only=True)
    del state["backbone.body.layer1.0.conv1.weight"]
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(ModelFileError, match=r"no 'backbone\.body\.layer1\.0\.conv1\.weight'"):
        build_network(KIND, {**RETINA, "weights": str(tmp_path / "part.pth")})


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such weights file") as caught:
        build_network(KIND, {**RETINA, "weights": str(tmp_path / "absent.pth")})
    assert caught.value.problems[0].way_out == '"coco" or "none"'


def test_weights_that_cannot_be_fetched_name_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    enum = RetinaNet_ResNet50_FPN_V2_Weights
    monkeypatch.setattr(enum, "get_state_dict", fail)
    with pytest.raises(ModelFileError, match="cannot be fetched") as caught:
        build_network(KIND, {**RETINA, "weights": "coco"})
    assert "network.weights=FILE" in caught.value.problems[0].way_out


def test_the_card_says_what_the_options_say(plain: Network) -> None:
    assert plain.kind == KIND
    assert plain.input.multiple_px == 128
    assert plain.classes == plain.head.classes == (Label.MITOTIC,)
