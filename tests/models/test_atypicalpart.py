"""A model file with a network for atypical figures inside."""

from __future__ import annotations

import json

import pytest

from metaphase.detection.runtime import open_runtime
from metaphase.errors import ModelFileError
from metaphase.models.atypicalpart import add_atypical
from metaphase.models.card import Atypical, AtypicalScores, SecondStage
from metaphase.models.cardpage import card_markdown
from metaphase.models.modelfile import load_model, save_atypical, save_second_stage
from metaphase.models.precision import export_model
from tests.models.tiny import register, save_tiny

SCORES = AtypicalScores(
    balanced_accuracy=0.8,
    auroc=0.88,
    sensitivity=0.79,
    specificity=0.81,
    figures=2812,
    atypical=633,
    cases=145,
    scanners={"CS2": {"balanced_accuracy": 0.77, "auroc": None, "figures": 3}},
)
HOW = Atypical(id="", threshold=0.25, slope=1.2, intercept=-0.3, spread=0.4, scores=SCORES)


@pytest.fixture
def model(tmp_path, monkeypatch):
    register(monkeypatch)
    first = save_tiny(tmp_path / "model")
    first = save_second_stage(first, save_tiny(tmp_path / "second", seed=3), SecondStage(id=""))
    return first, save_atypical(first, save_tiny(tmp_path / "other", seed=7), HOW)


def test_it_is_found_again_and_part_of_the_id(model, tmp_path) -> None:
    before, after = model
    again = load_model(tmp_path / "model")
    assert again.id == after.id != before.id
    assert again.atypical is not None
    assert again.atypical.card.seed == 7
    assert again.card.atypical == after.card.atypical
    assert before.atypical is None


def test_a_card_from_before_keeps_its_id(model, tmp_path) -> None:
    before, _ = model
    path = tmp_path / "model" / "card.json"
    card = json.loads(path.read_text())
    del card["atypical"]
    path.write_text(json.dumps(card))
    assert load_model(tmp_path / "model").id == before.id


def test_a_missing_or_other_network_is_refused(model, tmp_path) -> None:
    save_tiny(tmp_path / "model" / "atypical", seed=8)
    with pytest.raises(ModelFileError, match="not the part 'atypical'"):
        load_model(tmp_path / "model")
    (tmp_path / "model" / "atypical" / "card.json").unlink()
    with pytest.raises(ModelFileError, match="atypical"):
        load_model(tmp_path / "model")


def test_every_precision_keeps_it(model, tmp_path) -> None:
    for precision in ("packed", "fp16"):
        written = export_model(model[1], tmp_path / precision, precision)
        again = load_model(written.folder)
        assert again.atypical is not None
        assert again.card.atypical is not None
        assert again.card.atypical.threshold == HOW.threshold


def test_it_is_given_to_another_model(model, tmp_path) -> None:
    plain = save_tiny(tmp_path / "plain", seed=11)
    before = sorted(path.name for path in plain.folder.iterdir())
    added = add_atypical(plain, model[1], tmp_path / "both")
    assert load_model(tmp_path / "both").id == added.id
    assert added.card.seed == 11
    assert added.card.atypical == model[1].card.atypical
    assert sorted(path.name for path in plain.folder.iterdir()) == before
    inside = add_atypical(plain, model[1], plain.folder)
    assert load_model(plain.folder).id == inside.id == added.id
    with pytest.raises(ModelFileError, match="has no network for atypical"):
        add_atypical(plain, save_tiny(tmp_path / "third"), tmp_path / "no")


def test_a_graph_alone_runs_beside_pytorch(model, tmp_path) -> None:
    alone = save_tiny(tmp_path / "graph", seed=7, weights=False)
    both = save_atypical(model[0], alone, HOW)
    runtime = open_runtime(both, "torch")
    assert runtime.atypical is not None
    assert "torch" not in runtime.atypical.name.lower()


def test_the_card_page_states_it(model) -> None:
    page = card_markdown(model[1].card)
    assert "from 0.25 on a figure is called atypical" in page
    assert "worst scanner 0.770 (CS2)" in page
