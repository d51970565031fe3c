from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from metaphase.figures import Label
from metaphase.models.card import HeadSpec, InputSpec, Level
from metaphase.models.networks.base import IMAGENET, Network, Target
from tests.models.tiny import TinyNetwork, TinyOptions


class Means(Network):
    """The smallest network: the mean of each channel, and no loss."""

    kind = "means"

    def __init__(self, **options: object) -> None:
        super().__init__(
            (Label.MITOTIC,),
            InputSpec(mpp=0.25, tile_px=64, margin_px=8),
            HeadSpec(kind="centre", levels=(Level(stride=8),)),
            **options,  # type: ignore[arg-type]
        )

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.normalise(images).mean(dim=(2, 3)),)

    def loss(self, maps: tuple[torch.Tensor, ...], targets: list[Target]) -> dict:  # type: ignore[override,type-arg]
        return {"mean": maps[0].sum()}


@given(st.lists(st.integers(0, 255), min_size=3, max_size=3))
def test_pixels_are_normalised_by_mean_and_spread(rgb: list[int]) -> None:
    pixel = torch.tensor(rgb, dtype=torch.uint8).view(1, 1, 1, 3)
    expected = (np.array(rgb) / 255 - IMAGENET["mean"]) / IMAGENET["std"]
    np.testing.assert_allclose(Means().normalise(pixel).flatten().numpy(), expected, atol=1e-5)


def test_channels_come_first_and_rows_stay_rows() -> None:
    images = torch.arange(2 * 4 * 5 * 3, dtype=torch.uint8).view(2, 4, 5, 3)
    plain = Means(normalisation={"mean": (0.0,) * 3, "std": (1.0,) * 3}).normalise(images)
    assert plain.shape == (2, 3, 4, 5)
    assert plain.dtype == torch.float32
    torch.testing.assert_close(plain[1, 2, 3, 4] * 255, images[1, 3, 4, 2].float())


def test_the_normalisation_is_part_of_the_graph_and_not_of_the_weights() -> None:
    """Every runtime gets the same bytes; a model file lists weights, the card the numbers."""
    network = Means()
    assert network.normalisation == IMAGENET
    assert not network.state_dict()
    assert {name.lstrip("_") for name, _ in network.named_buffers()} == {"scale", "shift"}


def test_another_normalisation_gives_other_values() -> None:
    grey = torch.full((1, 2, 2, 3), 127, dtype=torch.uint8)
    centred = Means(normalisation={"mean": (127 / 255,) * 3, "std": (0.5,) * 3})
    assert centred.normalise(grey).abs().max() < 1e-6
    assert Means().normalise(grey).abs().max() > 0.05


def test_a_network_needs_maps_and_a_loss() -> None:
    class NoLoss(Network):
        def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, ...]:
            return (images,)

    with pytest.raises(TypeError, match="abstract"):
        NoLoss((Label.MITOTIC,), Means().input, Means().head)  # type: ignore[abstract]


def test_what_a_network_takes_and_gives_is_on_it() -> None:
    network = TinyNetwork(TinyOptions(tile_px=64 * 2), (Label.MITOTIC,))
    assert network.classes == (Label.MITOTIC,)
    assert (network.input.tile_px, network.input.mpp) == (128, 0.25)
    assert network.head.levels[0].stride == 8
