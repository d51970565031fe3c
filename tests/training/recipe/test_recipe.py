from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from metaphase.errors import RecipeError
from metaphase.figures import Label
from metaphase.training.recipe.recipe import Recipe, load_recipe, parse_recipe, resolved
from metaphase.training.recipe.reference import reference, sections
from metaphase.training.recipe.sections import CompactNetwork, RetinaNetwork, Sampling
from tests.training.helpers import make_recipe, recipe_data

ROOT = Path(__file__).resolve().parents[3]


def write(folder: Path, data: dict) -> Path:
    path = folder / "r.toml"
    path.write_text(tomli_w.dumps(data), encoding="utf-8")
    return path


def problems(data: dict) -> list[str]:
    with pytest.raises(RecipeError) as caught:
        parse_recipe(data)
    return [f"{p.record}: {p.message} ({p.way_out})" for p in caught.value.problems]


# --- strictness


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


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("trainer", {"epochs": "3"}),
        ("trainer", {"epochs": True}),
        ("network", {"kind": "yolo"}),
        ("network", {"kind": "compact", "hard_negative_class": 1}),
        ("augment", {"jpeg": {"quality": [90, 40]}}),
        ("sampling", {"patches_per_case": 3}),
        ("sampling", {"rim_px": 32}),
        ("sampling", {"shares": {"mitotic": 0, "hard_negative": 0, "random": 0}}),
        ("optimiser", {"learning_rate": -1.0}),
        ("optimiser", {"schedule_step": "batch"}),
    ],
)
def test_values_are_not_bent_to_fit(section, value):
    (told,) = problems(recipe_data(**{section: value}))
    assert told.startswith(section)


def test_a_known_kind_is_named_for_an_unknown_one():
    (told,) = problems(recipe_data(network={"kind": "compct"}))
    assert "retinanet_resnet50_fpn_v2" in told


def test_several_sources_need_names():
    data = recipe_data(data={"sources": [{"labels": "a"}, {"labels": "b"}]})
    assert "name" in problems(data)[0]


def test_crops_alone_cannot_be_trained_on():
    assert problems(recipe_data(data={"sources": [{"labels": "a", "role": "crops"}]}))


def test_a_recipe_cannot_be_changed():
    recipe = make_recipe()
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3


# --- files, paths, overrides


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


def test_a_built_in_split_is_a_word_and_any_other_a_file(tmp_path):
    named = load_recipe(write(tmp_path, recipe_data(data={"split": "exercise"})))
    filed = load_recipe(write(tmp_path, recipe_data(data={"split": "mine.json"})))
    assert named.data.split == "exercise"
    assert filed.data.split == str(tmp_path / "mine.json")


