"""ONNX graphs of lower precision: half (for GPUs) and 8-bit integers (for CPUs).

What it costs in F1 depends on the model and is not told by the maps: evaluate both.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from metaphase.errors import MissingExtraError, ModelFileError
from metaphase.models.export import INPUT_NAME, export_onnx
from metaphase.models.modelfile import SECOND_NAME, Model, load_network, save_model, save_second

Precision = Literal["fp32", "fp16", "int8"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8")


def export_model(
    model: Model,
    folder: str | Path,
    precision: Precision = "fp32",
    *,
    tiles: Iterable[NDArray[np.uint8]] | None = None,
) -> Model:
    """Write a model file that holds a graph of a precision, and return it.

    "fp32" exports the PyTorch weights anew (and keeps them); the others convert the model's graph.
    "int8" is calibrated on ``tiles``, each uint8 [h, w, 3] of the model's size, from images like
    those it will see. The card keeps the model's threshold and says under ``scores["export"]`` what
    was done to it. Raises ModelFileError, MissingExtraError.
    """
    note: dict[str, Any] = {"precision": precision, "from": model.id}
    weights = None
    if precision == "fp32":
        network = load_network(model)
        weights = network.state_dict()
        with tempfile.TemporaryDirectory() as scratch:
            graph = export_onnx(network, Path(scratch) / "model.onnx").read_bytes()
    elif precision == "fp16":
        graph = half(_graph(model))
    elif precision == "int8":
        calibration = list(tiles or ())
        note["calibration_tiles"] = len(calibration)
        graph = int8(_graph(model), calibration)
    else:
        raise ModelFileError.of(
            model.folder,
            f"unknown precision {precision!r}",
            way_out=f"choose one of {', '.join(PRECISIONS)}",
        )
    name = model.card.name if precision == "fp32" else f"{model.card.name}-{precision}"
    changes: dict[str, Any] = {"name": name, "scores": {**model.card.scores, "export": note}}
    card = model.card.model_copy(update=changes)
    written = save_model(folder, card, weights=weights, onnx=graph)
    if model.second is None or card.second is None:
        return written
    # The second look is at a few windows: in 8 bits it would save nothing and round the scores.
    how: Precision = "fp16" if precision == "fp16" else "fp32"
    second = model.second
    if how == "fp16":
        second = export_model(second, written.folder / SECOND_NAME, how)
    return save_second(written, second, card.second)


def half(graph: Path) -> bytes:
    """Return a graph with weights and arithmetic in float16; input and outputs stay as they are.

    For GPUs: most CPUs compute it in float32, with conversions on top.
    """
    onnx = _onnx()
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(graph), keep_io_types=True)
    return bytes(model.SerializeToString())


def int8(graph: Path, tiles: list[NDArray[np.uint8]]) -> bytes:
    """Return a graph whose convolutions compute in 8-bit integers, scaled on the given tiles.

    Weights have a scale each channel. The layers that give the maps stay in float32: they cost
    next to nothing, and their rounding would be that of the scores.
    """
    if not tiles:
        raise ModelFileError.of(
            graph, "int8 needs tiles to calibrate on", way_out="name images with --calibrate"
        )
    onnx = _onnx()
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    with tempfile.TemporaryDirectory() as scratch:
        prepared, result = Path(scratch) / "prepared.onnx", Path(scratch) / "int8.onnx"
        quant_pre_process(str(graph), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(result),
            _Calibration(tiles),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_last_layers(onnx.load(prepared)),
        )
        return result.read_bytes()


def _last_layers(model: Any) -> list[str]:
    """Return the names of the nodes that give the graph's outputs."""
    outputs = {output.name for output in model.graph.output}
    return [node.name for node in model.graph.node if outputs & set(node.output)]


class _Calibration:
    """Feeds tiles to the quantiser, one at a time."""

    def __init__(self, tiles: list[NDArray[np.uint8]]) -> None:
        self._tiles: Iterator[NDArray[np.uint8]] = iter(tiles)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        """Return the next input, or None at the end."""
        tile = next(self._tiles, None)
        return None if tile is None else {INPUT_NAME: tile[None]}


def _graph(model: Model) -> Path:
    if model.onnx_path is None:
        raise ModelFileError.of(
            model.folder, "has no model.onnx", way_out="export it as fp32 first"
        )
    return model.onnx_path


def _onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise MissingExtraError("train", "converting a graph") from error
    return onnx
