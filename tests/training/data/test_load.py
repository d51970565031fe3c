from __future__ import annotations

import pytest

from metaphase.errors import RecipeError, SplitError
from metaphase.labels.split import Split, save_split
from metaphase.training.data.load import check_figures, load_data
from metaphase.training.recipe.recipe import parse_recipe
from tests.training.helpers import recipe_data

CASES = """id,image,scanner,mpp,labelled,group
a1,a1.png,Aperio CS2,0.25,true,A
a2,a2.png,Aperio CS2,0.25,true,A
b1,b1.png,Hamamatsu XR,0.23,true,B
b2,b2.png,Hamamatsu XR,0.23,true,B
u1,u1.png,Leica GT450,0.26,false,U
"""
FIGURES = "case,x_px,y_px\na1,5,5\na2,6,6\nb1,7,7\nb2,8,8\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "cases.csv").write_text(CASES)
    (tmp_path / "figures.csv").write_text(FIGURES)
    return tmp_path


def load(folder, split, *, sources=None, check=True):
    sources = sources or [{"labels": "figures.csv"}]
    data = recipe_data(data={"sources": sources, "split": split})
    return load_data(parse_recipe(data, folder=folder), check=check)


@pytest.mark.parametrize(
    ("patterns", "ids"),
    [
        (["a1", "b2"], ("a1", "b2")),
        (["a?", "a1"], ("a1", "a2")),
        (["scanner:Hamamatsu XR"], ("b1", "b2")),
        (["scanner:*XR", "group:A"], ("b1", "b2", "a1", "a2")),
    ],
)
def test_parts_are_named_by_id_pattern_or_domain(folder, patterns, ids):
    data = load(folder, {"training": patterns})
    assert data.split.training == ids
    assert set(data.training.ids) == set(ids)


def test_every_pattern_that_names_nobody_is_told(folder):
    with pytest.raises(RecipeError) as caught:
        load(folder, {"training": ["a1", "x*"], "validation": ["scanner:Nobody"]})
    told = [(p.record, p.message) for p in caught.value.problems]
    assert told == [
        ("data.split.training", "'x*' names no case"),
        ("data.split.validation", "'scanner:Nobody' names no case"),
    ]


def test_unlabelled_and_leaking_cases_are_refused(folder):
    with pytest.raises(SplitError, match="unlabelled"):
        load(folder, {"training": ["a*", "u1"]})
    with pytest.raises(SplitError, match="group A"):
        load(folder, {"training": ["a1"], "validation": ["a2"]})


def test_the_doctor_may_look_at_a_split_that_is_refused(folder):
    assert load(folder, {"training": ["u1"]}, check=False).split.training == ("u1",)


def test_a_split_can_be_a_file(folder):
    split = Split(name="mine", training=("a1", "a2"), validation=("b1", "b2"))
    save_split(split, folder / "split.json")
    assert load(folder, "split.json").split == split


def test_a_part_that_is_not_named_is_empty(folder):
    assert load(folder, {"training": ["a*"]}).validation.ids == ()


def test_the_exercises_lists_do_not_fit_other_data(folder):
    with pytest.raises(SplitError, match="not in the data set"):
        load(folder, "exercise")


def test_several_sources_are_told_apart_by_their_names(folder):
    sources = [{"labels": "figures.csv", "name": "one"}, {"labels": "figures.csv", "name": "two"}]
    data = load(folder, {"training": ["one/a*"], "validation": ["two/a*"]}, sources=sources)
    assert data.training.ids == ("one/a1", "one/a2")
    assert data.validation.ids == ("two/a1", "two/a2")


def test_crops_stay_apart_and_leave_the_ids_of_regions_alone(folder):
    (folder / "crops.csv").write_text("case,x_px,y_px\nc1,64,64\n")
    (folder / "crop-cases.csv").write_text("id,image\nc1,c1.png\n")
    sources = [
        {"labels": "figures.csv", "name": "fields"},
        {"labels": "crops.csv", "cases": "crop-cases.csv", "name": "crops", "role": "crops"},
    ]
    data = load(folder, {"training": ["a*"]}, sources=sources)
    assert data.crops.ids == ("c1",)
    assert data.training.ids == ("a1", "a2")


