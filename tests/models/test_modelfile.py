"""Model files: written, read back, damaged, and never trusted."""

from __future__ import annotations

import json

import numpy as np
import pytest

from metaphase.errors import ModelFileError
from metaphase.models import modelfile
from metaphase.models.card import HeadSpec, InputSpec, Level, ModelCard, Threshold
from metaphase.models.modelfile import (
    copy_model,
    load_model,
    load_network,
    save_int8,
    save_model,
)

pytest.importorskip("safetensors")


def make_card(**changes):
    values = {
        "name": "test",
        "created": "2026-01-01T00:00:00Z",
        "metaphase": "0",
        "network": "compact",
        "network_options": {"weights": "none"},
        "input": InputSpec(mpp=0.25),
        "head": HeadSpec(kind="centre", levels=(Level(stride=8),)),
        "normalisation": {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)},
        "merge_radius_um": 7.5,
        "threshold": Threshold(value=0.4, chosen_on="nothing", protocol="none"),
        "training_data": [],
        "recipe": {},
        "seed": 0,
        "versions": {},
    }
    return ModelCard(**(values | changes))


WEIGHTS = {"b": np.arange(6, dtype=np.float32).reshape(2, 3), "a": np.ones(2, np.float32)}


@pytest.fixture
def folder(tmp_path):
    save_model(tmp_path / "m", make_card(), weights=WEIGHTS, onnx=b"not really a graph")
    return tmp_path / "m"


def test_reads_back_what_was_written(folder, tmp_path):
    model = load_model(folder)
    assert model.card.threshold.value == 0.4
    assert set(model.card.weights_sha256) == {"weights.safetensors", "model.onnx"}
    assert model.onnx_path == folder / "model.onnx"
    assert model.weights_path == folder / "weights.safetensors"
    assert load_model(folder / "card.json") == model
    from safetensors.numpy import load_file

    weights = load_file(model.weights_path)
    assert {k: v.tolist() for k, v in weights.items()} == {
        k: v.tolist() for k, v in WEIGHTS.items()
    }


def test_one_of_the_two_is_enough(tmp_path):
    weights = save_model(tmp_path / "w", make_card(), weights=WEIGHTS)
    graph = save_model(tmp_path / "g", make_card(), onnx=b"graph")
    assert (weights.onnx_path, graph.weights_path) == (None, None)
    assert load_model(tmp_path / "w") == weights
    assert load_model(tmp_path / "g") == graph
    with pytest.raises(ModelFileError, match="needs weights"):
        save_model(tmp_path / "n", make_card())
    with pytest.raises(ModelFileError, match=r"no weights\.safetensors"):
        load_network(graph)


def test_replacing_leaves_nothing_of_the_old_one(folder):
    save_model(folder, make_card(), weights=WEIGHTS)
    assert not (folder / "model.onnx").exists()
    assert load_model(folder).onnx_path is None


def test_the_id_is_of_the_content(folder, tmp_path):
    one = load_model(folder)
    same = save_model(tmp_path / "copy", make_card(), weights=WEIGHTS, onnx=b"not really a graph")
    card = folder / "card.json"
    card.write_text(json.dumps(json.loads(card.read_text())))  # other layout, same content
    assert one.id == same.id == load_model(folder).id
    weights = {**WEIGHTS, "a": np.zeros(2, np.float32)}
    assert save_model(tmp_path / "o", make_card(), weights=weights).id != one.id
    threshold = Threshold(value=0.5, chosen_on="nothing", protocol="none")
    changed = make_card(threshold=threshold)
    assert save_model(tmp_path / "t", changed, weights=WEIGHTS, onnx=b"graph").id != one.id


def test_changed_weights_are_refused(folder):
    data = bytearray((folder / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(data)
    with pytest.raises(ModelFileError, match="not the file that the card names"):
        load_model(folder)
    assert load_model(folder, verify=False)


def test_all_damage_is_told_at_once(folder):
    (folder / "weights.safetensors").unlink()
    (folder / "model.onnx").write_bytes(b"other")
    with pytest.raises(ModelFileError) as caught:
        load_model(folder)
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format=2), "upgrade metaphase"),
        (lambda d: d.update(surprise=1), "surprise"),
        (lambda d: d.pop("seed"), "seed"),
        (lambda d: d["input"].update(mpp=-1), "input.mpp"),
        (lambda d: d.update(weights_sha256={}), "has no weights"),
        (lambda d: d["weights_sha256"].update({"../../evil": "0"}), "unknown file"),
    ],
)
def test_a_wrong_card_is_told(folder, change, message):
    data = json.loads((folder / "card.json").read_text())
    change(data)
    (folder / "card.json").write_text(json.dumps(data))
    with pytest.raises(ModelFileError, match=message):
        load_model(folder)


def test_a_card_that_is_not_json_is_told(folder):
    (folder / "card.json").write_text("{")
    with pytest.raises(ModelFileError, match=r"card\.json"):
        load_model(folder)


def test_absence_says_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setattr(modelfile, "ZOO", tmp_path / "zoo")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.pt").write_bytes(b"")
    for name, message in [
        (tmp_path / "gone", "no such model file"),
        (tmp_path / "empty", r"holds no card\.json"),
        (tmp_path / "file.pt", "a model file is a folder"),
        ("nobody", "no model is bundled"),
    ]:
        with pytest.raises(ModelFileError, match=message) as caught:
            load_model(name)
        assert "metaphase train" in str(caught.value)


def test_a_bare_name_is_looked_up_in_the_package(tmp_path, monkeypatch):
    monkeypatch.setattr(modelfile, "ZOO", tmp_path / "zoo")
    save_model(tmp_path / "zoo" / "compact", make_card(), onnx=b"graph")
    monkeypatch.chdir(tmp_path)
    assert load_model("compact").folder == tmp_path / "zoo" / "compact"
    with pytest.raises(ModelFileError, match="a bundled model: compact"):
        load_model("compacct")
    with pytest.raises(ModelFileError):
        load_model("./elsewhere/compact")


def test_a_network_comes_back_with_its_weights(tmp_path):
    torch = pytest.importorskip("torch")
    from metaphase.models.networks import build_network

    torch.manual_seed(0)
    network = build_network("compact", {"weights": "none", "width": 16}).eval()
    card = make_card(network_options=network.options, input=network.input, head=network.head)
    model = save_model(tmp_path / "m", card, weights=network.state_dict())
    again = load_network(load_model(tmp_path / "m"))
    tiles = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    with torch.inference_mode():
        for one, other in zip(network(tiles), again(tiles), strict=True):
            assert torch.equal(one, other)
    misfit = save_model(tmp_path / "x", card, weights=WEIGHTS)
    with pytest.raises(ModelFileError, match="does not fit 'compact'"):
        load_network(misfit)
    assert not again.training
    assert model.id


def test_a_copy_has_the_graph_in_8_bit_integers(folder, tmp_path):
    model = save_int8(load_model(folder), b"a smaller graph", {"calibration_tiles": 4})
    copy = copy_model(model, tmp_path / "copy")
    assert load_model(copy.folder).id == model.id
    assert (copy.folder / "int8.onnx").read_bytes() == b"a smaller graph"
