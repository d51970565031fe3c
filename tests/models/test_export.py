"""Exported graphs give PyTorch's maps, at any batch and size."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnxruntime = pytest.importorskip("onnxruntime")
onnx = pytest.importorskip("onnx")

from metaphase.errors import ModelFileError  # noqa: E402
from metaphase.figures import Label  # noqa: E402
from metaphase.models import export  # noqa: E402
from metaphase.models.card import HeadSpec, Level  # noqa: E402
from metaphase.models.export import export_onnx  # noqa: E402
from tests.models.tiny import TinyNetwork, TinyOptions  # noqa: E402

BOTH = (Label.MITOTIC, Label.HARD_NEGATIVE)


def compare(network, path, sizes):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    for n, h, w in sizes:
        tiles = random.integers(0, 256, (n, h, w, 3), dtype=np.uint8)
        with torch.inference_mode():
            wanted = network(torch.from_numpy(tiles))
        for a, b in zip(wanted, session.run(None, {"tiles": tiles}), strict=True):
            assert b.dtype == np.float32
            np.testing.assert_allclose(a.numpy(), b, atol=2e-3)


def test_the_graph_gives_the_same_maps(tmp_path):
    network = TinyNetwork(TinyOptions(), BOTH).train()
    path = export_onnx(network, tmp_path / "m.onnx")
    assert network.training  # as it came
    compare(network.eval(), path, [(1, 128, 128), (5, 64, 200), (2, 8, 8)])
    graph = onnx.load(path)
    assert [i.name for i in graph.graph.input] == ["tiles"]
    assert [o.name for o in graph.graph.output] == ["logits_0", "geometry_0"]
    assert graph.opset_import[0].version >= 17
    onnx.checker.check_model(graph)


def test_a_graph_that_differs_is_refused_and_not_written(tmp_path, monkeypatch):
    class Moody(TinyNetwork):
        def forward(self, images):
            score, offset = super().forward(images)
            # What is traced is not what runs.
            return (score if torch.compiler.is_exporting() else score + 1), offset

    with pytest.raises(ModelFileError, match=r"logits_0.*differs"):
        export_onnx(Moody(TinyOptions(), BOTH), tmp_path / "m.onnx")
    assert not (tmp_path / "m.onnx").exists()


def test_names_of_the_outputs():
    two = HeadSpec(kind="centre", levels=(Level(stride=8), Level(stride=16)))
    window = HeadSpec(kind="window", levels=(Level(stride=96),))
    assert export.output_names(window) == ["logits_0"]
    assert export.output_names(two) == ["logits_0", "geometry_0", "logits_1", "geometry_1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("compact", {"weights": "none", "width": 32, "tile_px": 128}),
        ("retinanet_resnet50_fpn_v2", {"weights": "none", "tile_px": 256}),
        (
            "retinanet_resnet50_fpn_v2",
            {"weights": "none", "tile_px": 256, "resize": "torchvision", "head": "plain"},
        ),
    ],
)
def test_real_networks_are_exported(tmp_path, kind, options):
    from metaphase.models.networks import build_network

    torch.manual_seed(0)
    network = build_network(kind, options, BOTH).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # as after training, so that scale matters
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    path = export_onnx(network, tmp_path / "m.onnx")
    compare(network, path, [(3, 128, 256)])
