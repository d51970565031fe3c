"""Only the second stage of a fine-tuned model differs from the model that it comes from."""

from __future__ import annotations

import pytest

from metaphase.models.card import Threshold
from metaphase.models.modelfile import load_model
from metaphase.training.finetune.finetunedmodel import load_window_network, save_finetuned
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
