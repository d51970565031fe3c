from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from metaphase.labels.dataset import Case
from metaphase.labels.split import Split
from metaphase.training.checks.finding import Level, mpp_of, shown
from tests.training.checks.memory import a_case, a_patient


def test_levels_rise_from_ok_to_error() -> None:
    assert list(Level) == ["ok", "note", "trap", "error"]


# --- parts


def test_parts_are_the_labelled_cases_of_the_split() -> None:
    cases = [a_case(name) for name in "abcd"]
    cases.append(Case("u", labelled=False, width_px=1000, height_px=1000))
    split = Split(training=("a", "u"), validation=("b",), test=("c",))
    patient = a_patient(cases, split)
    assert patient.training.ids == ("a",)
    assert patient.held_out.ids == ("b", "c")


def test_cases_that_are_absent_are_left_to_the_check_of_the_split() -> None:
    patient = a_patient(split=Split(training=("a", "nobody"), validation=("no",)))
    assert patient.training.ids == ("a",)
    assert len(patient.held_out) == 0


def test_boxes_are_in_pixels_of_the_network() -> None:
    patient = a_patient(network={"mpp": 0.5})
    assert len(patient.sizes) == patient.training.count()
    np.testing.assert_allclose(patient.sizes, 25)  # 50 px at 0.25 um/px


# --- the sampler


def test_the_sampler_knows_the_cases_from_their_labels() -> None:
    sampler = a_patient().sampler
    assert sampler is not None
    assert [case.id for case in sampler.cases] == ["a", "b"]
    assert {len(case.mitotic) for case in sampler.cases} == {30}
    assert {case.domain for case in sampler.cases} == {"Aperio CS2"}
    assert len(sampler) == 12
    alike = a_patient(sampling={"balance_by": "none"}).sampler
    assert alike is not None
    assert {case.domain for case in alike.cases} == {""}


def test_cases_without_a_size_cannot_be_sampled() -> None:
    cases = [a_case("a", width_px=None), a_case("b"), a_case("c")]
    sampler = a_patient(cases).sampler
    assert sampler is not None
    assert [case.id for case in sampler.cases] == ["b"]
    none = [a_case(name, height_px=None) for name in "abc"]
    assert a_patient(none).sampler is None


def test_a_resolution_that_nobody_tells_is_taken_for_the_networks() -> None:
    cases = [a_case(name, mpp=None, scanner="homemade") for name in "abc"]
    sampler = a_patient(cases, network={"mpp": 0.4}).sampler
    assert sampler is not None
    assert {case.mpp for case in sampler.cases} == {0.4}


# --- numbers of a run


@pytest.mark.parametrize(
    ("sampling", "patches"),
    [
        ({"patches_per_epoch": 100}, 100),
        ({"patches_per_epoch": None, "patches_per_case": 7}, 14),
    ],
)
def test_patches_of_an_epoch(sampling: dict[str, int | None], patches: int) -> None:
    given_ = {name: value for name, value in sampling.items() if value is not None}
    sections = {"patch_px": 64, "rim_px": 8, **given_}
    patient = a_patient()
    recipe = patient.recipe.model_copy(
        update={"sampling": type(patient.recipe.sampling)(**sections)}  # type: ignore[arg-type]
    )
    assert type(patient)(recipe, patient.data).patches_per_epoch == patches


@given(
    st.integers(1, 10_000),
    st.integers(1, 64),
    st.integers(1, 8),
    st.integers(1, 8),
    st.integers(1, 4),
)
def test_an_epoch_has_a_step_at_least(
    patches: int, batch: int, accumulate: int, devices: int, nodes: int
) -> None:
    trainer = {
        "batch_size": batch,
        "accumulate": accumulate,
        "devices": devices,
        "nodes": nodes,
    }
    patient = a_patient(sampling={"patches_per_epoch": patches}, trainer=trainer)
    steps = patient.steps_per_epoch
    assert steps >= 1
    batches = max(1, patches // (devices * nodes) // batch)
    assert (steps - 1) * accumulate < batches <= steps * accumulate


# --- words


def test_the_resolution_of_a_case_is_its_own_or_its_scanners() -> None:
    assert mpp_of(Case("a", mpp=0.3, scanner="Aperio CS2")) == 0.3
    assert mpp_of(Case("a", scanner="Aperio CS2")) == pytest.approx(0.25, abs=0.01)
    assert mpp_of(Case("a", scanner="homemade")) is None


@given(st.lists(st.integers(), max_size=12), st.integers(1, 8))
def test_long_lists_are_cut_and_counted(names: list[int], most: int) -> None:
    text = shown(names, most)
    head, _, tail = text.partition(" and ")
    assert head == ", ".join(map(str, names[:most]))
    assert bool(tail) == (len(names) > most)
    if tail:
        assert tail == f"{len(names) - most} more"


def test_long_lists_are_cut():
    assert shown(range(3)) == "0, 1, 2"
    assert shown(range(9)) == "0, 1, 2, 3, 4 and 4 more"
