"""An ONNX file of another program: opened without executing code, and run on trial."""

from __future__ import annotations

import ast
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from metaphase.detection.runtimeonnx import import_onnxruntime
from metaphase.errors import ModelFileError
from metaphase.files import read_bytes
from metaphase.models.onnxfile import external_files

_EXPORT = (
    "export it where it was trained, with torch.onnx.export(model.eval(), example, 'model.onnx', "
    "external_data=False) or the export command of its program"
)
_PICKLES = {".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".bin", ".torchscript", ".pt2"}
_PICKLE_HEADS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_OTHERS = {
    **dict.fromkeys((".h5", ".keras", ".pb"), "Keras or TensorFlow (tf2onnx converts it)"),
    ".tflite": "TensorFlow Lite (tf2onnx converts it)",
    ".engine": "TensorRT",
    ".xml": "OpenVINO",
    ".safetensors": "weights without a network",
}
_NUMBERS = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(uint8)": "uint8",
}
MAX_SECONDS = 300.0
"""A graph that takes longer for one tile is stopped."""
MAX_NUMBERS = 1 << 27
"""Most numbers in one output for one tile: 0.5 GB."""


@dataclass(frozen=True, slots=True)
class Port:
    """An input or output: its name, its shape (None for a side that is open), its numbers."""

    name: str
    shape: tuple[int | None, ...]
    number: str

    def __str__(self) -> str:
        return f"{self.name} {shape_text(self.shape)} {self.number}"


@dataclass(frozen=True)
class Graph:
    """An opened ONNX file. ``metadata`` are the notes that its program left in it."""

    path: Path
    data: bytes
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    metadata: dict[str, str]
    producer: str
    session: Any

    def run(self, values: NDArray[Any]) -> list[NDArray[Any]]:
        """Return the outputs. Raises ModelFileError where the graph fails or gives too much."""
        try:
            outputs = _run(self.session, {self.inputs[0].name: values})
            arrays = [np.asarray(value) for value in outputs]
        except Exception as error:  # onnxruntime's errors have no base class of their own
            first = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
            raise ModelFileError.of(
                self.path,
                f"fails with an input of {shape_text(values.shape)}: {first}",
                way_out="check --tile and --layout",
            ) from error
        for port, array in zip(self.outputs, arrays, strict=True):
            if array.size > MAX_NUMBERS or array.dtype.kind not in "fiub":
                raise ModelFileError.of(
                    self.path,
                    f"gives {shape_text(array.shape)} {array.dtype}, which is no result for a tile",
                    record=port.name,
                    way_out="export it with its detections as the only outputs",
                )
        return arrays

    def class_names(self) -> tuple[str, ...]:
        """Return the class names that the program left in the file, as YOLO exporters do."""
        try:
            names = ast.literal_eval(self.metadata.get("names", "()"))
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return ()
        if isinstance(names, dict):
            names = (
                [names[key] for key in sorted(names)] if set(names) == {*range(len(names))} else []
            )
        listed = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
        return tuple(names) if listed else ()


def open_graph(path: str | Path) -> Graph:
    """Open an ONNX file. Raises ModelFileError for other files, each with its way to ONNX."""
    path = Path(path)
    data = _read(path)
    try:
        files = external_files(data)
    except ValueError as error:
        raise ModelFileError.of(path, f"is not an ONNX file: {error}", way_out=_EXPORT) from error
    if files:
        raise ModelFileError.of(
            path,
            f"keeps weights in other files ({', '.join(map(repr, files[:3]))})",
            way_out="export it with all weights inside: torch.onnx.export(..., "
            "external_data=False), or onnx.save_model(onnx.load(path), new_path)",
        )
    session = _session(path, data)
    meta = session.get_modelmeta()
    return Graph(
        path,
        data,
        tuple(map(_port, session.get_inputs())),
        tuple(map(_port, session.get_outputs())),
        dict(meta.custom_metadata_map),
        meta.producer_name,
        session,
    )


def shape_text(shape: Sequence[int | None]) -> str:
    """Return a shape for a message: [1, 3, ?, ?]."""
    return "[" + ", ".join("?" if side is None else str(side) for side in shape) + "]"


def _run(session: Any, values: dict[str, NDArray[Any]]) -> list[Any]:
    """Run a graph; one with an endless loop is stopped. Raises errors of onnxruntime."""
    options = import_onnxruntime("importing a network").RunOptions()
    timer = threading.Timer(MAX_SECONDS, setattr, (options, "terminate", True))
    timer.daemon = True
    timer.start()
    try:
        outputs: list[Any] = session.run(None, values, options)
        return outputs
    finally:
        timer.cancel()


def _read(path: Path) -> bytes:
    suffix = path.suffix.lower()
    if suffix in _OTHERS:
        raise ModelFileError.of(path, f"is a file of {_OTHERS[suffix]}, not ONNX", way_out=_EXPORT)
    try:
        data = read_bytes(path)
    except IsADirectoryError as error:
        raise ModelFileError.of(path, "is a folder", way_out="name the .onnx file") from error
    except OSError as error:
        raise ModelFileError.of(path, f"cannot be read: {error.strerror}") from error
    if suffix in _PICKLES or data.startswith(_PICKLE_HEADS):
        raise ModelFileError.of(
            path,
            "is a PyTorch checkpoint: loading one executes the code in it, so it is never loaded",
            way_out=_EXPORT,
        )
    return data


def _session(path: Path, data: bytes) -> Any:
    onnxruntime = import_onnxruntime("importing a network")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no base class of their own
        raise ModelFileError.of(
            path, f"ONNX Runtime cannot load it: {error}", way_out=_EXPORT
        ) from error


def _port(port: Any) -> Port:
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in port.shape)
    kind = str(port.type)
    return Port(port.name, shape, _NUMBERS.get(kind, kind.removeprefix("tensor(").rstrip(")")))
