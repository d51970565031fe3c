from __future__ import annotations

import pytest
import torch

from metaphase.figures import LABELS, Label
from metaphase.models.networks.compact import CompactNetwork
from metaphase.models.options import CompactOptions
from tests.models.networks.scenes import COMPACT, target, tiles


def network(classes: tuple[Label, ...] = (Label.MITOTIC,), **options: object) -> CompactNetwork:
    torch.manual_seed(0)
    return CompactNetwork(CompactOptions.model_validate({**COMPACT, **options}), classes)


@pytest.fixture(scope="module")
def plain() -> CompactNetwork:
    return network().eval()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (96, 160), (128, 32)])
def test_there_is_a_cell_for_every_8_px(plain: CompactNetwork, height: int, width: int) -> None:
    images = torch.zeros(1, height, width, 3, dtype=torch.uint8)
    logits, offsets = plain(images)
    assert logits.shape == (1, 1, height // 8, width // 8)
    assert offsets.shape == (1, 2, height // 8, width // 8)
    assert plain.features(images).shape == (1, 16, height // 8, width // 8)


@pytest.mark.parametrize(("head", "geometry"), [("centre", 2), ("anchors", 4)])
def test_channels_follow_the_classes_and_the_head(head: str, geometry: int) -> None:
    both = network(LABELS, head=head)
    logits, offsets = both(tiles(2, 64))
    assert logits.shape[:2] == (2, 2)
    assert offsets.shape[:2] == (2, geometry)
    assert both.head.kind == head
    assert both.head.classes == LABELS


def test_an_untrained_network_finds_nothing() -> None:
    """It begins at a score of 0.01, so that the first steps are small (Lin et al. 2017)."""
    with torch.no_grad():
        logits, offsets = network().eval()(tiles(1, 64))
    assert float(torch.sigmoid(logits).mean()) == pytest.approx(0.01, rel=0.3)
    assert offsets.abs().max() < 0.5


def test_tiles_of_a_batch_do_not_change_each_other(plain: CompactNetwork) -> None:
    images = tiles(3, 64)
    with torch.no_grad():
        together = plain(images)
        alone = plain(images[1:2])
    for one, all_ in zip(alone, together, strict=True):
        torch.testing.assert_close(one, all_[1:2], atol=1e-5, rtol=1e-4)


def test_dropout_acts_in_training_only() -> None:
    dropping = network(dropout=0.9)
    images = tiles(1, 64)
    with torch.no_grad():
        dropping.train()
        for module in dropping.modules():  # statistics of a batch are another matter
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
        assert not torch.equal(dropping(images)[0], dropping(images)[0])
        dropping.eval()
        assert torch.equal(dropping(images)[0], dropping(images)[0])


def test_the_card_says_what_the_options_say() -> None:
    other = network(mpp=0.5, tile_px=256, margin_px=48)
    assert other.input.mpp == 0.5
    assert (other.input.tile_px, other.input.margin_px, other.input.multiple_px) == (256, 48, 32)
    assert other.kind == "compact"


@pytest.mark.parametrize(("width", "depth"), [(8, 0), (24, 3)])
def test_the_head_has_the_width_and_depth_of_the_options(width: int, depth: int) -> None:
    built = network(width=width, depth=depth)
    assert len(built.tower) == depth
    assert built.features(tiles(1, 64)).shape[1] == width


def test_a_step_down_the_gradient_lowers_the_loss() -> None:
    small = network(dropout=0.0)
    figures = [target([(30.0, 34.0)])]
    images = tiles(1, 64)
    small.eval()  # statistics of four pixels are too rough to follow

    def loss() -> torch.Tensor:
        return torch.stack(list(small.loss(small(images), figures).values())).sum()

    before = loss()
    before.backward()
    with torch.no_grad():
        trained = [p for p in small.parameters() if p.grad is not None]
        norm = torch.stack([p.grad.norm() for p in trained]).norm()  # type: ignore[union-attr]
        for parameter in trained:
            parameter -= 1e-3 * parameter.grad / norm  # type: ignore[operator]
    assert float(loss().detach()) < float(before.detach())
