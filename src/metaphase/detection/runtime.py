"""What runs a network: ONNX Runtime, OpenVINO (in every install on x86) or PyTorch (an extra).

All are fed the same uint8 tiles and, in float32, give the same maps. Cores are shared out once,
here: to as many tiles side by side as there are physical cores that this process may use (on many
cores, several to a tile). Cores that work on one tile wait for each other after every layer, and
for those that reading keeps busy: two side by side take a fifth less than two together.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from metaphase.errors import MetaphaseError, MissingExtraError, ModelFileError
from metaphase.models.modelfile import Model, load_network

Maps = list[NDArray[np.float32]]

DEVICES = ("auto", "onnx", "openvino", "torch", "cuda")
PRECISIONS = ("auto", "fp32", "bf16", "int8")
"""What can be asked for. bfloat16 is twice as fast on a CPU that computes in it, and rounds: a
logit moves by some hundredths. What that costs is measured (``studies/precision_cost.py``)."""

_ROUNDING = {"bf16": ("openvino", "torch"), "int8": ("openvino", "onnx")}
"""The devices for what is not float32, best first."""
_COMPUTES_BF16 = {"avx512_bf16", "amx_bf16"}
"""Flags of processors: others that OpenVINO takes for able make it up, more slowly."""

CPU_BATCH = 1
"""Tiles at a time on a CPU: with more, feature maps leave the caches and every tile takes longer
(measured for the compact network: 28 ms of CPU with 1, 34 ms with 4)."""

GPU_BATCH = 16

MAX_STREAMS = 8
"""Tiles side by side at most: each takes memory for its feature maps."""


class Runtime(Protocol):
    """Runs a network. ``name`` says what runs it and where, for the provenance.

    A runtime may have the attributes ``precision``, in which it computes (else "fp32"), ``batch``,
    how many tiles a call it does best with, ``streams``, from how many threads it does best to call
    it at once (else 1), and ``second_stage``, the runtime of the model's second stage.
    """

    name: str

    def run(self, tiles: NDArray[np.uint8]) -> Maps:
        """Return the output maps, in the order of the head's levels, for tiles [n, h, w, 3]."""


def open_runtime(
    model: Model, device: str = "auto", *, threads: int | None = None, precision: str = "auto"
) -> Runtime:
    """Return a runtime for a model; its ``name`` and ``precision`` say which was taken.

    ``device`` is one of ``DEVICES``; "auto" takes the fastest that is installed: CUDA where a GPU
    can be used, OpenVINO, ONNX Runtime; PyTorch for a model without a graph. ``precision`` is one
    of ``PRECISIONS``; "auto" is bfloat16 with OpenVINO on a CPU that computes in it, 8 bits for a
    graph in 8 bits, else float32. ``threads`` is the number of cores to use (None: all physical
    ones). Raises MissingExtraError, ModelFileError.
    """
    if device not in DEVICES:
        raise ModelFileError.of(
            "device", f"unknown device {device!r}", way_out=f"choose one of {', '.join(DEVICES)}"
        )
    cores = threads or physical_cores()
    runtime = _open(model, device, precision, cores)
    second = model.second_stage
    if second is not None:
        # A graph in 8 bits has a second stage that is not: what it does must not depend on the CPU.
        same = runtime_precision(runtime) if own_precision(model) == "fp32" else "fp32"
        same = same if own_precision(second) == "fp32" else own_precision(second)
        runtime.second_stage = _open(second, device, same, cores)  # type: ignore[attr-defined]
    return runtime


def runtime_precision(runtime: object) -> str:
    """Return the precision in which a runtime computes."""
    return str(getattr(runtime, "precision", "fp32"))


def streams_of(runtime: object) -> int:
    """Return from how many threads a runtime is best called at once."""
    return int(getattr(runtime, "streams", 1))


def own_precision(model: Model) -> str:
    """Return the precision of a model's graph: "fp32", or "int8" or "fp16" that it was made."""
    export = model.card.scores.export
    return export.precision if export and export.precision in ("int8", "fp16") else "fp32"


def computes_bf16() -> bool:
    """Tell whether OpenVINO is here and this CPU computes in bfloat16 itself."""
    if find_spec("openvino") is None:
        return False
    try:
        able = _core(import_module("openvino")).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, RuntimeError):
        return False
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # not Linux
        return "BF16" in able
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return "BF16" in able and bool(flags & _COMPUTES_BF16)


_cores: list[Any] = []
_one_at_a_time = Lock()


