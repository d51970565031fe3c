"""Only the second stage of a fine-tuned model differs from the model that it comes from."""

from __future__ import annotations

import pytest

from metaphase.errors import ModelFileError
from metaphase.models.card import Threshold
from metaphase.models.export import check_graph, export_onnx
from metaphase.models.modelfile import copy_model, load_model, save_model, save_second_stage
from metaphase.training.finetune.features import head_of, set_head
from metaphase.training.finetune.finetunedmodel import load_window_network, save_finetuned
from metaphase.training.finetune.head import Head
from tests.learning.conftest import small_model
from tests.training.finetune.networks import small_network

RECORD = {"decisions": 30, "figures": 10, "slides": 2, "scanners": ["S"]}
THRESHOLD = Threshold(value=0.7, chosen_on="30 decisions", protocol="cross-validation")


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return small_model(tmp_path_factory.mktemp("base"))


def test_the_second_stage_and_the_card_change(base, tmp_path):
    network = small_network(seed=5)
    save_finetuned(tmp_path, base, network, THRESHOLD, RECORD, ["ab" * 32])
    model = load_model(tmp_path)
    assert model.card.threshold == THRESHOLD
    assert model.card.second_stage.weight == base.card.second_stage.weight
    assert model.card.training_data[-1]["hard_negatives"] == 20
    assert model.card.training_images == ("ab" * 8,)
    assert model.card.name == "small, fine-tuned with 30 decisions"
    again = load_window_network(model.second_stage).state_dict()
    assert all((again[name] == value).all() for name, value in network.state_dict().items())
    assert model.weights_path.read_bytes() == base.weights_path.read_bytes()


def test_names_do_not_grow(base, tmp_path):
    first = save_finetuned(tmp_path / "1", base, small_network(5), THRESHOLD, RECORD)
    second = save_finetuned(
        tmp_path / "2", first, small_network(6), THRESHOLD, {**RECORD, "decisions": 60}
    )
    assert second.card.name == "small, fine-tuned with 60 decisions"


def test_the_network_for_atypical_figures_and_the_graph_in_8_bits_stay(tmp_path):
    base = load_model("compact")
    network = load_window_network(base.second_stage)
    head = head_of(network)
    set_head(network, Head(head.weight * 1.5, head.bias + 0.25))
    save_finetuned(tmp_path / "m", base, network, THRESHOLD, RECORD)
    model = load_model(tmp_path / "m")
    assert model.atypical.id == base.atypical.id
    assert model.card.atypical == base.card.atypical
    assert model.int8_path.read_bytes() == base.int8_path.read_bytes()
    assert model.card.scores.int8 == base.card.scores.int8
    assert model.onnx_path.read_bytes() == base.onnx_path.read_bytes()
    assert "validation" not in model.card.scores.entries
    # The graph has the new layer, and is as small as that of the first model.
    check_graph(network, model.second_stage.graph(), model.second_stage.onnx_path)
    size = base.second_stage.onnx_path.stat().st_size
    assert model.second_stage.onnx_path.stat().st_size == pytest.approx(size, rel=0.01)
    with pytest.raises(ModelFileError, match="differs from PyTorch"):
        check_graph(network, base.second_stage.graph(), base.second_stage.onnx_path)


def test_a_network_that_changed_throughout_is_exported(base, tmp_path):
    """The graph of the first model lacks names of the new one's weights, or has other values."""
    first = small_network(seed=1)
    graph = export_onnx(first, tmp_path / "first.onnx").read_bytes()
    second = save_model(
        tmp_path / "second", base.second_stage.card, weights=first.state_dict(), onnx=graph
    )
    whole = save_second_stage(copy_model(base, tmp_path / "whole"), second, base.card.second_stage)
    other = small_network(seed=5)
    written = save_finetuned(tmp_path / "out", load_model(whole.folder), other, THRESHOLD, RECORD)
    check_graph(other, written.second_stage.graph(), tmp_path / "out")
