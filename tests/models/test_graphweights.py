"""Weights are replaced in a graph, or not at all."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnx")

import onnx

from metaphase.models.graphweights import replace_weights


def graph(**weights):
    """Return a graph that adds its weights [2] to the input."""
    tensors = [onnx.numpy_helper.from_array(value, name) for name, value in weights.items()]
    nodes, last = [], "x"
    for number, name in enumerate(weights):
        nodes.append(onnx.helper.make_node("Add", [last, name], [f"y{number}"]))
        last = f"y{number}"
    shape = onnx.helper.make_tensor_value_info
    ends = [[shape(name, onnx.TensorProto.FLOAT, [2])] for name in ("x", last)]
    model = onnx.helper.make_model(
        onnx.helper.make_graph(nodes, "sum", *ends, initializer=tensors),
        opset_imports=[onnx.helper.make_opsetid("", 18)],
        ir_version=9,
    )
    return model.SerializeToString()


def run(data, x=(1.0, 2.0)):
    onnxruntime = pytest.importorskip("onnxruntime")
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": np.array(x, np.float32)})[0].tolist()


def array(*values, dtype=np.float32):
    return np.array(values, dtype)


def test_a_changed_weight_is_replaced_and_the_others_stay():
    before = {"a": array(1, 1), "b": array(10, 20)}
    new = replace_weights(graph(**before), before, {**before, "b": array(100, 200)})
    assert run(new) == [102.0, 203.0]
    assert run(graph(**before)) == [12.0, 23.0]
    assert run(replace_weights(graph(**before), before, before)) == [12.0, 23.0]


@pytest.mark.parametrize(
    ("inside", "before", "after"),
    [
        ({"a": array(1, 1)}, {"b": array(1, 1)}, {"b": array(2, 2)}),  # not under its name
        ({"a": array(1, 3)}, {"a": array(1, 1)}, {"a": array(2, 2)}),  # other values
        ({"a": array(1, 1)}, {"a": array(1, 1)}, {"a": array(2, 2, 2)}),  # another shape
        ({"a": array(1, 1)}, {"a": array(1, 1)}, {"a": array(2, 2, dtype=np.float64)}),
        ({"a": array(1, 1)}, {"a": array(1, 1)}, {"c": array(2, 2)}),  # another network
    ],
)
def test_what_cannot_be_replaced_is_none(inside, before, after):
    assert replace_weights(graph(**inside), before, after) is None