def _core(openvino: Any) -> Any:
    """Return OpenVINO's core: one for the whole process, never dropped.

    Each one's CPU plugin gives the thread that makes it a stack for signals, and takes it away when
    it ends. Several that do not end in reverse order leave the thread one that is freed, and the
    next signal with a handler (a child that ends, Ctrl-C) kills the process.
    """
    with _one_at_a_time:
        if not _cores:
            _cores.append(openvino.Core())
        return _cores[0]


def _open(model: Model, device: str, precision: str, cores: int) -> Runtime:
    _check_precision(model, device, precision)
    if device != "auto":
        return _OPENERS[device](model, cores, _settled(model, device, precision))
    for choice in _choices(model):
        if choice not in _ROUNDING.get(precision, (choice,)):
            continue
        try:
            return _OPENERS[choice](model, cores, _settled(model, choice, precision))
        except MissingExtraError:
            continue
    if precision in _ROUNDING:
        raise MissingExtraError("openvino", f"computing in {precision}")
    raise ModelFileError.of(
        model.folder,
        "no installed runtime can run it",
        way_out="export it with 'metaphase export', or pip install 'metaphase[train]'",
    )


def _check_precision(model: Model, device: str, precision: str) -> None:
    own = own_precision(model)
    if precision not in (*PRECISIONS, own):
        raise ModelFileError.of(
            "precision",
            f"unknown precision {precision!r}",
            way_out=f"choose one of {', '.join(PRECISIONS)}",
        )
    if precision == "int8" != own:
        raise ModelFileError.of(
            model.folder,
            "its graph is not in 8 bits",
            way_out="write one that is, with 'metaphase export --weights int8'",
        )
    if own != "fp32" and precision not in ("auto", own):
        raise ModelFileError.of(
            model.folder, f"its graph is in {own}", way_out=f"take --precision auto or {own}"
        )
    able = ("auto", *_ROUNDING.get(precision, (device,)))
    if device not in able:
        raise ModelFileError.of(
            "precision",
            f"{device} does not compute in {precision}",
            way_out=f"take --device {' or '.join(able)}",
        )


def _settled(model: Model, device: str, precision: str) -> str:
    """Return the precision that is meant where "auto" was asked for."""
    own = own_precision(model)
    if precision != "auto":
        return precision
    return "bf16" if own == "fp32" and device == "openvino" and computes_bf16() else own


def physical_cores() -> int:
    """Return how many physical cores this process may use (at least 1).

    Two threads on one core's halves share its vector units, and a network only loses by it.
    """
    allowed = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    if allowed is None:
        return max(1, os.cpu_count() or 1)
    cores = set()
    for cpu in allowed:
        siblings = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        try:
            cores.add(siblings.read_text().strip())
        except OSError:
            cores.add(str(cpu))
    return max(1, min(len(cores), _quota(len(cores))))


def _quota(otherwise: int) -> int:
    """Return the cores that a container's quota allows (cgroup v2)."""
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
        return otherwise if quota == "max" else max(1, int(quota) // int(period))
    except (OSError, ValueError):
        return otherwise


class OnnxRuntime:
    """ONNX Runtime on the CPU, or on a GPU where its GPU package is installed."""

    def __init__(
        self, model: Model, cores: int, precision: str = "fp32", *, cuda: bool = False
    ) -> None:
        import onnxruntime

        path = _graph(model)
        options = onnxruntime.SessionOptions()
        self.streams = 1 if cuda else min(cores, MAX_STREAMS)
        options.intra_op_num_threads = cores // self.streams
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Waiting threads sleep: those that read tiles need the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        providers = ["CUDAExecutionProvider"] * cuda + ["CPUExecutionProvider"]
        try:
            # From bytes, so that a graph cannot name other files to read.
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=providers
            )
        except Exception as error:  # onnxruntime's errors have no base of their own
            raise ModelFileError.of(path, f"ONNX Runtime cannot load it: {error}") from error
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        where = "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"
        self.name = f"onnxruntime {onnxruntime.__version__} {where}"
        self.precision = precision
        self.batch = CPU_BATCH if where == "cpu" else GPU_BATCH

    def run(self, tiles: NDArray[np.uint8]) -> Maps:
        """Return the output maps for tiles [n, h, w, 3]."""
        maps = self._session.run(self._outputs, {self._input: tiles})
        return [np.asarray(m, dtype=np.float32) for m in maps]


