"""The plan of an image: regions, settings, and a fingerprint of all that numbers depend on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from metaphase.detection.plan import Settings, make_plan, parameters_of, parse_region
from metaphase.errors import InputError
from tests.detection.scenes import DotSlide, make_model

SLIDE = DotSlide(1000, 800, 0.25, [])
MODEL = make_model()


@pytest.mark.parametrize("text", ["1,2,3,4", (1, 2, 3, 4), " 1, 2,3 ,4.0"])
def test_a_region_is_four_numbers(text) -> None:
    assert parse_region(text) == (1.0, 2.0, 3.0, 4.0)


@pytest.mark.parametrize("text", ["", "1,2", "1,2,3,x", "1,2,3,4,5"])
def test_anything_else_is_no_region(text: str) -> None:
    with pytest.raises(InputError, match="x,y,width,height"):
        parse_region(text)


def test_a_region_takes_the_tiles_that_own_part_of_it() -> None:
    whole = make_plan(SLIDE, MODEL, Settings())
    part = make_plan(SLIDE, MODEL, Settings(region=(100.0, 100.0, 50.0, 50.0)))
    assert len(whole.tiles) == len(whole.grid)
    assert set(part.tiles.tolist()) < set(whole.tiles.tolist())
    x1, y1, x2, y2 = part.grid.owned_px[part.tiles].T
    assert (x1.min() <= 100) & (x2.max() >= 150) & (y1.min() <= 100) & (y2.max() >= 150)
    assert part.box_px == (100, 100, 150, 150)


def test_the_fingerprint_changes_with_all_that_numbers_depend_on() -> None:
    plans = [
        make_plan(SLIDE, MODEL, settings)
        for settings in (
            Settings(),
            Settings(min_score=0.2),
            Settings(threshold=0.7),
            Settings(region=(0.0, 0.0, 100.0, 100.0)),
        )
    ]
    plans.append(make_plan(SLIDE, make_model(radius=6.0), Settings()))
    plans.append(replace(plans[0], tiles=plans[0].tiles[:-1]))
    assert len({plan.fingerprint("a") for plan in plans}) == len(plans)
    assert plans[0].fingerprint("a") != plans[0].fingerprint("b")
    assert plans[0].fingerprint("a") == make_plan(SLIDE, MODEL, Settings()).fingerprint("a")


def test_the_parameters_that_are_known_before_are_part_of_the_plan() -> None:
    settings = Settings(region=(0.0, 0.0, 100.0, 100.0))
    before = parameters_of(SLIDE, MODEL, settings).to_json()
    after = make_plan(SLIDE, MODEL, settings).parameters.to_json()
    assert before.items() <= after.items()
    assert before["region"] == [0, 0, 100, 100]
