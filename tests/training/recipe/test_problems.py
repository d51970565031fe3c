from __future__ import annotations

from tests.training.helpers import recipe_data
from tests.training.recipe.recipes import problems


def test_an_unknown_key_is_refused_with_the_nearest_known_one():
    told = problems(recipe_data(trainer={"epoch": 3}))
    assert told == ["trainer.epoch: is not a known key (did you mean epochs?)"]


def test_a_key_of_another_section_is_told_where_it_belongs():
    (told,) = problems(recipe_data(trainer={"learning_rate": 0.1}))
    assert "did you mean optimiser.learning_rate?" in told


def test_an_option_of_the_other_network_is_refused():
    (told,) = problems(recipe_data(network={"anchors": [[4.0]]}))
    assert told.startswith("network.anchors: is not a known key")


def test_all_problems_are_gathered_with_their_place():
    data = recipe_data(trainer={"epochs": 1.5, "batch_size": 0}, seeed=1)
    data["data"] = {"sources": [{"labels": "a"}, {"labels": "b", "rolle": 1}], "split": {}}
    places = {p.partition(": ")[0] for p in problems(data)}
    assert places >= {"trainer.epochs", "trainer.batch_size", "data.sources[1].rolle", "seeed"}


def test_a_known_kind_is_named_for_an_unknown_one():
    (told,) = problems(recipe_data(network={"kind": "compct"}))
    assert "retinanet_resnet50_fpn_v2" in told
