"""References of an ONNX graph to other files are found wherever a tensor can be."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import ModelFileError
from metaphase.models.modelfile import ZOO, load_model, save_model
from metaphase.models.onnxfile import external_files
from tests.detection.scenes import make_card

onnx = pytest.importorskip("onnx")


def tensor(name, location=None):
    made = onnx.numpy_helper.from_array(np.zeros(3, np.float32), name)
    if location is not None:
        made.ClearField("raw_data")
        made.data_location = onnx.TensorProto.EXTERNAL
        made.external_data.add(key="location", value=location)
    return made


def graph(location, where):
    """A graph that keeps one tensor in a file: an initializer, a constant, or in a branch."""
    output = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3])
    inside = tensor("c", location)
    constant = onnx.helper.make_node("Constant", [], ["y"], value=inside)
    nodes, initializers = [constant], []
    if where == "initializer":
        initializers, nodes = [tensor("y", location)], []
    if where == "branch":
        body = onnx.helper.make_graph([constant], "body", [], [output])
        condition = tensor("condition")
        nodes = [onnx.helper.make_node("If", ["condition"], ["y"], then_branch=body,
                                       else_branch=body)]  # fmt: skip
        initializers = [condition]
    made = onnx.helper.make_graph(nodes, "g", [], [output], initializers)
    return onnx.helper.make_model(made).SerializeToString()


@pytest.mark.parametrize("where", ["initializer", "constant", "branch"])
def test_files_are_found(where):
    assert external_files(graph("../weights.bin", where)) == ["../weights.bin"]
    assert external_files(graph(None, where)) == []


def test_an_external_tensor_without_a_name_is_found():
    made = onnx.ModelProto.FromString(graph("x", "initializer"))
    made.graph.initializer[0].ClearField("external_data")
    assert external_files(made.SerializeToString()) == ["(no name)"]


def test_the_bundled_graphs_are_alone():
    for path in ZOO.rglob("model.onnx"):
        assert external_files(path.read_bytes()) == []


@given(st.binary(max_size=200))
def test_anything_else_is_no_graph(data):
    try:
        external_files(data)
    except ValueError:
        return


def test_a_graph_cut_short_is_no_graph():
    data = graph(None, "initializer")
    for length in range(len(data) - 1):
        with pytest.raises(ValueError, match=r"\w"):
            external_files(data[: length // 2])


def test_such_a_model_is_refused_before_it_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "secret.bin").write_bytes(bytes(12))
    save_model(tmp_path / "m", make_card(), onnx=graph("secret.bin", "initializer"))
    with pytest.raises(ModelFileError, match=r"secret\.bin.*does not vouch"):
        load_model(tmp_path / "m").graph()
