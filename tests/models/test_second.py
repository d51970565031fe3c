"""A model file with a second one inside."""

from __future__ import annotations

import json

import pytest

from metaphase.errors import ModelFileError
from metaphase.models.modelfile import load_model, rewrite_card, save_second
from metaphase.models.precision import export_model
from metaphase.models.spec import LOOK_FLOOR, SecondLook, StainReference
from tests.models.tiny import register, save_tiny

LOOK = SecondLook(id="", min_score=0.1, weight=0.5, symmetries=4)


@pytest.fixture
def model(tmp_path, monkeypatch):
    register(monkeypatch)
    first = save_tiny(tmp_path / "model")
    second = save_tiny(tmp_path / "other", seed=7)
    return first, save_second(first, second, LOOK)


def test_it_is_found_again_and_part_of_the_id(model, tmp_path):
    first, twice = model
    assert first.second is None
    again = load_model(tmp_path / "model")
    assert again.id == twice.id != first.id
    assert again.second is not None
    assert again.second.card.seed == 7
    assert again.card.second is not None
    assert again.card.second.id == again.second.id


def test_a_card_from_before_there_was_a_floor_keeps_its_id(model, tmp_path):
    _, twice = model
    path = tmp_path / "model" / "card.json"
    card = json.loads(path.read_text())
    assert card["second"].pop("floor") == LOOK_FLOOR
    path.write_text(json.dumps(card))
    again = load_model(tmp_path / "model")
    assert again.id == twice.id
    assert again.card.second.floor == LOOK_FLOOR
    changed = rewrite_card(again, second=again.card.second.model_copy(update={"floor": 0.0}))
    assert changed.id != twice.id


def test_a_card_from_before_stains_were_exchanged_keeps_its_id(model, tmp_path):
    _, twice = model
    path = tmp_path / "model" / "card.json"
    card = json.loads(path.read_text())
    assert card["second"].pop("stain") is None
    path.write_text(json.dumps(card))
    again = load_model(tmp_path / "model")
    assert again.id == twice.id
    stain = StainReference(vectors=((0.6, 0.7, 0.4), (0.2, 0.8, 0.5)), amounts=(2.0, 1.0))
    changed = rewrite_card(again, second=again.card.second.model_copy(update={"stain": stain}))
    assert changed.id != twice.id
    assert load_model(tmp_path / "model").card.second.stain == stain


def test_a_missing_second_look_is_told(model, tmp_path):
    (tmp_path / "model" / "second" / "card.json").unlink()
    with pytest.raises(ModelFileError, match="second"):
        load_model(tmp_path / "model")


def test_another_second_look_is_refused(model, tmp_path):
    save_tiny(tmp_path / "model" / "second", seed=8)
    with pytest.raises(ModelFileError, match="not the second look"):
        load_model(tmp_path / "model")


def test_a_damaged_second_look_is_refused(model, tmp_path):
    path = tmp_path / "model" / "second" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="second"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_it_is_exported_with_the_first(model, tmp_path, precision):
    written = export_model(load_model(tmp_path / "model"), tmp_path / "out", precision)
    again = load_model(tmp_path / "out")
    assert again.id == written.id
    assert again.second is not None
    assert again.second.onnx_path is not None
