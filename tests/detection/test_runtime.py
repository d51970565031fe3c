"""Runtimes are fed the same bytes and give the same maps."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from metaphase.detection import runtime, runtimeopenvino
from metaphase.detection.decode import decode
from metaphase.detection.runtime import open_runtime
from metaphase.detection.runtimebase import MAX_STREAMS
from metaphase.detection.runtimeopenvino import computes_bf16
from metaphase.errors import MetaphaseError, MissingExtraError, ModelFileError
from metaphase.figures import Label
from metaphase.models.card import SecondStage
from metaphase.models.modelfile import (
    load_model,
    load_network,
    save_int8,
    save_model,
    save_second_stage,
)

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")

from tests.models import tiny  # noqa: E402

BOTH = (Label.MITOTIC, Label.HARD_NEGATIVE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    tiny.save_tiny(folder, classes=BOTH)
    return folder


def tiles(n=3):
    return np.random.default_rng(0).integers(0, 256, (n, 128, 128, 3), dtype=np.uint8)


DEVICES = ["onnx", "torch", "openvino"]
BF16 = pytest.mark.skipif(not computes_bf16(), reason="this CPU does not compute in bfloat16")
ROUNDING = ["torch", pytest.param("openvino", marks=BF16)]


@pytest.mark.parametrize("device", DEVICES)
def test_runtimes_agree_and_say_who_they_are(folder, device, monkeypatch):
    if device == "openvino":
        pytest.importorskip("openvino")
    tiny.register(monkeypatch)
    model = load_model(folder)
    network = load_network(model)
    with torch.inference_mode():
        wanted = [m.numpy() for m in network(torch.from_numpy(tiles()))]
    runtime = open_runtime(model, device, threads=1, precision="fp32")
    assert runtime.precision == "fp32"
    assert runtime.name.startswith({"onnx": "onnxruntime"}.get(device, device))
    given = runtime.run(tiles())
    assert [m.dtype for m in given] == [np.float32] * 2
    for a, b in zip(wanted, given, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-3)
    ours, theirs = (decode(m, model.card.head, min_score=0.05) for m in (wanted, given))
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a.x, b.x, atol=0.01)
        np.testing.assert_allclose(a.score, b.score, atol=1e-4)


@pytest.mark.parametrize("device", ROUNDING)
def test_bfloat16_rounds_a_little_and_says_so(folder, device, monkeypatch):
    tiny.register(monkeypatch)
    model = load_model(folder)
    runtime = open_runtime(model, device, threads=1, precision="bf16")
    assert runtime.name.endswith("bf16")
    assert runtime.precision == "bf16"
    wanted, given = open_runtime(model, "onnx").run(tiles()), runtime.run(tiles())
    for a, b in zip(wanted, given, strict=True):
        np.testing.assert_allclose(a, b, atol=0.1)


def test_the_batch_changes_nothing(folder):
    runtime = open_runtime(load_model(folder), "onnx")
    whole = runtime.run(tiles(5))
    for i in range(5):
        for a, b in zip(whole, runtime.run(tiles(5)[i : i + 1]), strict=True):
            assert (a[i] == b[0]).all()


def test_auto_takes_what_is_there(folder, tmp_path, monkeypatch):
    tiny.register(monkeypatch)
    found = open_runtime(load_model(folder), "auto").name
    assert found.startswith(("onnxruntime", "openvino"))
    weights = tiny.save_tiny(tmp_path / "w", onnx=False)
    assert open_runtime(weights, "auto").name.startswith("torch")
    with pytest.raises(ModelFileError, match=r"no model\.onnx"):
        open_runtime(weights, "onnx")
    graph = tiny.save_tiny(tmp_path / "g", weights=False)
    with pytest.raises(ModelFileError, match=r"no weights\.safetensors"):
        open_runtime(graph, "torch")


def test_auto_rounds_only_where_the_cpu_computes_so(folder, monkeypatch):
    pytest.importorskip("openvino")
    model = load_model(folder)
    for able, precision in ((True, "bf16"), (False, "fp32")):
        if able and not computes_bf16():
            continue
        monkeypatch.setattr(runtimeopenvino, "computes_bf16", lambda able=able: able)
        for device in ("auto", "openvino"):
            assert open_runtime(model, device).precision == precision
        assert open_runtime(model, "auto", precision="fp32").precision == "fp32"
        assert open_runtime(model, "onnx").precision == "fp32"
    with pytest.raises(MetaphaseError, match="--precision fp32"):
        open_runtime(model, "openvino", precision="bf16")


def test_without_openvino_auto_is_onnxruntime(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    runtime = open_runtime(load_model(folder), "auto")
    assert runtime.name.startswith("onnxruntime")
    assert runtime.precision == "fp32"
    with pytest.raises(MissingExtraError, match=r"metaphase\[openvino\]"):
        open_runtime(load_model(folder), "auto", precision="bf16")


def test_a_precision_that_cannot_be_is_refused(folder, tmp_path):
    model = load_model(folder)
    for device, precision, message in (
        ("auto", "fp8", "choose one of auto, fp32"),
        ("onnx", "bf16", "use --device auto or openvino or torch"),
        ("auto", "int8", "metaphase export --weights int8"),
    ):
        with pytest.raises(ModelFileError, match=message):
            open_runtime(model, device, precision=precision)


def test_an_8_bit_graph_keeps_its_precision_and_its_second_stage_is_exact(folder, tmp_path):
    model = load_model(folder)
    scores = {"export": {"precision": "int8"}}
    card = model.card.updated(scores=scores)
    made = save_model(tmp_path / "m", card, onnx=model.onnx_path)
    twice = save_second_stage(
        made, model, SecondStage(id="", min_score=0.1, weight=0.5, symmetries=1)
    )
    for device in ("auto", "onnx"):
        runtime = open_runtime(twice, device)
        assert (runtime.precision, runtime.second_stage.precision) == ("int8", "fp32")
    with pytest.raises(ModelFileError, match="its graph is in int8"):
        open_runtime(twice, precision="fp32")


def test_an_extra_that_is_missing_is_named(folder, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtraError, match=r"metaphase\[openvino\]"):
        open_runtime(load_model(folder), "openvino")
    with pytest.raises(ModelFileError, match="auto, onnx"):
        open_runtime(load_model(folder), "tpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(MetaphaseError, match="no GPU"):
        open_runtime(load_model(folder), "cuda")


def test_a_graph_that_is_none_is_told(folder, tmp_path):
    broken = save_model(tmp_path / "b", load_model(folder).card, onnx=b"not a graph")
    with pytest.raises(ModelFileError, match="is not an ONNX graph"):
        open_runtime(broken, "onnx")


def test_processes_side_by_side_do_not_pin_their_threads_to_the_same_core(folder):
    pytest.importorskip("openvino")
    runtime = open_runtime(load_model(folder), "openvino", threads=1)
    assert runtime.compiled.get_property("ENABLE_CPU_PINNING") is False


SIGNALLED = """
import faulthandler, gc, signal, subprocess, sys
from metaphase.detection.runtime import open_runtime
from metaphase.detection.runtimeopenvino import computes_bf16
from metaphase.models.modelfile import load_model

