"""Several networks of the second stage as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from metaphase.figures import Label
from metaphase.models.export import export_onnx
from metaphase.models.networks import build_network
from metaphase.models.networks.ensemble import EnsembleNetwork, member_options
from metaphase.models.options import EnsembleOptions

OPTIONS = {
    "weights": "none",
    "tile_px": 64,
    "mpp": 0.25,
    "strides": (16,),
    "members": ({"crop_px": 64, "tile_px": 48}, {"crop_px": 32, "tile_px": 32}),
}


@pytest.fixture(scope="module")
def network() -> EnsembleNetwork:
    torch.manual_seed(0)
    built = build_network("ensemble", OPTIONS, (Label.MITOTIC,)).eval()
    assert isinstance(built, EnsembleNetwork)
    for layer in built.modules():  # a network without weights gives 0 for everything
        if isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
    return built


@pytest.fixture(scope="module")
def windows() -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (3, 64, 64, 3), dtype=torch.uint8, generator=generator)


def test_the_logit_is_the_mean_of_the_members(
    network: EnsembleNetwork, windows: torch.Tensor
) -> None:
    with torch.no_grad():
        logits = network(windows)[0]
        parts = [
            member(network.view(windows, number))[0]
            for number, member in enumerate(network.members)
        ]
    assert logits.shape == (3, 1, 1, 1)
    assert not torch.allclose(parts[0], parts[1])
    torch.testing.assert_close(logits, (parts[0] + parts[1]) / 2)


def test_a_member_sees_the_middle_at_its_own_resolution(
    network: EnsembleNetwork, windows: torch.Tensor
) -> None:
    assert torch.equal(network.view(windows, 1), windows[:, 16:48, 16:48].float())
    assert network.view(windows, 0).shape == (3, 48, 48, 3)
    assert network.view(windows, 0).mean() == pytest.approx(windows.float().mean().item(), abs=1.0)
    sides = [member_options(network.settings, n).mpp * m.tile_px for n, m in
             enumerate(network.settings.members)]  # fmt: skip
    assert sides == [16.0, 8.0]


def test_pixels_outside_of_a_part_do_not_matter_to_its_member(
    network: EnsembleNetwork, windows: torch.Tensor
) -> None:
    other = windows.clone()
    other[:, :16] = 255
    assert torch.equal(network.view(windows, 1), network.view(other, 1))
    assert not torch.equal(network.view(windows, 0), network.view(other, 0))


@pytest.mark.parametrize(
    "options",
    [
        {"members": ()},
        {"tile_px": 64, "members": ({"crop_px": 66, "tile_px": 64},)},
        {"members": ({"crop_px": 31, "tile_px": 32},)},
        {"members": ({"crop_px": 32, "tile_px": 40},)},
    ],
)
def test_parts_that_no_window_has_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="members"):
        EnsembleOptions.model_validate(options)


def test_its_graph_gives_the_same_logits(
    network: EnsembleNetwork, windows: torch.Tensor, tmp_path: Path
) -> None:
    runtime = pytest.importorskip("onnxruntime")
    path = export_onnx(network, tmp_path / "ensemble.onnx")
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (logits,) = session.run(None, {session.get_inputs()[0].name: windows.numpy()})
    with torch.no_grad():
        expected = network(windows)[0].numpy()
    np.testing.assert_allclose(logits, expected, atol=1e-3)
