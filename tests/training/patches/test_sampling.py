from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.errors import SplitError
from metaphase.figures import Label
from metaphase.labels.dataset import Case
from metaphase.training.patches.sampling import Sampler, rng_for, sampling_case
from metaphase.training.recipe.sections import Sampling
from tests.training.helpers import figure


def case(name="a", points=((500, 400),), hard=(), domain="S", mined=None, width=1000, height=800):
    figures = [figure(i, x, y) for i, (x, y) in enumerate(points)]
    figures += [figure(100 + i, x, y, Label.HARD_NEGATIVE) for i, (x, y) in enumerate(hard)]
    return sampling_case(
        Case(name, figures=tuple(figures)),
        width_px=width,
        height_px=height,
        mpp=0.25,
        domain=domain,
        mined=mined,
    )


def sampler(*cases, mpp=0.25, jitter=0.0, seed=0, **settings):
    settings = {"patch_px": 128, "patches_per_epoch": 400} | settings
    if "patches_per_case" in settings:
        settings.pop("patches_per_epoch")
    return Sampler(cases, Sampling(**settings), mpp=mpp, mpp_jitter=jitter, seed=seed)


def specs(s, epoch=0):
    return [s.spec(epoch, i) for i in range(len(s))]


MIX = (case("a", [(300, 300), (900, 50)], [(10, 10)]), case("b", [], [(500, 500)], "T"))


# --- the same for the same arguments


def test_a_patch_depends_on_seed_epoch_and_index_alone():
    forwards = specs(sampler(*MIX))
    backwards = sampler(*MIX)
    again = [backwards.spec(0, i) for i in reversed(range(len(backwards)))][::-1]
    assert forwards == again


@pytest.mark.parametrize("change", ["seed", "epoch"])
def test_another_seed_or_epoch_gives_other_patches(change):
    other = specs(sampler(*MIX, seed=1)) if change == "seed" else specs(sampler(*MIX), epoch=1)
    same = sum(a == b for a, b in zip(specs(sampler(*MIX)), other, strict=True))
    assert same < len(other) / 20


def test_streams_are_independent():
    draws = {tuple(rng_for(0, 0, 0, stream).random(3)) for stream in range(4)}
    assert len(draws) == 4


def test_random_numbers_stay_what_they_were():
    # A change here would change every run: recorded once, on purpose.
    assert rng_for(7, 3, 11).integers(1000, size=4).tolist() == RECORDED


RECORDED = [119, 231, 707, 674]


def test_an_index_beyond_the_epoch_is_refused():
    s = sampler(*MIX)
    for index in (-1, len(s)):
        with pytest.raises(IndexError):
            s.spec(0, index)


# --- where patches lie


@given(
    x=st.floats(0, 1000, exclude_max=True),
    y=st.floats(0, 800, exclude_max=True),
    mpp=st.sampled_from([0.25, 0.3, 0.5]),
    jitter=st.sampled_from([0.0, 0.2]),
    offset=st.sampled_from(["uniform", "centre"]),
    index=st.integers(0, 399),
)
def test_the_figure_is_in_the_patch_and_the_patch_in_the_region(x, y, mpp, jitter, offset, index):
    s = sampler(
        case(points=[(x, y)]),
        mpp=mpp,
        jitter=jitter,
        offset=offset,
        shares={"mitotic": 1.0, "hard_negative": 0.0, "random": 0.0},
    )
    spec = s.spec(0, index)
    side = spec.patch_px * spec.mpp / 0.25
    assert spec.kind == "mitotic"
    assert spec.x_px <= x <= spec.x_px + side + 1
    assert spec.y_px <= y <= spec.y_px + side + 1
    assert spec.x_px >= 0
    assert spec.y_px >= 0
    assert spec.x_px + side <= 1000
    assert spec.y_px + side <= 800


@given(index=st.integers(0, 399), rim=st.integers(0, 60))
def test_the_rim_is_kept_away_from_the_border(index, rim):
    s = sampler(case(), rim_px=rim, shares={"mitotic": 1.0, "hard_negative": 0.0, "random": 0.0})
    spec = s.spec(0, index)
    for place, corner in ((500, spec.x_px), (400, spec.y_px)):
        assert rim - 0.5 <= place - corner <= 128 - rim + 0.5


def test_uniform_offsets_fill_the_patch():
    s = sampler(case(), rim_px=0, shares={"mitotic": 1.0, "hard_negative": 0.0, "random": 0.0})
    offsets = np.array([500 - spec.x_px for spec in specs(s)]) / 128
    counts, _ = np.histogram(offsets, bins=4, range=(0, 1))
    assert counts.min() > 0.7 * len(offsets) / 4


def test_corners_at_the_centre_put_every_figure_at_the_same_place():
    s = sampler(case(), offset="corner-at-centre", scheme="exercise")
    around = {(spec.x_px, spec.y_px) for spec in specs(s) if spec.kind == "mitotic"}
    assert around == {(500 - 25 - 64, 400 - 25 - 64)}


