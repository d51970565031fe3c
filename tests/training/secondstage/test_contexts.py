"""The places that a second stage learns from."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from metaphase.errors import RecipeError
from metaphase.figures import Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.models.card import InputSpec
from metaphase.training.recipe.sections import SecondStage
from metaphase.training.secondstage.contexts import (
    CONTEXT_WINDOWS,
    Contexts,
    Kind,
    away_from,
    collect_contexts,
)
from tests.training.helpers import figure

SPEC = InputSpec(mpp=0.25, tile_px=32, margin_px=0, multiple_px=32)
SIDE = 2 * math.ceil(CONTEXT_WINDOWS * SPEC.tile_px / 2)
FIGURE, HARD, CANDIDATE, GROUND = (60, 40, 90), (120, 90, 130), (150, 120, 160), (225, 190, 215)


def picture(path: Path, size: int, marks: dict[tuple[int, int], tuple[int, int, int]]) -> Path:
    pixels = np.full((size, size, 3), GROUND, np.uint8)
    for (x, y), colour in marks.items():
        pixels[y - 6 : y + 6, x - 6 : x + 6] = colour
    Image.fromarray(pixels).save(path)
    return path


def region(folder: Path) -> Case:
    marks = {(60, 60): FIGURE, (140, 60): HARD, (200, 200): CANDIDATE}
    hard = replace(figure(1, 140, 60), label=Label.HARD_NEGATIVE, confidence=0.2)
    return Case(
        "region",
        image=picture(folder / "region.png", 300, marks),
        mpp=0.25,
        scanner="R",
        figures=(replace(figure(0, 60, 60), confidence=0.65), hard),
        width_px=300,
        height_px=300,
    )


def crop(folder: Path) -> Case:
    image = picture(folder / "crop.png", 128, {(64, 64): FIGURE})
    return Case("crop", image=image, mpp=0.25, scanner="C", figures=(figure(0, 64, 64),))


def collect(folder: Path, **settings: float) -> Contexts:
    candidates = {"region": np.array([[62.0, 61.0], [200.0, 200.0], [201.0, 201.0]])}
    chosen = SecondStage(**{"random_per_mm2": 800.0, "candidates_per_mm2": 150.0, **settings})
    return collect_contexts(
        Dataset([region(folder)]), Dataset([crop(folder)]), candidates, chosen, SPEC, seed=0
    )


def middle(contexts: Contexts, index: int) -> tuple[int, ...]:
    side = contexts.pixels.shape[1]
    return tuple(contexts.pixels[index, side // 2, side // 2].tolist())


def test_every_kind_of_place_is_in_the_middle_of_its_context(tmp_path: Path) -> None:
    contexts = collect(tmp_path)
    assert contexts.pixels.shape[1:] == (SIDE, SIDE, 3)
    colours = {
        (kind, crop): {middle(contexts, i) for i in contexts.where(kind, crop=crop)}
        for kind in Kind
        for crop in (False, True)
    }
    assert colours[Kind.FIGURE, False] == colours[Kind.FIGURE, True] == {FIGURE}
    assert colours[Kind.HARD_NEGATIVE, False] == {HARD}
    assert colours[Kind.CANDIDATE, False] == {CANDIDATE}
    assert FIGURE not in colours[Kind.RANDOM, False] | colours[Kind.CROP, True]
    assert colours[Kind.CROP, True]


def test_candidates_near_a_label_are_left_out_and_the_best_are_kept(tmp_path: Path) -> None:
    # 75 um x 75 um at 150 a mm2: one candidate, and the first lies on the figure.
    assert len(collect(tmp_path).where(Kind.CANDIDATE, crop=False)) == 1
    many = collect(tmp_path, candidates_per_mm2=1000.0)
    assert len(many.where(Kind.CANDIDATE, crop=False)) == 2


@pytest.mark.parametrize(("weight", "figure_target", "hard_target"), [(0, 1, 0), (1, 0.65, 0.2)])
def test_targets_follow_the_readers_confidence(
    tmp_path: Path, weight: float, figure_target: float, hard_target: float
) -> None:
    contexts = collect(tmp_path, confidence_weight=weight)
    (index,) = contexts.where(Kind.FIGURE, crop=False)
    (hard,) = contexts.where(Kind.HARD_NEGATIVE, crop=False)
    assert contexts.target[index] == pytest.approx(figure_target)
    assert contexts.target[hard] == pytest.approx(hard_target)
    assert contexts.target[contexts.where(Kind.FIGURE, crop=True)] == pytest.approx(1)


def test_equal_arguments_give_equal_contexts(tmp_path: Path) -> None:
    first, second = collect(tmp_path), collect(tmp_path)
    assert np.array_equal(first.pixels, second.pixels)
    assert first.kind == second.kind


def test_regions_without_a_figure_are_refused(tmp_path: Path) -> None:
    case = replace(region(tmp_path), figures=())
    with pytest.raises(RecipeError, match="no mitotic figure"):
        collect_contexts(Dataset([case]), Dataset([]), {}, SecondStage(), SPEC, seed=0)


def test_black_padding_of_a_crop_is_no_context(tmp_path: Path) -> None:
    pixels = np.asarray(Image.open(crop(tmp_path).image)).copy()
    pixels[:, :20] = 0
    Image.fromarray(pixels).save(tmp_path / "crop.png")
    contexts = collect_contexts(
        Dataset([region(tmp_path)]),
        Dataset([replace(crop(tmp_path), image=tmp_path / "crop.png")]),
        {},
        SecondStage(),
        SPEC,
        seed=0,
    )
    (index,) = contexts.where(Kind.FIGURE, crop=True)
    assert middle(contexts, index) == FIGURE
    assert contexts.pixels[index].max(axis=-1).min() > 0


POINTS = st.lists(st.tuples(st.floats(0, 500), st.floats(0, 500)), min_size=0, max_size=12).map(
    lambda rows: np.array(rows, dtype=np.float64).reshape(-1, 2)
)


@given(POINTS, POINTS, st.floats(0.1, 50))
def test_points_away_from_places_are_those_of_brute_force(
    places: np.ndarray, points: np.ndarray, radius_um: float
) -> None:
    kept = away_from(places, points, 0.25, radius_um)
    expected = [p for p in points if all(np.hypot(*(p - q)) * 0.25 > radius_um for q in places)]
    assert kept.tolist() == [p.tolist() for p in expected]