@pytest.mark.parametrize("text", ["name = ", "\xff", ""])
def test_a_broken_file_is_told(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(RecipeError, match=r"r\.toml"):
        load_recipe(path)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(RecipeError, match="cannot be read"):
        load_recipe(tmp_path / "nowhere.toml")


def test_overrides_are_toml_values(tmp_path):
    recipe = load_recipe(
        write(tmp_path, recipe_data()),
        [
            "trainer.epochs=7",
            "optimiser.learning_rate = 3e-4",
            "augment.jpeg.quality=[50, 60]",
            'name="other"',
            "optimiser.kind=sgd",
            "data.sources.0.scanner=Aperio CS2",
        ],
    )
    assert recipe.trainer.epochs == 7
    assert recipe.optimiser.learning_rate == 3e-4
    assert recipe.augment.jpeg.quality == (50, 60)
    assert recipe.augment.jpeg.probability == 0.5
    assert (recipe.name, recipe.optimiser.kind) == ("other", "sgd")
    assert recipe.data.sources[0].scanner == "Aperio CS2"


@pytest.mark.parametrize("item", ["epochs", "=3", "name.x=1", "data.sources.9.mpp=1", ".=1"])
def test_an_override_that_names_nothing_is_told(tmp_path, item):
    with pytest.raises(RecipeError, match="--set"):
        load_recipe(write(tmp_path, recipe_data()), [item])


def test_an_override_with_a_typo_is_refused(tmp_path):
    with pytest.raises(RecipeError, match="did you mean epochs"):
        load_recipe(write(tmp_path, recipe_data()), ["trainer.epoch=7"])


# --- the resolved copy


@given(
    seed=st.integers(0, 2**40),
    rate=st.floats(1e-9, 10),
    px=st.integers(64, 999),
    case=st.text(st.characters(blacklist_categories=("Cs",)), min_size=1).filter(
        lambda case: not case.startswith("@")
    ),  # which names a list
    kind=st.sampled_from(["compact", "retinanet_resnet50_fpn_v2"]),
    threshold=st.one_of(st.just("chosen"), st.floats(0, 1)),
)
def test_the_resolved_copy_loads_back_equal(seed, rate, px, case, kind, threshold):
    recipe = make_recipe(
        seed=seed,
        optimiser={"learning_rate": rate},
        sampling={"patch_px": px, "mined": "there/mined.csv"},
        data={"split": {"training": [case]}},
        network={"kind": kind},
        validation={"threshold": threshold},
    )
    again = parse_recipe(tomllib.loads(resolved(recipe)), folder="/somewhere/else")
    assert again == recipe


def test_the_resolved_copy_says_every_default():
    data = tomllib.loads(resolved(make_recipe()))
    assert data["augment"]["stain"]["probability"] == 0.9
    assert data["trainer"]["epochs"] == 20


def test_no_field_that_may_be_absent_has_another_default():
    # TOML has no null: such a field could not be written down when it is None.
    for section in sections():
        for name, field in section.model_fields.items():
            if type(None) in getattr(field.annotation, "__args__", ()):
                assert field.default is None, f"{section.__name__}.{name}"


# --- networks


def test_classes_follow_the_hard_negatives():
    assert make_recipe().classes == (Label.MITOTIC,)
    two = make_recipe(network={"hard_negative_class": True}).classes
    assert two == (Label.MITOTIC, Label.HARD_NEGATIVE)


def test_options_are_what_the_networks_take():
    from metaphase.models.options import CompactOptions, RetinaNetOptions

    assert CompactOptions(**CompactNetwork(kind="compact").options()) == CompactOptions()
    retina = RetinaNetwork(kind="retinanet_resnet50_fpn_v2", anchors=((32.0,),))
    assert RetinaNetOptions(**retina.options()) == RetinaNetOptions(anchors=((32.0,),))


def test_anchors_from_labels_must_be_measured():
    retina = RetinaNetwork(kind="retinanet_resnet50_fpn_v2")
    assert retina.options(((40.0,),))["anchors"] == ((40.0,),)
    with pytest.raises(ValueError, match="measured"):
        retina.options()


# --- documentation


def test_every_field_is_described():
    for section in sections():
        assert section.__doc__
        for name, field in section.model_fields.items():
            assert field.description, f"{section.__name__}.{name}"
            assert field.description.endswith("."), f"{section.__name__}.{name}"


def test_the_reference_is_up_to_date():
    written = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    assert written == reference(), "run: make docs"


def test_the_reference_names_every_field():
    text = reference()
    for section in sections():
        for name in section.model_fields:
            assert f"`{name}`" in text


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda p: p.name)
def test_the_recipes_that_come_along_are_valid(path, monkeypatch):
    monkeypatch.setenv("METAPHASE_DATA", "/data")
    recipe = load_recipe(path)
    assert recipe.notes
    assert parse_recipe(tomllib.loads(resolved(recipe))) == recipe


def test_there_are_recipes():
    names = {path.stem for path in (ROOT / "recipes").glob("*.toml")}
    assert names >= {"exercise", "compact", "resnet50", "demo"}


def test_sections_are_sections():
    assert Sampling in sections()
    assert Recipe in sections()
    assert all(issubclass(section, BaseModel) for section in sections())


# --- bounds and files of any kind


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


@pytest.mark.parametrize(
    "text",
    [
        "seed = " + "1" * 5000,
        "a = " + "[" * 5000,
        "a = " + "[" * 900 + "]" * 900,
        'name = "\\ud800"',
        "\x00",
        "seed = 0x" + "f" * 3000,
        "seed = 1e400",
        "name = 1979-05-27",
    ],
)
def test_toml_of_any_kind_is_read_or_refused(tmp_path, text):
    path = tmp_path / "r.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(RecipeError, match=r"r\.toml"):
        load_recipe(path)


def test_what_is_no_file_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "absent", "."):
        with pytest.raises(RecipeError):
            load_recipe(tmp_path / name)
    (tmp_path / "latin").write_bytes(b'name = "\xe9"')
    with pytest.raises(RecipeError, match="is not TOML"):
        load_recipe(tmp_path / "latin")


TEXT = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)


@given(name=TEXT, notes=TEXT, seed=st.integers(0, 2**63 - 1), rate=st.floats(1e-12, 1))
def test_a_resolved_recipe_loads_back_equal(name, notes, seed, rate):
    recipe = make_recipe(
        name=name, notes=notes, seed=seed, optimiser={"learning_rate": rate}, second_stage={}
    )
    again = parse_recipe(tomllib.loads(resolved(recipe)))
    assert again == recipe
    assert again.optimiser.learning_rate == rate
