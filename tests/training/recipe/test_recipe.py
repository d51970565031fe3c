from __future__ import annotations

import os
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import RecipeError
from metaphase.training.recipe.recipe import load_recipe, parse_recipe, resolved
from metaphase.training.recipe.reference import sections
from tests.training.helpers import make_recipe, recipe_data
from tests.training.recipe.recipes import problems, write

ROOT = Path(__file__).resolve().parents[3]


# --- strictness


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


def test_a_recipe_cannot_be_changed():
    recipe = make_recipe()
    with pytest.raises(ValueError, match="frozen"):
        recipe.seed = 3


# --- files, paths, overrides


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


# --- documentation


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda p: p.name)
def test_the_recipes_that_come_along_are_valid(path, monkeypatch):
    monkeypatch.setenv("METAPHASE_DATA", "/data")
    recipe = load_recipe(path)
    assert recipe.notes
    assert parse_recipe(tomllib.loads(resolved(recipe))) == recipe


def test_there_are_recipes():
    names = {path.stem for path in (ROOT / "recipes").glob("*.toml")}
    assert names >= {"exercise", "compact", "resnet50", "demo"}


# --- bounds and files of any kind


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
