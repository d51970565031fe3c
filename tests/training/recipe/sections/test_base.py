from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

from metaphase.errors import RecipeError
from metaphase.training.recipe.recipe import load_recipe
from metaphase.training.recipe.reference import sections
from tests.training.helpers import recipe_data
from tests.training.recipe.recipes import problems, write


def test_paths_are_relative_to_the_recipe(tmp_path):
    recipe = load_recipe(write(tmp_path, recipe_data()))
    assert recipe.data.sources[0].labels == tmp_path / "labels.json"


def test_environment_variables_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_DATA", "/there")
    data = recipe_data(data={"sources": [{"labels": "$MY_DATA/x.json", "images": "${MY_DATA}"}]})
    source = load_recipe(write(tmp_path, data)).data.sources[0]
    assert (source.labels, source.images) == (Path("/there/x.json"), Path("/there"))


def test_a_variable_that_is_not_set_is_told(monkeypatch):
    monkeypatch.delenv("NOT_SET_AT_ALL", raising=False)
    (told,) = problems(recipe_data(data={"sources": [{"labels": "$NOT_SET_AT_ALL/x"}]}))
    assert told.startswith("data.sources[0].labels")
    assert "NOT_SET_AT_ALL" in told


def numbers_in(annotation, metadata=()):
    """Yield the metadata of every number that a field may hold."""
    if annotation in (int, float):
        yield metadata
    inner = getattr(annotation, "__metadata__", None)
    if inner is not None:
        yield from numbers_in(get_args(annotation)[0], (*metadata, *inner))
    elif get_origin(annotation) is not Literal:
        for part in get_args(annotation):
            yield from numbers_in(part, metadata)


@pytest.mark.parametrize("section", sections(), ids=lambda section: section.__name__)
def test_every_number_has_a_lower_and_an_upper_bound(section):
    exempt = {"quality", "sure", "weights"}  # a validator of their own checks their range
    for name, field in section.model_fields.items():
        for metadata in numbers_in(field.annotation, tuple(field.metadata)):
            bounds = {type(limit).__name__ for limit in _flat(metadata)}
            assert name in exempt or (bounds & {"Ge", "Gt"} and bounds & {"Le", "Lt"}), name


def _flat(metadata):
    for limit in metadata:
        yield from getattr(limit, "metadata", [limit])


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("trainer.epochs=1000000000000", "trainer.epochs"),
        ("trainer.devices=0", "trainer.devices"),
        ("sampling.patch_px=1000000", "sampling.patch_px"),
        ("optimiser.learning_rate=1e300", "optimiser.learning_rate"),
        ("network.mpp=1e-9", "network.mpp"),
        ("network.width=1000000", "network.width"),
        ("seed=99999999999999999999999999", "seed"),
        ("validation.radius_um=inf", "validation.radius_um"),
        ("augment.stain.vectors=rufirok", "augment.stain.vectors"),
    ],
)
def test_absurd_values_are_refused_with_their_place(tmp_path, change, place):
    path = write(tmp_path, recipe_data())
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, [change])
    assert place in caught.value.problems[0].record
