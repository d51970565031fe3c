"""Which runtime and precision a model is run with.

All runtimes are fed the same uint8 tiles and give the same maps in float32. On a CPU, tiles are
computed side by side, one on each physical core, because the cores that share a tile wait for each
other after every layer.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from metaphase.detection.cores import has_int8, physical_cores
from metaphase.detection.runtimebase import Maps, Runtime
from metaphase.errors import MissingExtraError, ModelFileError
from metaphase.models.modelfile import Model

__all__ = ["DEVICES", "PRECISIONS", "Maps", "Runtime", "graph_precision", "open_runtime"]

DEVICES = ("auto", "onnx", "openvino", "torch", "cuda")
PRECISIONS = ("auto", "fp32", "bf16", "int8")
"""Precisions that can be requested. bfloat16 is twice as fast on a CPU that has it. It rounds: a
logit moves by some hundredths (``studies/precision_cost.py`` measures the cost in F1)."""

MOST_F1_LOST = 0.003
"""F1 that 8 bits may cost on left-out fields, by the card, to be chosen by "auto": the mean at
thresholds around the frozen one (``studies.int8_graph``)."""

_DEVICES_FOR = {"bf16": ("openvino", "torch"), "int8": ("openvino", "onnx")}
"""The devices for precisions other than float32, fastest first."""


def open_runtime(
    model: Model, device: str = "auto", *, threads: int | None = None, precision: str = "auto"
) -> Runtime:
    """Return a runtime for a model, with those of its second stage and for atypical figures.

    ``device`` is one of ``DEVICES``. "auto" takes the fastest that is installed: CUDA where there
    is a GPU, then OpenVINO, then ONNX Runtime; PyTorch for a model without a graph. ``precision``
    is one of ``PRECISIONS``. "auto" is bfloat16 with OpenVINO on a CPU that has it, 8 bits for a
    graph in 8 bits and for a model whose 8-bit graph costs at most ``MOST_F1_LOST`` on a CPU with
    instructions for it, else float32; an imported graph runs with ONNX Runtime in its own
    precision. The second stage of a model in 8 bits is in float32. ``threads`` is the number of
    cores to use (None: all physical cores). Raises MissingExtraError, ModelFileError.
    """
    if device not in DEVICES:
        raise ModelFileError.of(
            "device", f"unknown device {device!r}", way_out=f"choose one of {', '.join(DEVICES)}"
        )
    cores = threads or physical_cores()
    runtime = _open(model, device, precision, cores)
    # The further networks of a graph in 8 bits are not in 8 bits. Their result must not depend on
    # whether the CPU has bfloat16.
    rounded = runtime.precision == "int8" or graph_precision(model) != "fp32"
    shared = "fp32" if rounded else runtime.precision

    def part(network: Model | None) -> Runtime | None:
        if network is None:
            return None
        graph = graph_precision(network)
        # A part that is stored as a graph alone is run by whatever can.
        needs_weights = device in ("torch", "cuda") and network.weights_path is None
        on = "auto" if needs_weights else device
        chosen = graph if graph != "fp32" else "fp32" if needs_weights else shared
        return _open(network, on, chosen, cores)

    runtime.second_stage, runtime.atypical = part(model.second_stage), part(model.atypical)
    return runtime


def _as_foreign(runtime: Runtime, model: Model) -> Runtime:
    """Return a runtime that makes the input of an imported graph; others as they are."""
    if model.card.foreign is None:
        return runtime
    from metaphase.detection.foreign.runtime import ForeignRuntime

    return ForeignRuntime(runtime, model.card.foreign)


def graph_precision(model: Model) -> str:
    """Return the precision of a model's graph: "fp32", or what it was exported in."""
    export = model.card.scores.export
    return export.precision if export and export.precision in ("int8", "fp16") else "fp32"


def _open(model: Model, device: str, precision: str, cores: int) -> Runtime:
    _check_precision(model, device, precision)
    if device != "auto":
        return _open_on(device, model, cores, precision)
    for choice in _choices(model):
        if choice not in _DEVICES_FOR.get(precision, (choice,)):
            continue
        try:
            return _open_on(choice, model, cores, precision)
        except MissingExtraError:
            continue
    if precision in _DEVICES_FOR:
        raise MissingExtraError("openvino", f"computing in {precision}")
    raise ModelFileError.of(
        model.folder,
        "no installed runtime can run it",
        way_out="pip install 'metaphase[onnx]' for one with a graph, 'metaphase[train]' for others",
    )


def _open_on(device: str, model: Model, cores: int, precision: str) -> Runtime:
    """Open a runtime of one kind. Each is imported only when it is used."""
    if precision == "auto":
        precision = _default_precision(model, device)
    if device == "openvino":
        from metaphase.detection.runtimeopenvino import OpenVinoRuntime

        return _as_foreign(OpenVinoRuntime(model, cores, precision), model)
    if device == "torch":
        from metaphase.detection.runtimetorch import TorchRuntime

        return TorchRuntime(model, cores, precision)
    from metaphase.detection.runtimeonnx import OnnxRuntime, onnx_has_cuda

    if device == "onnx":
        return _as_foreign(OnnxRuntime(model, cores, precision), model)
    if model.onnx_path is not None and onnx_has_cuda():
        return _as_foreign(OnnxRuntime(model, cores, precision, cuda=True), model)
    from metaphase.detection.runtimetorch import TorchRuntime

    return TorchRuntime(model, cores, device="cuda")


def _check_precision(model: Model, device: str, precision: str) -> None:
    graph = graph_precision(model)
    if precision not in (*PRECISIONS, graph):
        raise ModelFileError.of(
            "precision",
            f"unknown precision {precision!r}",
            way_out=f"choose one of {', '.join(PRECISIONS)}",
        )
    if precision == "int8" != graph and model.int8_path is None:
        raise ModelFileError.of(
            model.folder,
            "has no graph in 8 bits",
            way_out="write one with 'metaphase export --weights int8'",
        )
    if graph != "fp32" and precision not in ("auto", graph):
        raise ModelFileError.of(
            model.folder, f"its graph is in {graph}", way_out=f"use --precision auto or {graph}"
        )
    able = ("auto", *_DEVICES_FOR.get(precision, (device,)))
    if device not in able:
        raise ModelFileError.of(
            "precision",
            f"{device} does not compute in {precision}",
            way_out=f"use --device {' or '.join(able)}",
        )


def _default_precision(model: Model, device: str) -> str:
    """Return the precision for "auto". What rounding costs an imported graph is not known."""
    graph = graph_precision(model)
    if graph != "fp32" or device != "openvino" or model.card.foreign is not None:
        return graph
    from metaphase.detection.runtimeopenvino import computes_bf16

    if computes_bf16():
        return "bf16"
    note = model.card.scores.int8
    cheap = note is not None and note.f1_change is not None and note.f1_change >= -MOST_F1_LOST
    return "int8" if model.int8_path is not None and cheap and has_int8() else graph


def _choices(model: Model) -> Iterator[str]:
    """Yield the devices that "auto" tries, fastest first. Only imports PyTorch if it is needed."""
    if model.onnx_path is not None:
        from metaphase.detection.runtimeonnx import onnx_has_cuda

        if onnx_has_cuda():
            yield "cuda"
        # An imported graph was checked with ONNX Runtime.
        yield from ("openvino", "onnx") if model.card.foreign is None else ("onnx", "openvino")
    elif find_spec("torch") is not None:
        import torch

        yield "cuda" if torch.cuda.is_available() else "torch"
