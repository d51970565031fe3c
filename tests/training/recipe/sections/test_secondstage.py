from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from metaphase.errors import RecipeError
from metaphase.models import card
from metaphase.models.options import WindowOptions
from metaphase.training.recipe.sections import SecondStage
from tests.training.helpers import make_recipe


def stage(**fields: object) -> SecondStage:
    return SecondStage.model_validate(fields, context={"folder": Path("/recipes")})


def test_an_empty_table_is_a_second_stage() -> None:
    assert make_recipe().second_stage is None
    assert make_recipe(second_stage={}).second_stage == SecondStage()


def test_its_window_is_one_that_the_network_takes() -> None:
    default = stage()
    mpp = default.window_um / default.window_px
    options = WindowOptions(
        mpp=mpp, tile_px=default.window_px, strides=default.strides, backbone=default.backbone
    )
    assert options.tile_px * options.mpp == pytest.approx(default.window_um)


def test_its_scores_fit_the_card() -> None:
    default = stage()
    written = card.SecondStage(
        id="x",
        min_score=default.min_score,
        weight=default.weight,
        symmetries=default.symmetries,
    )
    assert written.symmetries == default.symmetries


def test_a_detector_that_exists_is_named_from_the_recipe() -> None:
    assert stage().detector is None
    assert stage(detector=Path("runs/model")).detector == Path("/recipes/runs/model")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("window_px", 90),  # no multiple of the coarsest stride
        ("window_px", 16),
        ("window_um", 0.0),
        ("members", ({"window_um": 21, "window_px": 80},)),
        ("members", ({"window_um": 10, "window_px": 90},)),
        ("strides", ()),
        ("strides", (4,)),
        ("figures", 0.0),
        ("figures", 1.0),
        ("crops", 1.0),
        ("hard_negatives", 1.1),
        ("confidence_weight", -0.1),
        ("colour_transfer", 2.0),
        ("prior", 0.0),
        ("prior", 1.0),
        ("symmetries", 3),
        ("ema", 1.0),
        ("stain_normalisation", "reinhard"),
        ("negative_distance_um", 0.0),
    ],
)
def test_values_outside_their_range_are_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        stage(**{field: value})
    assert field in str(caught.value)


def test_figures_are_rarer_in_practice_than_in_training() -> None:
    default = stage()
    assert default.prior is not None
    assert 0 < default.prior < default.figures


SOURCES = [
    {"name": name, "labels": f"{name}.json", "images": name, "role": role}
    for name, role in (("one", "regions"), ("two", "regions"), ("figures", "crops"))
]


@pytest.mark.parametrize(
    ("section", "problem"),
    [
        ({"without_sources": ["three"]}, "no source of whole fields is named 'three'"),
        ({"without_sources": ["figures"]}, "no source of whole fields is named 'figures'"),
        ({"without_sources": ["one", "two"]}, "no source of whole fields is left"),
    ],
)
def test_sources_that_are_left_out_are_there_and_not_all(
    section: dict[str, object], problem: str
) -> None:
    with pytest.raises(RecipeError, match=problem):
        make_recipe(data={"sources": SOURCES}, second_stage=section)
