"""ONNX Runtime: the maps of the network, and a graph that it cannot load is a named error."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from metaphase.detection.runtimebase import CPU_BATCH, MAX_STREAMS  # noqa: E402
from metaphase.detection.runtimeonnx import OnnxRuntime, onnx_has_cuda  # noqa: E402
from metaphase.errors import ModelFileError  # noqa: E402
from metaphase.models.modelfile import load_model, load_network, save_model  # noqa: E402
from tests.detection.scenes import make_card  # noqa: E402
from tests.models import tiny  # noqa: E402


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny.save_tiny(tmp_path_factory.mktemp("models") / "tiny")


def tiles(n):
    return np.random.default_rng(0).integers(0, 256, (n, 128, 128, 3), dtype=np.uint8)


@pytest.mark.parametrize("n", [1, 3])
def test_the_maps_are_those_of_the_network(model, monkeypatch, n):
    tiny.register(monkeypatch)
    with torch.inference_mode():
        expected = [m.numpy() for m in load_network(model)(torch.from_numpy(tiles(n)))]
    maps = OnnxRuntime(model, 1).run(tiles(n))
    assert [m.dtype for m in maps] == [np.float32] * 2
    for a, b in zip(expected, maps, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)


def test_it_names_library_version_and_device(model):
    runtime = OnnxRuntime(model, 1)
    assert runtime.name == f"onnxruntime {onnxruntime.__version__} cpu"
    assert runtime.precision == "fp32"
    assert OnnxRuntime(model, 1, "int8").precision == "int8"


def test_a_cpu_computes_tiles_side_by_side(model):
    runtime = OnnxRuntime(model, 2)
    assert (runtime.streams, runtime.batch) == (2, CPU_BATCH)
    assert OnnxRuntime(model, MAX_STREAMS + 3).streams == MAX_STREAMS


def test_a_graph_with_an_unknown_operator_is_refused(tmp_path):
    value = onnx.helper.make_tensor_value_info
    node = onnx.helper.make_node("NoSuchOperator", ["x"], ["y"])
    graph = onnx.helper.make_graph(
        [node],
        "g",
        [value("x", onnx.TensorProto.UINT8, [1])],
        [value("y", onnx.TensorProto.FLOAT, [1])],
    )
    data = onnx.helper.make_model(graph).SerializeToString()
    broken = save_model(tmp_path / "broken", make_card(), onnx=data)
    with pytest.raises(ModelFileError, match="ONNX Runtime cannot load its graph"):
        OnnxRuntime(broken, 1)


def test_a_model_without_a_graph_is_refused(tmp_path):
    tiny.save_tiny(tmp_path / "weights", onnx=False)
    with pytest.raises(ModelFileError, match=r"has no model\.onnx"):
        OnnxRuntime(load_model(tmp_path / "weights"), 1)


@pytest.mark.parametrize("cuda", [True, False])
def test_a_gpu_is_there_where_its_package_is(monkeypatch, cuda):
    providers = ["CUDAExecutionProvider"] * cuda + ["CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: providers)
    assert onnx_has_cuda() is cuda


def test_tiles_that_a_graph_cannot_take_are_an_error_in_words(model):
    with pytest.raises(ModelFileError, match="tiny: its graph cannot be run"):
        OnnxRuntime(model, 1).run(tiles(1).astype(np.float32))
