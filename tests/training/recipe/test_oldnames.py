from __future__ import annotations

import tomllib
import warnings
from pathlib import Path

import pytest

from metaphase.errors import DeprecatedNameWarning, RecipeError
from metaphase.training.recipe.oldnames import RENAMED, with_present_names
from metaphase.training.recipe.recipe import load_recipe, load_run_recipe, parse_recipe, resolved
from tests.training.helpers import recipe_data

WRITTEN_BY_0_1 = Path(__file__).parent / "version01.toml"
"""What version 0.1 wrote into a run's folder, with every renamed key."""


def test_a_recipe_of_version_0_1_is_read_with_its_values():
    with pytest.warns(DeprecatedNameWarning):
        recipe = load_recipe(WRITTEN_BY_0_1)
    assert recipe.second_stage is not None
    assert recipe.second_stage.colour_transfer == 0.25
    assert recipe.second_stage.random_negatives == 0.125
    assert recipe.second_stage.negative_distance_um == 8.0
    assert recipe.second_stage.stain_normalisation == "macenko"
    assert recipe.sampling.crops_negatives == 2.0
    assert recipe.sampling.crops_mosaics == 0.75
    assert recipe.augment.stain_transfer is not None
    assert recipe.augment.stain_transfer.method == "reinhard"


def test_the_file_has_every_old_name():
    table = tomllib.loads(WRITTEN_BY_0_1.read_text(encoding="utf-8"))
    sections = {"": table, "second_stage": table["second"], **table}
    assert all(name.old in sections[name.section] for name in RENAMED)


def test_each_old_name_is_answered_by_its_new_one():
    with pytest.warns(DeprecatedNameWarning) as caught:
        load_recipe(WRITTEN_BY_0_1)
    told = [str(warning.message) for warning in caught]
    assert len(told) == len(RENAMED)
    for name in RENAMED:
        (line,) = (t for t in told if f" {name.old_path} " in t)
        assert line.endswith(f"use {name.new_path}")
        assert str(WRITTEN_BY_0_1) in line


def test_what_metaphase_wrote_itself_is_read_silently_and_written_anew():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        recipe = load_run_recipe(WRITTEN_BY_0_1)
        again = parse_recipe(tomllib.loads(resolved(recipe)))
    assert again == recipe


@pytest.mark.parametrize("section", ["second", "second_stage"])
def test_a_change_on_the_command_line_may_use_either_name(section, tmp_path):
    path = tmp_path / "r.toml"
    path.write_text(resolved(parse_recipe(recipe_data(second_stage={"windows": 10}))))
    old = section == "second"
    key = "exchange" if old else "colour_transfer"
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        recipe = load_recipe(path, [f"{section}.{key}=0.125"])
    assert recipe.second_stage is not None
    assert (recipe.second_stage.colour_transfer, recipe.second_stage.windows) == (0.125, 10)
    assert bool(caught) is old


def test_both_names_at_once_are_refused():
    data = recipe_data(second={"windows": 5}, second_stage={"windows": 6})
    with pytest.raises(RecipeError, match="second_stage: stands beside its old name second"):
        parse_recipe(data)


def test_the_table_that_is_given_stays_as_it_is():
    data = recipe_data(sampling={"crops_quilts": 0.5})
    renamed = with_present_names(data, warn=False)
    assert data["sampling"]["crops_quilts"] == 0.5
    assert renamed["sampling"]["crops_mosaics"] == 0.5
    assert "crops_quilts" not in renamed["sampling"]


def test_words_that_were_renamed_with_their_key():
    data = recipe_data(second={"stain": "own"})
    with pytest.warns(DeprecatedNameWarning):
        recipe = parse_recipe(data)
    assert recipe.second_stage is not None
    assert recipe.second_stage.stain_normalisation == "none"
