"""ONNX Runtime, on the CPU, or on a GPU where its GPU package is installed.

Installed by default where OpenVINO is not; elsewhere it is the extra ``onnx``.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from metaphase.arrays import Pixels
from metaphase.detection.runtimebase import (
    CPU_BATCH,
    GPU_BATCH,
    MAX_STREAMS,
    Maps,
    Runtime,
    graph_errors,
)
from metaphase.errors import MissingExtraError, ModelFileError
from metaphase.models.modelfile import Model


def import_onnxruntime(needed_for: str) -> Any:
    """Import ONNX Runtime. Raises MissingExtraError where it is not installed."""
    try:
        return import_module("onnxruntime")
    except ImportError as error:
        raise MissingExtraError("onnx", needed_for) from error


class OnnxRuntime(Runtime):
    """Runs the graph of a model with ONNX Runtime."""

    def __init__(
        self, model: Model, cores: int, precision: str = "fp32", *, cuda: bool = False
    ) -> None:
        onnxruntime = import_onnxruntime("running a model with ONNX Runtime")
        graph = model.graph(precision)
        options = onnxruntime.SessionOptions()
        self.streams = 1 if cuda else min(cores, MAX_STREAMS)
        options.intra_op_num_threads = cores // self.streams
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        # Waiting threads sleep, because the threads that read tiles need the cores.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        providers = ["CUDAExecutionProvider"] * cuda + ["CPUExecutionProvider"]
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=providers)
        except Exception as error:  # onnxruntime's errors have no base class of their own
            raise ModelFileError.of(
                model.folder, f"ONNX Runtime cannot load its graph: {error}"
            ) from error
        self._folder = model.folder
        with graph_errors(model.folder):
            self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]
        device = "cuda" if "CUDAExecutionProvider" in self._session.get_providers() else "cpu"
        self.name = f"onnxruntime {onnxruntime.__version__} {device}"
        self.precision = precision
        self.batch = CPU_BATCH if device == "cpu" else GPU_BATCH

    def run(self, tiles: Pixels) -> Maps:
        """Return the output maps for tiles [n, h, w, 3]."""
        with graph_errors(self._folder):
            maps = self._session.run(self._outputs, {self._input: tiles})
            return [np.asarray(m, dtype=np.float32) for m in maps]


def onnx_has_cuda() -> bool:
    """Return whether ONNX Runtime is installed and can use a GPU."""
    if find_spec("onnxruntime") is None:
        return False
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
