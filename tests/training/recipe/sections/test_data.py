from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from metaphase.labels.dataset import Dataset
from metaphase.radii import MATCH_RADIUS_UM
from metaphase.training.data.sources import read_split
from metaphase.training.recipe.recipe import load_recipe
from metaphase.training.recipe.sections import BUILT_IN_SPLITS, Data, Source, SplitTable
from tests.training.helpers import make_recipe, recipe_data
from tests.training.recipe.recipes import write

FOLDER = Path("/recipes")


def data(*sources: dict[str, object], split: object = "stratified", **fields: object) -> Data:
    tables = tuple(sources or ({"labels": Path("a.json")},))
    values = {"sources": tables, "split": split, **fields}
    return Data.model_validate(values, context={"folder": FOLDER})


def source(name: str | None = None, **fields: object) -> dict[str, object]:
    named = {} if name is None else {"name": name}
    return {"labels": Path("a.json"), **named, **fields}


def test_one_source_needs_labels_only() -> None:
    (only,) = data().sources
    assert only.labels == FOLDER / "a.json"
    assert only.role == "regions"
    assert (only.images, only.kind, only.mpp, only.only, only.without) == (None, None, None, (), ())


@pytest.mark.parametrize("names", [(None, None), ("a", None), ("a", "a")])
def test_several_sources_need_different_names(names: tuple[str | None, ...]) -> None:
    with pytest.raises(ValidationError, match="several sources need a name each, all different"):
        data(*(source(name) for name in names))
    assert [s.name for s in data(source("a"), source("b")).sources] == ["a", "b"]


def test_crops_may_stand_beside_regions() -> None:
    both = data(source("a", role="crops"), source("b"))
    assert [s.role for s in both.sources] == ["crops", "regions"]


def test_no_source_at_all_is_refused() -> None:
    with pytest.raises(ValidationError, match="source"):
        Data.model_validate({"sources": (), "split": "stratified"})


@pytest.mark.parametrize("mpp", [0.0, -0.25, 250.0])
def test_a_resolution_is_in_um_and_not_in_nm(mpp: float) -> None:
    with pytest.raises(ValidationError):
        data(source(mpp=mpp))


def test_a_source_may_hold_a_part_of_its_cases(tmp_path: Path) -> None:
    (tmp_path / "painted.txt").write_text("x1\nx2\n")
    table = {**source(), "only": ("A*", "scanner:CS2"), "without": ("@painted.txt",)}
    read = Source.model_validate(table, context={"folder": tmp_path})
    assert read.only == ("A*", "scanner:CS2")
    assert read.without == ("x1", "x2")


# --- the split


@pytest.mark.parametrize("name", BUILT_IN_SPLITS)
def test_a_built_in_split_stays_a_word_and_can_be_read(name: str) -> None:
    assert data(split=name).split == name
    recipe = make_recipe(data={"split": name})
    if name != "stratified":  # which needs cases
        assert read_split(recipe, Dataset([])).training


def test_any_other_word_is_a_file() -> None:
    assert data(split="stratifed").split == str(FOLDER / "stratifed")
    assert data(split="/other/split.json").split == "/other/split.json"


def test_a_table_is_a_split_of_its_own() -> None:
    split = data(split={"training": ("a", "b*"), "unlabelled": ("scanner:XR",)}).split
    assert split == SplitTable(training=("a", "b*"), unlabelled=("scanner:XR",))


@pytest.mark.parametrize("split", [{"train": ("a",)}, {"training": "a"}, 3, None])
def test_a_split_of_another_form_is_refused(split: object) -> None:
    with pytest.raises(ValidationError):
        data(split=split)


# --- sizes


def test_mined_places_are_dropped_where_they_would_match() -> None:
    assert data().ignore_radius_um == MATCH_RADIUS_UM
    assert data().box_um is None


@pytest.mark.parametrize("field", ["box_um", "ignore_radius_um"])
@pytest.mark.parametrize("value", [-1.0, 1001.0])
def test_lengths_are_of_cells(field: str, value: float) -> None:
    with pytest.raises(ValidationError):
        data(**{field: value})


def test_a_built_in_split_is_a_word_and_any_other_a_file(tmp_path):
    named = load_recipe(write(tmp_path, recipe_data(data={"split": "exercise"})))
    filed = load_recipe(write(tmp_path, recipe_data(data={"split": "mine.json"})))
    assert named.data.split == "exercise"
    assert filed.data.split == str(tmp_path / "mine.json")
