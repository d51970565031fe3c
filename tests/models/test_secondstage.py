"""A model file with a second one inside."""

from __future__ import annotations

import json

import pytest

from metaphase.errors import ModelFileError
from metaphase.models.card import SECOND_STAGE_FLOOR, SecondStage, StainReference
from metaphase.models.modelfile import (
    default_model,
    load_model,
    rewrite_card,
    save_second_stage,
)
from metaphase.models.precision import export_model
from tests.models.tiny import register, save_tiny

LOOK = SecondStage(id="", min_score=0.1, weight=0.5, symmetries=4)


@pytest.fixture
def model(tmp_path, monkeypatch):
    register(monkeypatch)
    first = save_tiny(tmp_path / "model")
    second = save_tiny(tmp_path / "other", seed=7)
    return first, save_second_stage(first, second, LOOK)


def test_it_is_found_again_and_part_of_the_id(model, tmp_path):
    first, twice = model
    assert first.second_stage is None
    again = load_model(tmp_path / "model")
    assert again.id == twice.id != first.id
    assert again.second_stage is not None
    assert again.second_stage.card.seed == 7
    assert again.card.second_stage is not None
    assert again.card.second_stage.id == again.second_stage.id


def test_a_card_from_before_there_was_a_floor_keeps_its_id(model, tmp_path):
    _, twice = model
    path = tmp_path / "model" / "card.json"
    card = json.loads(path.read_text())
    assert card["second_stage"].pop("floor") == SECOND_STAGE_FLOOR
    path.write_text(json.dumps(card))
    again = load_model(tmp_path / "model")
    assert again.id == twice.id
    assert again.card.second_stage.floor == SECOND_STAGE_FLOOR
    changed = rewrite_card(
        again, second_stage=again.card.second_stage.model_copy(update={"floor": 0.0})
    )
    assert changed.id != twice.id


def test_a_card_from_before_stains_were_exchanged_keeps_its_id(model, tmp_path):
    _, twice = model
    path = tmp_path / "model" / "card.json"
    card = json.loads(path.read_text())
    assert card["second_stage"].pop("stain") is None
    path.write_text(json.dumps(card))
    again = load_model(tmp_path / "model")
    assert again.id == twice.id
    stain = StainReference(vectors=((0.6, 0.7, 0.4), (0.2, 0.8, 0.5)), amounts=(2.0, 1.0))
    changed = rewrite_card(
        again, second_stage=again.card.second_stage.model_copy(update={"stain": stain})
    )
    assert changed.id != twice.id
    assert load_model(tmp_path / "model").card.second_stage.stain == stain


def test_a_missing_second_stage_is_told(model, tmp_path):
    (tmp_path / "model" / "second" / "card.json").unlink()
    with pytest.raises(ModelFileError, match="second"):
        load_model(tmp_path / "model")


def test_another_second_stage_is_refused(model, tmp_path):
    save_tiny(tmp_path / "model" / "second", seed=8)
    with pytest.raises(ModelFileError, match="not the part"):
        load_model(tmp_path / "model")


def test_a_damaged_second_stage_is_refused(model, tmp_path):
    path = tmp_path / "model" / "second" / "model.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="second"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_it_is_exported_with_the_first(model, tmp_path, precision):
    written = export_model(load_model(tmp_path / "model"), tmp_path / "out", precision)
    again = load_model(tmp_path / "out")
    assert again.id == written.id
    assert again.second_stage is not None
    assert again.second_stage.onnx_path is not None


def test_a_card_of_version_0_1_names_it_second(model, tmp_path):
    _, twice = model
    path = tmp_path / "model" / "card.json"
    card = json.loads(path.read_text())
    card["second"] = card.pop("second_stage")
    path.write_text(json.dumps(card))
    again = load_model(tmp_path / "model")
    assert again.id == twice.id
    assert again.card == twice.card
    assert "second_stage" in again.card.model_dump(mode="json")


def test_the_bundled_model_is_read_with_its_second_stage():
    model = load_model(default_model())
    assert model.second_stage is not None
    assert model.card.second_stage is not None
    assert model.second_stage.id == model.card.second_stage.id
    assert json.loads((model.folder / "card.json").read_text())["name"] == model.card.name
