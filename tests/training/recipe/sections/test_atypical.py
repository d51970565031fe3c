"""The section `[atypical]`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from metaphase.errors import RecipeError
from metaphase.training.recipe.recipe import parse_recipe
from metaphase.training.recipe.sections import Atypical

FOLDER = Path("/recipes")


def section(**values) -> Atypical:
    return Atypical.model_validate_json(json.dumps(values), context={"folder": FOLDER})


def test_the_model_is_a_bundled_one_or_a_path_beside_the_recipe() -> None:
    assert section().model is None
    assert section(model="compact").model == "compact"
    assert section(model="mine").model == str(FOLDER / "mine")


def test_features_begin_where_training_does() -> None:
    assert section(trained_stages=2, strides=[8, 32]).strides == (8, 32)
    assert section(trained_stages=1, strides=[16]).strides == (16,)
    with pytest.raises(ValidationError, match="strides must be 16 or more"):
        section(trained_stages=1, strides=[8, 16])


def test_crops_alone_are_enough_where_no_detector_is_trained() -> None:
    data = {
        "name": "a",
        "data": {
            "sources": [{"role": "crops", "labels": "a.json"}],
            "split": {"training": []},
        },
        "network": {"kind": "compact"},
        "sampling": {"patches_per_epoch": 1},
    }
    with pytest.raises(RecipeError, match="whose role is 'regions'"):
        parse_recipe(data)
    with pytest.raises(RecipeError, match="whose role is 'regions'"):
        parse_recipe(data | {"atypical": {}})
    assert parse_recipe(data | {"atypical": {"model": "compact"}}).atypical is not None