def test_no_crops_is_an_empty_data_set(folder):
    assert len(load(folder, {"training": ["a*"]}).crops) == 0


@pytest.mark.needs_data
def test_the_real_split_files(data_dir, tmp_path):
    sources = [{"labels": str(data_dir / "midog" / "MIDOG.json")}]
    sizes = {}
    for split in ("midog21-official", "exercise", "stratified"):
        parts = load(tmp_path, split, sources=sources).split.parts()
        sizes[split] = {part: len(ids) for part, ids in parts.items() if ids}
    assert sizes == {
        "midog21-official": {"training": 120, "validation": 30, "unlabelled": 50},
        "exercise": {"training": 119, "test": 30, "unlabelled": 50},
        "stratified": {"training": 120, "validation": 30, "unlabelled": 50},
    }
    with pytest.raises(SplitError, match="unlabelled"):
        load(tmp_path, "exercise-as-handed-out", sources=sources)


def test_cases_can_be_listed_in_a_file_beside_the_recipe(folder):
    (folder / "held_out.txt").write_text("# chosen by seed\n\ngroup:B\nu1\n")
    sources = [{"labels": "figures.csv", "cases": "cases.csv", "without": ["@held_out.txt"]}]
    data = recipe_data(data={"sources": sources, "split": {"training": ["*"]}})
    recipe = parse_recipe(data, folder=folder)
    # The recipe that is kept with the run says it all, without the file.
    assert recipe.data.sources[0].without == ("group:B", "u1")
    assert load_data(recipe).training.ids == ("a1", "a2")


@pytest.mark.parametrize(
    ("text", "message"), [(None, "cannot be read"), ("# none\n", "names nothing")]
)
def test_a_list_that_is_not_there_or_empty_is_told(folder, text, message):
    if text is not None:
        (folder / "list.txt").write_text(text)
    data = recipe_data(
        data={"sources": [{"labels": "figures.csv", "only": ["@list.txt"]}], "split": "stratified"}
    )
    with pytest.raises(RecipeError, match=message) as caught:
        parse_recipe(data, folder=folder)
    assert caught.value.problems[0].record == "data.sources[0].only"


# --- figures to train and validate on

NO_FIGURES = {"training": ["a1", "b1"], "validation": ["c1"]}


@pytest.fixture
def without(folder):
    """The cases, and one more without figures."""
    with (folder / "cases.csv").open("a") as stream:
        stream.write("c1,c1.png,Aperio CS2,0.25,true,C\n")
    return folder


def check(folder, split, **sections):
    data = recipe_data(data={"sources": [{"labels": "figures.csv"}], "split": split}, **sections)
    recipe = parse_recipe(data, folder=folder)
    check_figures(recipe, load_data(recipe))


def test_a_validation_without_figures_chooses_nothing(without):
    with pytest.raises(RecipeError, match="no threshold and no epoch can be chosen"):
        check(without, NO_FIGURES)
    with pytest.raises(RecipeError, match="no epoch can be chosen"):
        check(without, NO_FIGURES, validation={"threshold": 0.4})
    with pytest.raises(RecipeError, match="no threshold can be chosen"):
        check(without, NO_FIGURES, trainer={"keep": "last"})
    check(without, NO_FIGURES, validation={"threshold": 0.4}, trainer={"keep": "last"})
    check(without, {"training": ["a1"], "validation": ["c1", "b1"]})
    check(without, {"training": ["a1"]})


def test_without_figures_nothing_is_trained(without):
    with pytest.raises(RecipeError, match="no training case has a mitotic figure"):
        check(without, {"training": ["c1"], "validation": ["a1"]})