class TorchRuntime:
    """PyTorch on the CPU or a GPU (extra ``train``). bfloat16 on the CPU must be asked for."""

    def __init__(
        self, model: Model, cores: int, precision: str = "fp32", *, device: str = "cpu"
    ) -> None:
        try:
            import torch
        except ImportError as error:
            raise MissingExtraError("train", "running a model with PyTorch") from error
        if device == "cuda" and not torch.cuda.is_available():
            raise MetaphaseError("no GPU that PyTorch can use was found: try --device auto")
        if device == "cpu":
            torch.set_num_threads(cores)
        self.batch = CPU_BATCH if device == "cpu" else GPU_BATCH
        self._torch = torch
        self._device = device
        self._bf16 = precision == "bf16"
        self.precision = "bf16" if self._bf16 else "fp32"
        self._network = load_network(model).to(device).to(memory_format=torch.channels_last)
        self.name = f"torch {torch.__version__} {device}{' bf16' if self._bf16 else ''}"

    def run(self, tiles: NDArray[np.uint8]) -> Maps:
        """Return the output maps for tiles [n, h, w, 3]."""
        torch = self._torch
        with (
            torch.inference_mode(),
            torch.autocast(self._device, dtype=torch.bfloat16, enabled=self._bf16),
        ):
            maps = self._network(torch.from_numpy(tiles).to(self._device))
            return [np.asarray(m.float().cpu().numpy(), dtype=np.float32) for m in maps]


class OpenVinoRuntime:
    """OpenVINO on the CPU, in float32 or bfloat16 (graphs in 8 bits: what is left of them)."""

    def __init__(self, model: Model, cores: int, precision: str = "fp32") -> None:
        try:
            openvino = import_module("openvino")
        except ImportError as error:
            raise MissingExtraError("openvino", "running a model with OpenVINO") from error
        path = _graph(model)
        bf16 = precision == "bf16"
        if bf16 and not computes_bf16():
            raise MetaphaseError("this CPU does not compute in bfloat16: take --precision fp32")
        self.streams = min(cores, MAX_STREAMS)
        settings = {
            "INFERENCE_NUM_THREADS": cores,
            "PERFORMANCE_HINT": "THROUGHPUT" if self.streams > 1 else "LATENCY",
            "NUM_STREAMS": self.streams,
            "INFERENCE_PRECISION_HINT": "bf16" if bf16 else "f32",
            # Every process would begin with core 0: two workers of one thread shared it.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            core = _core(openvino)
            self._compiled = core.compile_model(core.read_model(path.read_bytes()), "CPU", settings)
        except RuntimeError as error:
            raise ModelFileError.of(path, f"OpenVINO cannot load it: {error}") from error
        self._free: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.streams):
            self._free.put(self._compiled.create_infer_request())
        version = openvino.__version__.split("-")[0]
        self.name = f"openvino {version} cpu{' bf16' if bf16 else ''}"
        self.precision = precision
        self.batch = CPU_BATCH
        # Its binding prepares itself for numpy at the first call. Two first calls at once would
        # wait for each other for ever (a lock inside against Python's).
        side = model.card.input.multiple_px
        self.run(np.zeros((1, side, side, 3), np.uint8))

    def run(self, tiles: NDArray[np.uint8]) -> Maps:
        """Return the output maps for tiles [n, h, w, 3]."""
        request = self._free.get()
        try:
            maps = request.infer([tiles])
            return [np.array(maps[output], dtype=np.float32) for output in self._compiled.outputs]
        finally:
            self._free.put(request)


def _cuda(model: Model, cores: int, precision: str) -> Runtime:
    if model.onnx_path is not None and _onnx_has_cuda():
        return OnnxRuntime(model, cores, precision, cuda=True)
    return TorchRuntime(model, cores, device="cuda")


def _choices(model: Model) -> Iterator[str]:
    """Yield the devices that "auto" tries, best first. PyTorch is not imported to find out."""
    if model.onnx_path is not None:
        if _onnx_has_cuda():
            yield "cuda"
        yield from ("openvino", "onnx")
    elif find_spec("torch") is not None:
        import torch

        yield "cuda" if torch.cuda.is_available() else "torch"


def _onnx_has_cuda() -> bool:
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def _graph(model: Model) -> Path:
    if model.onnx_path is None:
        raise ModelFileError.of(
            model.folder,
            "has no model.onnx",
            way_out="write one with 'metaphase export', or use --device torch",
        )
    return model.onnx_path


_OPENERS: dict[str, Callable[[Model, int, str], Runtime]] = {
    "onnx": OnnxRuntime,
    "torch": TorchRuntime,
    "openvino": OpenVinoRuntime,
    "cuda": _cuda,
}
