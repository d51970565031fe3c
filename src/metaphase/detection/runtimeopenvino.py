"""OpenVINO on the CPU (part of every installation on x86), without its telemetry."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.util import find_spec
from queue import SimpleQueue
from threading import Lock
from typing import Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.detection.cores import has_bf16, has_int8
from metaphase.detection.foreign.tileinput import graph_input
from metaphase.detection.runtimebase import (
    CPU_BATCH,
    MAX_STREAMS,
    Maps,
    Runtime,
    graph_errors,
)
from metaphase.errors import MetaphaseError, MissingExtraError, ModelFileError
from metaphase.models.modelfile import Model

_TELEMETRY = "openvino_telemetry"
_SUFFIXES = {"bf16": " bf16", "int8": " int8"}
_cores: list[Any] = []
_lock = Lock()


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry. Raises ImportError.

    On import it would send an event to an analytics server and write files to the home folder. It
    does without where the package ``openvino_telemetry`` cannot be imported.
    """
    if _TELEMETRY not in sys.modules:
        sys.modules[_TELEMETRY] = None  # type: ignore[assignment]
    return import_module("openvino")


def computes_bf16() -> bool:
    """Return whether OpenVINO is installed and this CPU has bfloat16 instructions.

    OpenVINO also offers bfloat16 on CPUs that emulate it, which is slower than float32.
    """
    if find_spec("openvino") is None:
        return False
    try:
        able = _core(import_openvino()).get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    except (ImportError, RuntimeError):
        return False
    return "BF16" in able and has_bf16() is not False


class OpenVinoRuntime(Runtime):
    """Runs the graph of a model in float32 or bfloat16, or what a graph in 8 bits leaves of it."""

    def __init__(self, model: Model, cores: int, precision: str = "fp32") -> None:
        try:
            openvino = import_openvino()
        except ImportError as error:
            raise MissingExtraError("openvino", "running a model with OpenVINO") from error
        if precision == "bf16" and not computes_bf16():
            raise MetaphaseError("this CPU has no bfloat16 instructions: use --precision fp32")
        self.streams = min(cores, MAX_STREAMS)
        self.precision = precision
        self.batch = CPU_BATCH
        self._folder = model.folder
        self.compiled = self._compile(openvino, model, cores)
        self._requests: SimpleQueue[Any] = SimpleQueue()
        for _ in range(self.streams):
            self._requests.put(self.compiled.create_infer_request())
        version = openvino.__version__.split("-")[0]
        self.name = f"openvino {version} cpu{_SUFFIXES.get(precision, '')}"
        if precision == "int8" and not has_int8():  # other instructions, which round differently
            self.name += " emulated"
        # The first call prepares OpenVINO's binding for numpy. Two first calls at a time would
        # wait for each other for ever (a lock in the binding against Python's).
        self.run(_first_input(model))

    def _compile(self, openvino: Any, model: Model, cores: int) -> Any:
        graph = model.graph(self.precision)
        settings = {
            "INFERENCE_NUM_THREADS": cores,
            "PERFORMANCE_HINT": "THROUGHPUT" if self.streams > 1 else "LATENCY",
            "NUM_STREAMS": self.streams,
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bf16" else "f32",
            # With pinning every process begins with core 0: two workers would share it.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            core = _core(openvino)
            return core.compile_model(core.read_model(graph), "CPU", settings)
        except RuntimeError as error:
            raise ModelFileError.of(
                model.folder, f"OpenVINO cannot load its graph: {error}"
            ) from error

    def run(self, tiles: Pixels) -> Maps:
        """Return the output maps for tiles [n, h, w, 3]."""
        request = self._requests.get()
        try:
            with graph_errors(self._folder):
                maps = request.infer([tiles])
                outputs = self.compiled.outputs
                return [np.array(maps[output], dtype=np.float32) for output in outputs]
        finally:
            self._requests.put(request)


def _first_input(model: Model) -> Any:
    side, foreign = model.card.input.multiple_px, model.card.foreign
    tiles = np.zeros((1 if foreign is None else foreign.input.batch, side, side, 3), np.uint8)
    return tiles if foreign is None else graph_input(tiles, foreign.input)


def _core(openvino: Any) -> Any:
    """Return OpenVINO's core: one for the whole process, never released.

    The CPU plugin of each core gives the thread that creates it a stack for signals, and removes it
    when it ends. With several cores, released in another order, the thread is left with a freed
    stack, and the next signal with a handler (the end of a child, Ctrl-C) ends the process.
    """
    with _lock:
        if not _cores:
            _cores.append(openvino.Core())
        return _cores[0]
