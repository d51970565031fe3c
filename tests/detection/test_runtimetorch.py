"""PyTorch as a runtime: the maps of the network itself, in float32 or bfloat16."""

from __future__ import annotations

import sys

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from metaphase.detection.runtimebase import CPU_BATCH  # noqa: E402
from metaphase.detection.runtimetorch import TorchRuntime  # noqa: E402
from metaphase.errors import MetaphaseError, MissingExtraError, ModelFileError  # noqa: E402
from metaphase.models.modelfile import load_network  # noqa: E402
from tests.models import tiny  # noqa: E402


@pytest.fixture(autouse=True)
def threads():
    """Restore the number of threads, which a runtime sets for the process."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def model(tmp_path, monkeypatch):
    tiny.register(monkeypatch)
    return tiny.save_tiny(tmp_path / "tiny", onnx=False)


def tiles(n=2):
    return np.random.default_rng(0).integers(0, 256, (n, 128, 128, 3), dtype=np.uint8)


def test_the_maps_are_those_of_the_network(model):
    with torch.inference_mode():
        expected = [m.numpy() for m in load_network(model)(torch.from_numpy(tiles()))]
    maps = TorchRuntime(model, 1).run(tiles())
    assert [m.dtype for m in maps] == [np.float32] * 2
    for a, b in zip(expected, maps, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_it_names_library_version_and_device(model):
    runtime = TorchRuntime(model, 1)
    assert runtime.name == f"torch {torch.__version__} cpu"
    assert (runtime.precision, runtime.batch, runtime.streams) == ("fp32", CPU_BATCH, 1)


def test_bfloat16_rounds_and_is_named(model):
    exact, rounded = TorchRuntime(model, 1), TorchRuntime(model, 1, "bf16")
    assert (rounded.precision, rounded.name) == ("bf16", f"{exact.name} bf16")
    scores, rounded_scores = exact.run(tiles())[0], rounded.run(tiles())[0]
    assert rounded_scores.dtype == np.float32
    assert not np.array_equal(scores, rounded_scores)
    np.testing.assert_allclose(scores, rounded_scores, atol=0.1)


def test_it_uses_the_cores_that_it_is_given(model):
    for cores in (2, 1):
        TorchRuntime(model, cores)
        assert torch.get_num_threads() == cores


def test_a_gpu_that_is_not_there_is_an_error(model, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MetaphaseError, match="finds no GPU: use --device auto"):
        TorchRuntime(model, 1, device="cuda")


def test_without_pytorch_the_extra_is_named(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtraError, match=r"metaphase\[train\]"):
        TorchRuntime(model, 1)


def test_a_model_without_weights_is_refused(tmp_path):
    pytest.importorskip("onnx")
    graph = tiny.save_tiny(tmp_path / "graph", weights=False)
    with pytest.raises(ModelFileError, match=r"no weights\.safetensors"):
        TorchRuntime(graph, 1)
