from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.figures import Label
from metaphase.labels.dataset import Dataset
from metaphase.labels.split import Split
from metaphase.models.networks.base import Network
from metaphase.training.data.trainingdata import TrainingData
from metaphase.training.fit.card import UNDECIDED, finished_card, network_card
from tests.models.tiny import TinyNetwork, TinyOptions
from tests.training.helpers import make_recipe, small_dataset


@pytest.fixture
def network() -> Network:
    net = TinyNetwork(TinyOptions(), (Label.MITOTIC,))
    net.options = {"weights": "none", "tile_px": 128}
    return net


def test_the_card_of_a_network_in_training(network: Network) -> None:
    recipe = make_recipe(seed=7, validation={"merge_radius_um": 4.0})
    card = network_card(recipe, network)
    assert (card.name, card.seed) == ("small", 7)
    assert (card.network, card.network_options) == ("tiny", network.options)
    assert (card.input, card.head) == (network.input, network.head)
    assert card.normalisation == network.normalisation
    assert card.merge_radius_um == 4.0
    assert card.threshold == UNDECIDED
    assert card.training_data == []


def test_other_fields_can_be_given(network: Network) -> None:
    card = network_card(make_recipe(), network, name="other", versions={"torch": "2"})
    assert (card.name, card.versions) == ("other", {"torch": "2"})


def test_the_threshold_of_a_network_in_training_is_none_to_rely_on() -> None:
    assert UNDECIDED.value == 0.5
    assert "provisional" in UNDECIDED.protocol


def data_of(folder: Path, *, prefix: str = "") -> TrainingData:
    regions = small_dataset(folder)
    if prefix:
        regions = regions.with_prefix(prefix)
    ids = regions.ids
    return TrainingData(
        regions, Dataset([]), Split(training=ids[:2], validation=ids[2:3], unlabelled=ids[3:])
    )


def test_a_finished_card_says_what_was_trained_on(network: Network, tmp_path: Path) -> None:
    """Of the training cases only: neither validation nor unlabelled ones."""
    recipe = make_recipe(data={"sources": [{"labels": "l.json", "terms": "CC BY 4.0"}]})
    card = finished_card(recipe, network, data_of(tmp_path))
    (source,) = (dict(entry) for entry in card.model_dump(mode="json")["training_data"])
    assert source["cases"] == 2
    assert source["mitotic_figures"] == 3
    assert source["hard_negatives"] == 2
    assert source["scanners"] == ["S1", "S2"]
    assert source["terms"] == "CC BY 4.0"
    assert source["name"] == "small"
    assert card.recipe["seed"] == recipe.seed
    assert "torch" in card.versions
    assert card.metaphase


def test_each_source_counts_its_own_cases(network: Network, tmp_path: Path) -> None:
    sources = [{"labels": "a.json", "name": "one"}, {"labels": "b.json", "name": "two"}]
    recipe = make_recipe(data={"sources": sources})
    card = finished_card(recipe, network, data_of(tmp_path, prefix="one"), name="joined")
    entries = card.model_dump(mode="json")["training_data"]
    assert [(entry["name"], entry["cases"]) for entry in entries] == [("one", 2), ("two", 0)]
    assert card.name == "joined"
