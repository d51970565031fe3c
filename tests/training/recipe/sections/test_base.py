from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args, get_origin

import pytest
from pydantic import ValidationError

from metaphase.errors import RecipeError
from metaphase.training.recipe.recipe import load_recipe
from metaphase.training.recipe.reference import sections
from metaphase.training.recipe.sections.base import (
    PartOfCases,
    RecipePath,
    Section,
    path_unless,
    repeated,
    step_probability,
)
from tests.training.helpers import recipe_data
from tests.training.recipe.recipes import problems, write


class Table(Section):
    """A table with a field of every kind."""

    whole: int = 3
    real: float = 0.5
    text: str = "word"
    place: RecipePath | None = None
    weights: Annotated[str, path_unless("none", "imagenet")] = "none"
    cases: PartOfCases = ()
    probability: float = step_probability(0.25)


class Stricter(Section):
    """A field of ``Table`` once more."""

    whole: int = repeated(Table, "whole")
    probability: float = repeated(Table, "probability")


def table(folder: Path | str = "/recipes", **values: object) -> Table:
    return Table.model_validate(values, context={"folder": Path(folder)})


# --- strictness


@pytest.mark.parametrize(
    "values",
    [{"whole": "3"}, {"whole": 3.0}, {"whole": True}, {"real": "0.5"}, {"text": 3}, {"other": 1}],
)
def test_values_are_neither_converted_nor_ignored(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Table.model_validate(values)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ValidationError, match="finite"):
        Table.model_validate({"real": value})


def test_a_section_cannot_be_changed() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Table().whole = 4  # type: ignore[misc]


def test_a_whole_number_may_stand_for_a_real_one() -> None:
    """TOML distinguishes 1 and 1.0; who writes a recipe need not."""
    assert Table.model_validate({"real": 1}).real == 1.0


def test_a_probability_is_a_part_of_the_patches() -> None:
    assert Table().probability == 0.25
    for wrong in (-0.1, 1.1):
        with pytest.raises(ValidationError):
            Table(probability=wrong)


def test_a_repeated_field_keeps_default_and_description() -> None:
    assert Stricter().whole == Table().whole
    repeated_, first = (s.model_fields["probability"] for s in (Stricter, Table))
    assert repeated_.default == first.default
    assert repeated_.description == first.description


# --- paths


def test_paths_begin_at_the_recipes_folder() -> None:
    assert table(place=Path("a/b.csv")).place == Path("/recipes/a/b.csv")
    assert table(place=Path("../b.csv")).place == Path("/b.csv")
    assert table(place=Path("/data/b.csv")).place == Path("/data/b.csv")


def test_variables_and_the_home_folder_are_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCANS", "/mnt/scans")
    monkeypatch.setenv("HOME", "/home/me")
    assert table(place=Path("$SCANS/x")).place == Path("/mnt/scans/x")
    assert table(place=Path("${SCANS}/x")).place == Path("/mnt/scans/x")
    assert table(place=Path("~/x")).place == Path("/home/me/x")


@pytest.mark.parametrize("text", ["$NOWHERE_SET/x", "a/${NOWHERE_SET}"])
def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.delenv("NOWHERE_SET", raising=False)
    with pytest.raises(ValidationError, match="variable NOWHERE_SET is not set") as caught:
        table(place=Path(text))
    assert "set it to the folder" in str(caught.value)


def test_a_path_has_no_nul() -> None:
    with pytest.raises(ValidationError, match="NUL"):
        table(weights="a\0b")


def test_some_words_are_no_paths() -> None:
    assert table(weights="imagenet").weights == "imagenet"
    assert table(weights="none").weights == "none"
    assert table(weights="nano").weights == "/recipes/nano"


# --- cases


def test_lists_of_cases_are_read_from_the_recipes_folder(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("b\nc\n")
    assert table(tmp_path, cases=("a", "@list.txt")).cases == ("a", "b", "c")
    with pytest.raises(ValidationError, match="cannot be read"):
        table(tmp_path, cases=("@absent.txt",))


def test_paths_are_relative_to_the_recipe(tmp_path):
    recipe = load_recipe(write(tmp_path, recipe_data()))
    assert recipe.data.sources[0].labels == tmp_path / "labels.json"


def test_environment_variables_are_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_DATA", "/there")
    data = recipe_data(data={"sources": [{"labels": "$MY_DATA/x.json", "images": "${MY_DATA}"}]})
    source = load_recipe(write(tmp_path, data)).data.sources[0]
    assert (source.labels, source.images) == (Path("/there/x.json"), Path("/there"))


def test_a_variable_that_is_not_set_is_a_problem_of_its_source(monkeypatch):
    monkeypatch.delenv("NOT_SET_AT_ALL", raising=False)
    named = problems(recipe_data(data={"sources": [{"labels": "$NOT_SET_AT_ALL/x"}]}))
    assert any(
        text.startswith("data.sources[0].labels") and "NOT_SET_AT_ALL" in text for text in named
    )


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
