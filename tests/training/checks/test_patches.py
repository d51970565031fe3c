from __future__ import annotations

from pathlib import Path

import pytest

from metaphase.training.checks import patches
from metaphase.training.checks.doctor import examine
from metaphase.training.checks.finding import Level
from tests.training.checks.memory import a_case, a_patient, by_place, only
from tests.training.checks.patients import found, recipe

EPOCH = {"patches_per_epoch": 400, "patch_px": 64, "rim_px": 8}


def shares(mitotic: float, hard: float, random: float) -> dict[str, object]:
    return {
        **EPOCH,
        "shares": {"mitotic": mitotic, "hard_negative": hard, "random": random},
    }


def test_an_epoch_is_drawn_without_pixels() -> None:
    patient = a_patient(sampling=shares(1.0, 0.0, 0.0))
    sampler = patient.sampler
    assert sampler is not None
    epoch = patches.draw_patches(sampler, patient)
    assert len(epoch.mitotic) == len(epoch.hard) == 400
    assert min(epoch.mitotic) >= 1
    assert epoch.figures == 60
    assert 50 < epoch.seen <= 60
    assert len(epoch.around) == 800  # x and y of each
    assert 0 < min(epoch.around) < 0.3 < 0.7 < max(epoch.around) < 1
    assert patches.draw_patches(sampler, patient) == epoch


def test_at_most_2000_patches_are_drawn() -> None:
    patient = a_patient(sampling={**EPOCH, "patches_per_epoch": 50_000})
    sampler = patient.sampler
    assert sampler is not None
    assert len(patches.draw_patches(sampler, patient).mitotic) == 2000


# --- figures


@pytest.mark.parametrize(
    ("sampling", "level", "way_out"),
    [
        (shares(0.4, 0.3, 0.3), Level.OK, ""),
        (shares(1.0, 0.0, 0.0), Level.TRAP, "raise sampling.shares.random"),
    ],
)
def test_patches_with_and_without_figures_are_needed(
    sampling: dict[str, object], level: Level, way_out: str
) -> None:
    finding = next(iter(patches.figures(a_patient(sampling=sampling))))
    assert finding.level is level
    assert finding.where == "sampling"
    assert finding.way_out == way_out
    assert "of 400 patches" in finding.measured
    assert "of 60 figures seen in the first 400" in finding.measured


def test_figures_that_are_rare_in_patches_are_a_trap() -> None:
    cases = [a_case(name, 1, 0) for name in "abc"]
    finding = next(iter(patches.figures(a_patient(cases, sampling=shares(0.0, 0.0, 1.0)))))
    assert finding.level is Level.TRAP
    assert finding.way_out == "raise sampling.shares.mitotic"


@pytest.mark.parametrize(
    ("offset", "level"),
    [("uniform", Level.OK), ("centre", Level.TRAP), ("corner-at-centre", Level.TRAP)],
)
def test_the_place_of_a_figure_must_say_nothing(offset: str, level: Level) -> None:
    found = by_place(patches.figures(a_patient(sampling={**EPOCH, "offset": offset})))
    finding = found["sampling.offset"]
    assert finding.level is level
    assert finding.way_out == ("" if level is Level.OK else "offset = 'uniform'")
    if offset == "centre":
        assert finding.measured == "median at 0.50 of the patch's side, spread 0.00"


def test_without_sizes_nothing_can_be_drawn() -> None:
    cases = [a_case(name, width_px=None) for name in "abc"]
    assert list(patches.figures(a_patient(cases))) == []


def test_the_imbalance_is_a_number() -> None:
    cases = [a_case(name, 1, 0) for name in "abc"]
    patient = a_patient(cases, sampling=shares(1.0, 0.0, 0.0))
    reported = [f.measured for f in patches.figures(patient)]
    # One figure in each patch of 64 px, of 8 x 8 cells.
    assert "one figure in 64 places at stride 8" in reported


# --- hard negatives


@pytest.mark.parametrize(
    ("hard", "sampling", "level", "where"),
    [
        (10, {}, Level.OK, "sampling"),
        (10, shares(0.5, 0.0, 0.5), Level.TRAP, "sampling"),
        (10, {**EPOCH, "scheme": "exercise"}, Level.TRAP, "sampling"),
        (0, {}, Level.NOTE, "sampling.mine_at"),
        (0, {"mine_at": [0.5]}, Level.OK, "sampling"),
        (0, {**shares(0.5, 0.0, 0.5), "mine_at": [0.5]}, Level.TRAP, "sampling.shares"),
    ],
    ids=["labelled", "no share", "exercise", "none", "mined", "mined without share"],
)
def test_hard_negatives_are_to_be_trained_on(
    hard: int, sampling: dict[str, object], level: Level, where: str
) -> None:
    cases = [a_case(name, 30, hard) for name in "abc"]
    finding = only(patches.hard_negatives(a_patient(cases, sampling=sampling)), level)
    assert finding.where == where
    assert bool(finding.way_out) == (level is not Level.OK)


def test_a_file_of_mined_places_must_exist(tmp_path: Path) -> None:
    mined = tmp_path / "mined.csv"
    first, _ = patches.hard_negatives(a_patient(sampling={"mined": str(mined)}))
    assert (first.level, first.where) == (Level.ERROR, "sampling.mined")
    assert str(mined) in first.message
    mined.write_text("case,x_px,y_px\na,500,950\n")
    patient = a_patient(sampling={"mined": str(mined)})
    only(patches.hard_negatives(patient), Level.OK)
    assert patient.sampler is not None
    assert [len(case.mined) for case in patient.sampler.cases] == [1, 0]


# --- augmentation


@pytest.mark.parametrize(
    ("augment", "notes"),
    [({}, 0), ({"strength": 0.0}, 1), ({"symmetries": False}, 1), ({"strength": 0.1}, 0)],
)
def test_patches_that_are_not_varied_are_a_note(augment: dict[str, object], notes: int) -> None:
    found = list(patches.variation(a_patient(augment=augment)))
    assert [f.level for f in found] == [Level.NOTE] * notes
    for finding in found:
        assert finding.where == "augment"
        assert finding.way_out == "strength = 1.0, symmetries = true"


def test_rare_figures_are_a_trap(folder):
    shares = {"shares": {"mitotic": 0.0, "hard_negative": 0.0, "random": 1.0}, "patch_px": 32}
    rare = recipe(folder, sampling=shares | {"rim_px": 4})
    traps = found(rare, Level.TRAP)
    assert "rare" in traps["sampling"].message or "hard" in traps["sampling"].message
    messages = [f.message for f in examine(rare, measure=False) if f.where == "sampling"]
    assert any("rare" in message for message in messages)
