"""Files that are not self-contained ONNX are refused, each with its way out."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from metaphase.detection.foreign import graph as graph_module
from metaphase.detection.foreign.graph import open_graph, shape_text
from metaphase.errors import ModelFileError
from tests.detection.foreign import graphs

onnx = pytest.importorskip("onnx")


def test_ports_and_producer_are_read(tmp_path):
    found = open_graph(graphs.finished(tmp_path / "a.onnx"))
    assert [str(port) for port in found.inputs] == ["image [1, 3, 128, 128] float32"]
    assert [str(port) for port in found.outputs] == [
        "boxes [?, 4] float32",
        "labels [?] int64",
        "scores [?] float32",
    ]
    assert found.producer == "tests"
    outputs = found.run(np.zeros((1, 3, 128, 128), np.float32))
    assert outputs[0].shape[1] == 4
    assert outputs[1].dtype == np.int64


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".onnx", ".pkl"])
@pytest.mark.parametrize("zipped", [True, False])
def test_checkpoints_are_refused_and_never_loaded(tmp_path, suffix, zipped):
    """Also under another name: the content decides."""
    path = tmp_path / f"model{suffix}"
    if zipped:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", b"\x80\x02cos\nsystem\n")
    else:
        path.write_bytes(b"\x80\x02cos\nsystem\n(S'touch " + bytes(tmp_path / "ran") + b"'\ntR.")
    with pytest.raises(ModelFileError, match=r"executes the code in it.*torch\.onnx\.export"):
        open_graph(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.h5", "Keras or TensorFlow"),
        ("a.tflite", "TensorFlow Lite"),
        ("a.engine", "TensorRT"),
        ("a.safetensors", "weights without a network"),
        ("absent.onnx", "cannot be read"),
    ],
)
def test_other_files_are_refused_with_the_way_to_onnx(tmp_path, name, message):
    if name != "absent.onnx":
        (tmp_path / name).write_bytes(b"data")
    with pytest.raises(ModelFileError, match=message):
        open_graph(tmp_path / name)


def test_a_folder_and_text_are_refused(tmp_path):
    with pytest.raises(ModelFileError, match=r"name the \.onnx file"):
        open_graph(tmp_path)
    (tmp_path / "a.onnx").write_text("hello")
    with pytest.raises(ModelFileError, match="is not an ONNX file"):
        open_graph(tmp_path / "a.onnx")


def test_weights_in_other_files_are_refused(tmp_path):
    path = graphs.heat_map(tmp_path / "a.onnx")
    model = onnx.load(path)
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.zeros(4096, np.float32), "large")
    )
    onnx.save_model(
        model, path, save_as_external_data=True, location="weights.bin", size_threshold=64
    )
    with pytest.raises(ModelFileError, match=r"'weights\.bin'.*external_data=False"):
        open_graph(path)


def test_unknown_operators_are_refused(tmp_path):
    build = graphs.Builder()
    build.nodes.append(onnx.helper.make_node("Run", ["image"], ["x"], domain="evil.example"))
    path = build.save(
        tmp_path / "a.onnx", [graphs.image_port(64)], [("x", onnx.TensorProto.FLOAT, [None])]
    )
    with pytest.raises(ModelFileError, match="ONNX Runtime cannot load it"):
        open_graph(path)


def test_a_graph_that_fails_names_the_input(tmp_path):
    found = open_graph(graphs.yolo(tmp_path / "a.onnx", side=64, batch="n"))
    with pytest.raises(ModelFileError, match=r"\[1, 4, 64, 64\].*--tile"):
        found.run(np.zeros((1, 4, 64, 64), np.float32))


def test_huge_outputs_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(graph_module, "MAX_NUMBERS", 1000)
    found = open_graph(graphs.yolo(tmp_path / "a.onnx"))
    with pytest.raises(ModelFileError, match=r"output0: gives \[1, 5, 256\] float32"):
        found.run(np.zeros((1, 3, 128, 128), np.float32))


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("{0: 'mitosis', 1: 'hard negative'}", ("mitosis", "hard negative")),
        ("['mitosis']", ("mitosis",)),
        ("{0: 'a', 2: 'b'}", ()),
        ("{0: 1}", ()),
        ("__import__('os').system('false')", ()),
        ("(" * 500, ()),
        (None, ()),
    ],
)
def test_class_names_of_the_file_are_read_as_data(tmp_path, text, names):
    metadata = {} if text is None else {"names": text}
    found = open_graph(graphs.yolo(tmp_path / "a.onnx", metadata=metadata))
    assert found.class_names() == names


def test_open_sides_have_a_question_mark():
    assert shape_text((1, None, 6)) == "[1, ?, 6]"
