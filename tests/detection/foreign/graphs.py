"""Small ONNX graphs that find dark dots, written node by node: no PyTorch, no training.

Every graph takes an image scaled to 0-1 (white is 1). A cell of stride 8 answers to the darkness of
the 8 x 8 pixels in it, so that a dot of 20 px on white is found by the cells that it covers.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

STRIDE = 8
SLOPE, BIAS = 12.0, -6.0
"""Logit = SLOPE * darkness + BIAS: -6 on white, 6 on black."""


class Builder:
    """Collects nodes and constants of a graph."""

    def __init__(self) -> None:
        self.nodes, self.constants = [], []

    def constant(self, name, values):
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))
        return output

    def save(self, path: Path, inputs, outputs, metadata=None) -> Path:
        graph = helper.make_graph(
            self.nodes,
            "dots",
            [helper.make_tensor_value_info(*port) for port in inputs],
            [helper.make_tensor_value_info(*port) for port in outputs],
            self.constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
        model.ir_version, model.producer_name = 8, "tests"
        helper.set_model_props(model, metadata or {})
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(model.SerializeToString())
        return path


def darkness(build, layout="nchw", number="float32", divisor=1.0):
    """Add nodes for the darkness [n, 1, h / 8, w / 8] of an input ``image``."""
    name = "image"
    if number != "float32":
        name = build.add("Cast", [name], "single", to=TensorProto.FLOAT)
    if layout in ("chw", "hwc"):
        name = build.add("Unsqueeze", [name, build.constant("first", [0])], "batch")
    if layout in ("nhwc", "hwc"):
        name = build.add("Transpose", [name], "planes", perm=[0, 3, 1, 2])
    name = build.add("ReduceMean", [name], "grey", axes=[1], keepdims=1)
    name = build.add(
        "AveragePool", [name], "cells", kernel_shape=[STRIDE] * 2, strides=[STRIDE] * 2
    )
    name = build.add("Div", [name, build.constant("range", np.float32(divisor))], "level")
    return build.add("Sub", [build.constant("one", np.float32(1)), name], "dark")


def logits(build, name, slope=SLOPE, bias=BIAS, output="logits"):
    """Add nodes for the logits of a darkness."""
    scaled = build.add(
        "Mul", [name, build.constant(f"{output}_slope", np.float32(slope))], f"{output}_a"
    )
    return build.add("Add", [scaled, build.constant(f"{output}_bias", np.float32(bias))], output)


def image_port(side, layout="nchw", number="float32", batch="n"):
    sides = {"n": batch, "c": 3, "h": side, "w": side}
    kinds = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16,
             "float64": TensorProto.DOUBLE, "uint8": TensorProto.UINT8}  # fmt: skip
    return "image", kinds[number], [sides[axis] for axis in layout]


def heat_map(
    path, side=128, *, classes=1, layout="nchw", number="float32", batch="n", sigmoid=True,
    last=False, divisor=1.0, open_input=False,
):  # fmt: skip
    """A map [n, classes, h, w]: the second class answers to grey dots more than to black ones."""
    build = Builder()
    dark = darkness(build, layout, number, divisor)
    maps = [logits(build, dark, SLOPE - 6 * i, BIAS + 2 * i, f"class{i}") for i in range(classes)]
    name = build.add("Concat", maps, "joined", axis=1)
    if sigmoid:
        name = build.add("Sigmoid", [name], "probabilities")
    if last:
        name = build.add("Transpose", [name], "last", perm=[0, 2, 3, 1])
    if layout in ("chw", "hwc"):
        name = build.add("Squeeze", [name, build.constant("axis", [0])], "alone")
    port = image_port(side, layout, number, batch)
    if open_input:
        port = (port[0], port[1], [None] * 4)
    rank = 3 if layout in ("chw", "hwc") else 4
    return build.save(path, [port], [(name, TensorProto.FLOAT, [None] * rank)])


def boxes_of_cells(side, size=20.0, form="cxcywh"):
    """Return the boxes [cells, 4] centred on the cells of a square input, by rows."""
    middle = (np.arange(side // STRIDE) + 0.5) * STRIDE
    y, x = (axis.reshape(-1) for axis in np.meshgrid(middle, middle, indexing="ij"))
    sides = np.full(len(x), size)
    box = [x, y, sides, sides]
    if form == "xyxy":
        box = [x - size / 2, y - size / 2, x + size / 2, y + size / 2]
    return np.stack(box, axis=1).astype(np.float32)


def yolo(
    path, side=128, *, classes=1, version=8, unit=False, sigmoid=True, transposed=False, batch="n",
    metadata=None, number="float32",
):  # fmt: skip
    """Boxes of cells with scores: [n, 4 + classes, cells], or [n, cells, 5 + classes]."""
    build = Builder()
    dark = darkness(build, number=number)
    maps = [logits(build, dark, SLOPE - 6 * i, BIAS + 2 * i, f"class{i}") for i in range(classes)]
    name = build.add("Concat", maps, "joined", axis=1)
    if sigmoid:
        name = build.add("Sigmoid", [name], "probabilities")
    name = build.add("Reshape", [name, build.constant("shape", np.int64([0, 0, -1]))], "flat")
    box = boxes_of_cells(side) / (side if unit else 1)
    parts = [build.constant("boxes", box.T[None])]
    if version == 5:
        certain = 1.0 if sigmoid else 20.0
        parts.append(build.constant("object", np.full((1, 1, len(box)), certain, np.float32)))
    count = build.add("Shape", ["flat"], "count", end=1)
    fixed = parts[0] if len(parts) == 1 else build.add("Concat", parts, "fixed", axis=1)
    shape = build.add("Concat", [count, build.constant("ones", np.int64([1, 1]))], "times", axis=0)
    spread = build.add("Expand", [fixed, shape], "spread")
    name = build.add("Concat", [spread, "flat"], "output0", axis=1)
    if transposed or version == 5:
        name = build.add("Transpose", [name], "output", perm=[0, 2, 1])
    port = image_port(side, number=number, batch=batch)
    return build.save(path, [port], [(name, TensorProto.FLOAT, [None] * 3)], metadata)


def finished(path, side=128, *, form="boxes", first_label=0, label_type=np.int64, unit=False):
    """Detections after suppression inside of the graph (one class, one image).

    ``form``: "boxes" (boxes [m, 4], scores [m], labels [m]), "rows" ([1, m, 6]) or "batch-rows"
    ([m, 7]).
    """
    build = Builder()
    flat = [0, 0, -1]
    name = build.add("Sigmoid", [logits(build, darkness(build))], "probabilities")
    score = build.add("Reshape", [name, build.constant("shape", np.int64(flat))], "scores3")
    box = boxes_of_cells(side, form="xyxy") / (side if unit else 1)
    build.constant("boxes3", box[None])
    build.constant("most", np.int64([100]))
    build.constant("overlap", np.float32([0.3]))
    build.constant("lowest", np.float32([0.05]))
    kept = build.add("NonMaxSuppression", ["boxes3", score, "most", "overlap", "lowest"], "kept")
    index = build.add("Gather", [kept, build.constant("two", np.int64(2))], "index", axis=1)
    build.add("Squeeze", ["boxes3", build.constant("zero", np.int64([0]))], "boxes2")
    build.add("Gather", ["boxes2", index], "boxes", axis=0)
    build.add("Reshape", [score, build.constant("line", np.int64([-1]))], "scores1")
    build.add("Gather", ["scores1", index], "scores", axis=0)
    build.add("Shape", [index], "length")
    label = np.array([first_label], label_type)
    build.add("ConstantOfShape", ["length"], "labels", value=numpy_helper.from_array(label))
    kinds = {
        np.int64: TensorProto.INT64,
        np.int32: TensorProto.INT32,
        np.float32: TensorProto.FLOAT,
    }
    ports = [("boxes", TensorProto.FLOAT, [None, 4]), ("labels", kinds[label_type], [None]),
             ("scores", TensorProto.FLOAT, [None])]  # fmt: skip
    if form != "boxes":
        ports = [_rows(build, form)]
    return build.save(path, [image_port(side, batch=1)], ports)


def _rows(build, form):
    build.constant("column", np.int64([-1, 1]))
    build.add("Cast", ["labels"], "numbers", to=TensorProto.FLOAT)
    for name in ("scores", "numbers"):
        build.add("Reshape", [name, "column"], f"{name}2")
    if form == "rows":
        table = build.add("Concat", ["boxes", "scores2", "numbers2"], "table", axis=1)
        name = build.add("Unsqueeze", [table, build.constant("top", np.int64([0]))], "output0")
        return name, TensorProto.FLOAT, [1, None, 6]
    build.add("Mul", ["numbers2", build.constant("nil", np.float32(0))], "image_number")
    parts = ["image_number", "boxes", "numbers2", "scores2"]
    return build.add("Concat", parts, "output", axis=1), TensorProto.FLOAT, [None, 7]


def constant(path, *values, side=128, names=None, number="float32", layout="nchw", batch="n"):
    """A graph that gives the same arrays for every image: any output that a test needs."""
    build = Builder()
    ports = []
    total = build.add("ReduceSum", [build.add("Cast", ["image"], "single", to=TensorProto.FLOAT)],
                      "sum", keepdims=0)  # fmt: skip
    nothing = build.add("Mul", [total, build.constant("nil", np.float32(0))], "nothing")
    for i, value in enumerate(values):
        array = np.asarray(value)
        name = names[i] if names else f"output{i}"
        kind = helper.np_dtype_to_tensor_dtype(array.dtype)
        zero = build.add("Cast", [nothing], f"zero{i}", to=kind)
        build.add("Add", [build.constant(f"value{i}", array), zero], name)
        ports.append((name, kind, list(array.shape)))
    return build.save(path, [image_port(side, layout, number, batch)], ports)
