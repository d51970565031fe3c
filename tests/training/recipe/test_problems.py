from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from metaphase.errors import Problem
from metaphase.training.recipe.problems import problems_of, sections_in
from metaphase.training.recipe.recipe import Recipe
from metaphase.training.recipe.sections import (
    CompactNetwork,
    Optimiser,
    RetinaNetwork,
    Shares,
    SplitTable,
    StainTransfer,
    Trainer,
)
from tests.training.helpers import recipe_data
from tests.training.recipe.recipes import problems


def problems_at(**sections: object) -> dict[str, Problem]:
    """Return the problems of the smallest recipe with some sections changed, by their place."""
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(recipe_data(**sections), context={})
    found = problems_of(caught.value, Recipe, "r.toml")
    return {problem.record: problem for problem in found if problem.record != "data.sources"}


@pytest.mark.parametrize(
    ("sections", "place"),
    [
        ({"trainer": {"epochs": -1}}, "trainer.epochs"),
        ({"augment": {"stain": {"multiply": 7.0}}}, "augment.stain.multiply"),
        ({"sampling": {"shares": {"mitotic": -1.0}}}, "sampling.shares.mitotic"),
        ({"validation": {"threshold": 3.0}}, "validation.threshold"),
        ({"network": {"width": 1}}, "network.width"),
        ({"second_stage": {"figures": 2.0}}, "second_stage.figures"),
        ({"data": {"split": {"training": 3}}}, "data.split.training"),
        ({"data": {"box_um": -1.0}}, "data.box_um"),
        ({"seed": -1}, "seed"),
    ],
)
def test_a_place_is_written_as_in_the_file(sections: dict[str, object], place: str) -> None:
    """Without the words that pydantic adds for the kind of a network or of a split."""
    found = problems_at(**sections)
    assert place in found
    assert found[place].file == "r.toml"
    assert found[place].message
    assert not found[place].message.startswith("Value error")


def test_items_of_a_list_are_counted_from_0() -> None:
    sources = ({"labels": "a", "name": "a"}, {"labels": "b", "name": "b", "mmp": 0.25})
    found = problems_at(data={"sources": sources})
    assert found["data.sources[1].mmp"].message == "is not a known key"
    assert found["data.sources[1].mmp"].way_out == "did you mean mpp?"


@pytest.mark.parametrize(
    ("sections", "place", "way_out"),
    [
        ({"trainer": {"epoch": 1}}, "trainer.epoch", "did you mean epochs?"),
        ({"trainr": {}}, "trainr", "did you mean trainer?"),
        (
            {"augment": {"stain": {"multply": 0.1}}},
            "augment.stain.multply",
            "did you mean multiply?",
        ),
        ({"trainer": {"weight_decay": 0.1}}, "trainer.weight_decay", "optimiser.weight_decay"),
        ({"sampling": {"box_um": 10.0}}, "sampling.box_um", "did you mean data.box_um?"),
    ],
)
def test_an_unknown_key_has_a_near_one(
    sections: dict[str, object], place: str, way_out: str
) -> None:
    found = problems_at(**sections)
    assert found[place].message == "is not a known key"
    assert way_out in found[place].way_out


def test_a_key_that_is_near_none_gets_the_list_of_its_section() -> None:
    found = problems_at(optimiser={"zzzzzzzz": 1})
    known = found["optimiser.zzzzzzzz"].way_out
    assert known.startswith("known here: ")
    assert all(name in known for name in Optimiser.model_fields)


def test_keys_of_one_network_are_unknown_in_the_other() -> None:
    found = problems_at(network={"aspect_ratios": (1.0,)})
    assert found["network.aspect_ratios"].message == "is not a known key"
    assert "aspect_ratios" not in found["network.aspect_ratios"].way_out.partition("known here")[2]


@pytest.mark.parametrize("network", [{"kind": "yolo"}, {"kind": 3}])
def test_an_unknown_kind_of_network_is_told_with_all_kinds(network: dict[str, object]) -> None:
    found = problems_at(network=network)
    assert found["network.kind"].message == "is missing or unknown"
    assert found["network.kind"].way_out == "one of compact, retinanet_resnet50_fpn_v2"


def test_a_missing_section_is_missing() -> None:
    data = recipe_data()
    del data["sampling"], data["name"]
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(data)
    found = {p.record: p for p in problems_of(caught.value, Recipe, "r.toml")}
    assert found["sampling"].message == found["name"].message == "is missing"


def test_a_rule_between_fields_is_told_of_its_section() -> None:
    """In plain words, beginning with a small letter: it follows the place and a colon."""
    found = problems_at(sampling={"rim_px": 40})
    assert found["sampling"].message == "rim_px leaves no room in patch_px"


def test_a_table_where_none_is_expected_is_told_of_the_recipe() -> None:
    with pytest.raises(ValidationError) as caught:
        Recipe.model_validate(3)
    (problem,) = problems_of(caught.value, Recipe, "r.toml")
    assert (problem.file, problem.record) == ("r.toml", "recipe")


# --- sections of a field


@pytest.mark.parametrize(
    ("section", "field", "inner"),
    [
        (Recipe, "network", [CompactNetwork, RetinaNetwork]),
        (Recipe, "trainer", [Trainer]),
        (Recipe, "name", []),
    ],
)
def test_the_sections_that_a_field_may_hold(
    section: type[BaseModel], field: str, inner: list[type[BaseModel]]
) -> None:
    assert sections_in(section.model_fields[field].annotation) == inner


@pytest.mark.parametrize(
    ("annotation", "inner"),
    [
        (int, []),
        (Shares | None, [Shares]),
        (tuple[StainTransfer, ...], [StainTransfer]),
        (str | SplitTable, [SplitTable]),
        (dict[str, Trainer | None], [Trainer]),
    ],
)
def test_sections_are_found_inside_of_types(annotation: object, inner: list[object]) -> None:
    assert sections_in(annotation) == inner


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