def test_random_patches_reach_every_corner_of_a_region():
    s = sampler(case(), shares={"mitotic": 0.0, "hard_negative": 0.0, "random": 1.0})
    corners = np.array([(spec.x_px, spec.y_px) for spec in specs(s)])
    assert (corners.min(axis=0) < [40, 40]).all()
    assert (corners.max(axis=0) > [1000 - 128 - 40, 800 - 128 - 40]).all()


def test_a_region_smaller_than_the_patch_lies_inside_it():
    s = sampler(case(points=[(50, 40)], width=100, height=90))
    for spec in specs(s):
        assert spec.x_px <= 0
        assert spec.y_px <= 0
        assert spec.x_px + 128 >= 100
        assert spec.y_px + 128 >= 90


def test_jitter_varies_the_resolution_around_the_networks():
    mpps = np.array([spec.mpp for spec in specs(sampler(case(), jitter=0.2))])
    assert 0.25 * np.exp(-0.2) <= mpps.min() < 0.22
    assert 0.28 < mpps.max() <= 0.25 * np.exp(0.2)


# --- who is drawn


def test_shares_are_kept():
    counts = Counter(spec.kind for spec in specs(sampler(*MIX, patches_per_epoch=4000)))
    assert counts["mitotic"] == pytest.approx(1600, abs=130)
    assert counts["hard_negative"] == pytest.approx(1200, abs=130)


def test_absent_kinds_fall_to_random():
    kinds = {spec.kind for spec in specs(sampler(case(points=[])))}
    assert kinds == {"random"}


def test_scanners_are_balanced():
    many = [case(f"a{i}", domain="A") for i in range(9)]
    s = sampler(*many, case("b", domain="B"), patches_per_epoch=2000)
    counts = Counter(spec.case_id == "b" for spec in specs(s))
    assert counts[True] == pytest.approx(1000, abs=120)
    loose = sampler(*many, case("b", domain="B"), patches_per_epoch=2000, balance_by="none")
    assert Counter(spec.case_id == "b" for spec in specs(loose))[True] < 350


@pytest.mark.parametrize(("balance", "share"), [(0.0, 0.9), (0.5, 0.75), (1.0, 0.5)])
def test_cases_are_balanced_as_asked(balance, share):
    full = case("full", [(100 * i + 50, 100) for i in range(9)])
    s = sampler(
        full,
        case("one"),
        balance_cases=balance,
        patches_per_epoch=3000,
        shares={"mitotic": 1.0, "hard_negative": 0.0, "random": 0.0},
    )
    counts = Counter(spec.case_id for spec in specs(s))
    assert counts["full"] / 3000 == pytest.approx(share, abs=0.04)


def test_every_case_gets_its_patches():
    s = sampler(*MIX, patches_per_case=10)
    assert len(s) == 20
    for epoch in (0, 1):
        assert Counter(spec.case_id for spec in specs(s, epoch)) == {"a": 10, "b": 10}
    order = [[spec.case_id for spec in specs(s, epoch)] for epoch in (0, 1)]
    assert order[0] != order[1]


def test_the_exercise_centres_half_on_figures_where_there_are_any():
    s = sampler(*MIX, patches_per_case=400, scheme="exercise")
    counts = Counter((spec.case_id, spec.kind) for spec in specs(s))
    assert counts[("a", "mitotic")] == pytest.approx(200, abs=50)
    assert counts[("b", "random")] == 400
    assert not any(kind == "hard_negative" for _, kind in counts)


def test_unlabelled_cases_are_refused():
    with pytest.raises(SplitError, match="unlabelled"):
        sampling_case(Case("u", labelled=False), width_px=9, height_px=9, mpp=0.25)


def test_no_cases_are_refused():
    with pytest.raises(SplitError, match="none"):
        sampler()


# --- mined hard negatives


def test_mined_places_are_hard_negatives():
    mined = case(points=[(500, 400)], mined=np.array([[100.0, 100.0]]))
    s = sampler(mined, shares={"mitotic": 0.0, "hard_negative": 1.0, "random": 0.0})
    for spec in specs(s):
        assert spec.kind == "hard_negative"
        assert spec.x_px <= 100 <= spec.x_px + 128


def test_mined_places_at_a_mitotic_figure_are_dropped():
    near, far = [500.0, 400 + 7.4 / 0.25], [500.0, 400 + 7.6 / 0.25]
    assert case(mined=np.array([near, far])).mined.tolist() == [far]


def test_mined_places_are_weighted():
    both = case(points=[], hard=[(900, 700)], mined=np.array([[100.0, 100.0]]))
    shares = {"mitotic": 0.0, "hard_negative": 1.0, "random": 0.0}
    s = sampler(both, shares=shares, mined_weight=3.0, patches_per_epoch=2000)
    counts = Counter(spec.x_px < 500 for spec in specs(s))
    assert counts[True] / 2000 == pytest.approx(0.75, abs=0.04)
    never = sampler(both, shares=shares, mined_weight=0.0)
    assert all(spec.x_px > 500 for spec in specs(never))


def test_mined_places_add_up():
    first = sampler(case(mined=np.array([[100.0, 100.0]])))
    assert len(first.with_mined({"a": np.array([[700.0, 700.0]])}).cases[0].mined) == 2
    assert len(first.with_mined({}).cases[0].mined) == 1
    assert len(first.cases[0].mined) == 1