faulthandler.enable()
signal.signal(signal.SIGCHLD, lambda *told: None)
model = load_model(sys.argv[1])
computes_bf16()
first, second = (open_runtime(model, "openvino") for _ in range(2))
del first
gc.collect()
del second
gc.collect()
subprocess.run([sys.executable, "-c", ""])
print("alive")
"""


@pytest.mark.skipif(not hasattr(signal, "SIGCHLD"), reason="a system without this signal")
def test_a_signal_finds_its_stack_after_openvino_has_been_closed(folder):
    """With a core for each model, closed in the order they were opened, this was the end."""
    pytest.importorskip("openvino")
    command = [sys.executable, "-c", SIGNALLED, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "alive\n"), done.stderr


def test_no_pytorch_on_the_way_through_the_default_runtime(folder):
    code = (
        "import sys, numpy as np\n"
        "from metaphase.detection.runtime import open_runtime\n"
        "from metaphase.detection.detect import detect\n"
        "from metaphase.models.modelfile import load_model\n"
        f"runtime = open_runtime(load_model({str(folder)!r}), 'auto')\n"
        "runtime.run(np.zeros((1, 128, 128, 3), np.uint8))\n"
        "assert 'torch' not in sys.modules, 'torch was imported'\n"
        "print(runtime.name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(("onnxruntime", "openvino"))


@pytest.mark.parametrize("device", ["onnx", "openvino"])
def test_called_from_many_threads_it_gives_what_it_gives_one(folder, device):
    if device == "openvino":
        pytest.importorskip("openvino")
    model = load_model(folder)
    alone = open_runtime(model, device, threads=1, precision="fp32")
    together = open_runtime(model, device, threads=4, precision="fp32")
    assert (alone.streams, together.streams) == (1, 4)
    many = [tiles()[i % 3][None] for i in range(24)]
    with ThreadPoolExecutor(6) as pool:
        given = list(pool.map(together.run, many))
    for i, maps in enumerate(given):
        for a, b in zip(maps, alone.run(many[i]), strict=True):
            np.testing.assert_array_equal(a, b)


def test_many_cores_work_together_on_a_tile(folder):
    assert open_runtime(load_model(folder), "onnx", threads=64).streams == MAX_STREAMS


def test_onnx_runtime_is_an_extra(folder, monkeypatch):
    from metaphase.detection import runtimeonnx

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setattr(runtimeonnx, "find_spec", lambda name: None)
    model = load_model(folder)
    with pytest.raises(MissingExtraError, match=r"metaphase\[onnx\]"):
        open_runtime(model, "onnx")
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ModelFileError, match=r"no installed runtime .*metaphase\[onnx\]"):
        open_runtime(model)


@pytest.mark.parametrize(
    ("bf16", "int8", "f1_change", "precision"),
    [
        (False, True, -0.002, "int8"),
        (False, True, -0.02, "fp32"),
        (False, True, None, "fp32"),
        (False, None, 0.0, "fp32"),
        (True, True, 0.0, "bf16"),
    ],
)
def test_8_bits_are_chosen_where_they_are_fast_and_cost_little(
    folder, tmp_path, monkeypatch, bf16, int8, f1_change, precision
):
    model = save_int8(
        load_model(shutil.copytree(folder, tmp_path / "m")),
        (folder / "model.onnx").read_bytes(),
        {"calibration_tiles": 1, "f1_change": f1_change},
    )
    opened = []
    monkeypatch.setattr(runtimeopenvino, "computes_bf16", lambda: bf16)
    monkeypatch.setattr(runtime, "has_int8", lambda: int8)
    monkeypatch.setattr(
        runtimeopenvino,
        "OpenVinoRuntime",
        lambda model, cores, precision: opened.append(precision),
    )
    with pytest.raises(AttributeError):  # what is opened here is no runtime
        open_runtime(model, "openvino", threads=1).precision  # noqa: B018
    assert opened == [precision]


def test_8_bits_need_a_graph(folder):
    with pytest.raises(ModelFileError, match="no graph in 8 bits"):
        open_runtime(load_model(folder), "onnx", precision="int8")
