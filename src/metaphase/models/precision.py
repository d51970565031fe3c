"""ONNX graphs of lower precision: half precision (GPUs), 8-bit integers (CPUs), packed (file size).

The cost in F1 depends on the model and cannot be read from the maps: evaluate both models.
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
from metaphase.models.modelfile import (
    ATYPICAL_FOLDER,
    SECOND_STAGE_FOLDER,
    Model,
    load_network,
    save_atypical,
    save_int8,
    save_model,
    save_second_stage,
)

Precision = Literal["fp32", "fp16", "int8", "packed"]
PRECISIONS: tuple[Precision, ...] = ("fp32", "fp16", "int8", "packed")
_SMALL = 256
"""Tensors with fewer numbers are not packed."""
_LARGEST = 6e4  # float16 ends at 65,504


def export_model(
    model: Model,
    folder: str | Path,
    precision: Precision = "fp32",
    *,
    tiles: Iterable[NDArray[np.uint8]] | None = None,
) -> Model:
    """Write a model file whose graph has the given precision, and return it.

    "fp32" exports the PyTorch weights again and keeps them. The others convert the model's graph.
    "packed" stores weights in half precision and computes in single precision: half the size, same
    speed. "int8" is calibrated on ``tiles``, each uint8 [h, w, 3] of the model's tile size, from
    images like those to be analysed. The card keeps the threshold; ``card.scores.export`` records
    the conversion. Raises ModelFileError, MissingExtraError.
    """
    check_convertible(model)
    note: dict[str, Any] = {"precision": precision, "from": model.id}
    weights = None
    if precision == "fp32":
        network = load_network(model)
        weights = network.state_dict()
        with tempfile.TemporaryDirectory() as scratch:
            graph = export_onnx(network, Path(scratch) / "model.onnx").read_bytes()
    elif precision == "fp16":
        graph = half(_graph(model))
    elif precision == "packed":
        graph = packed(_graph(model))
        weights = _packed_weights(model)
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
    name = model.card.name if precision in ("fp32", "packed") else f"{model.card.name}-{precision}"
    changes: dict[str, Any] = {
        "name": name,
        "scores": model.card.scores.with_entries(export=note, int8=None),
    }
    card = model.card.model_copy(update=changes)
    written = save_model(folder, card, weights=weights, onnx=graph)
    # The other networks run on few windows: 8 bits would save nothing and round the scores.
    again: Precision | None = precision if precision in ("fp16", "packed") else None
    if model.second_stage is not None and card.second_stage is not None:
        second = _part(model.second_stage, written.folder / SECOND_STAGE_FOLDER, again)
        written = save_second_stage(written, second, card.second_stage)
    if model.atypical is not None and card.atypical is not None:
        atypical = _part(model.atypical, written.folder / ATYPICAL_FOLDER, again)
        written = save_atypical(written, atypical, card.atypical)
    return written


def _part(part: Model, folder: Path, precision: Precision | None) -> Model:
    return part if precision is None else export_model(part, folder, precision)


def check_convertible(model: Model) -> None:
    """Raise ModelFileError for an imported graph, whose input and weights are not ours."""
    if model.card.foreign is not None:
        raise ModelFileError.of(
            model.folder,
            "is an imported graph, which is not converted here",
            way_out="convert it where it was trained, and import it again",
        )


def add_int8(model: Model, tiles: Iterable[NDArray[np.uint8]], **note: Any) -> Model:
    """Add a graph in 8-bit integers, calibrated on tiles, to a model file and return it.

    The second stage is not converted. ``note`` goes to the card (``card.Int8Note``): without
    ``f1_change`` the graph is used for ``--precision int8`` alone. Raises ModelFileError,
    MissingExtraError.
    """
    check_convertible(model)
    calibration = list(tiles)
    graph = int8(_graph(model), calibration)
    return save_int8(model, graph, {"calibration_tiles": len(calibration), **note})


def half(graph: Path) -> bytes:
    """Return a graph with weights and arithmetic in float16, and unchanged input and outputs.

    For GPUs. Most CPUs convert to float32 and are slower.
    """
    onnx = _onnx()
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = convert_float_to_float16(onnx.load(graph), keep_io_types=True)
    return bytes(model.SerializeToString())


def packed(graph: Path) -> bytes:
    """Return a graph with its weights in float16, each cast to float32: it computes in float32.

    Runtimes cast once, when they load the graph.
    """
    onnx = _onnx()
    model = onnx.load(graph)
    kept, casts = [], []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if not _packs(values):
            kept.append(tensor)
            continue
        name = f"{tensor.name}_half"
        kept.append(onnx.numpy_helper.from_array(values.astype(np.float16), name))
        cast = onnx.helper.make_node("Cast", [name], [tensor.name], to=onnx.TensorProto.FLOAT)
        casts.append(cast)
    nodes = [*casts, *model.graph.node]
    del model.graph.initializer[:], model.graph.node[:]
    model.graph.initializer.extend(kept)
    model.graph.node.extend(nodes)
    _drop_metadata(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def _packs(values: NDArray[Any]) -> bool:
    """Whether an array is large enough to pack and within the range of float16."""
    large = values.dtype == np.float32 and values.size >= _SMALL
    return bool(large and np.abs(values).max() <= _LARGEST)


def _drop_metadata(model: Any) -> None:
    """Drop the source lines that the exporter records for each node: they name local folders."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.value_info, *graph.input, *graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    for tensor in graph.initializer:
        tensor.ClearField("metadata_props")
        tensor.ClearField("doc_string")


def _packed_weights(model: Model) -> dict[str, NDArray[Any]] | None:
    if model.weights_path is None:
        return None
    try:
        from safetensors.numpy import load_file
    except ImportError as error:
        raise MissingExtraError("train", "reading weights") from error
    return {
        name: value.astype(np.float16) if _packs(value) else value
        for name, value in load_file(model.weights_path).items()
    }


def int8(graph: Path, tiles: list[NDArray[np.uint8]]) -> bytes:
    """Return a graph whose convolutions compute in 8-bit integers, calibrated on the given tiles.

    Weights have one scale per channel. The last layers, which give the maps, stay in float32: they
    cost almost nothing, and rounding there would round the scores.
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
    """Return the names of the nodes whose outputs are outputs of the graph."""
    outputs = {output.name for output in model.graph.output}
    return [node.name for node in model.graph.node if outputs & set(node.output)]


class _Calibration:
    """Gives tiles to the quantiser, one at a time."""

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
