from __future__ import annotations

import pytest

from metaphase.training.checks import doctor
from metaphase.training.checks.doctor import examine, worst
from metaphase.training.checks.finding import Finding, Level
from tests.training.checks.patients import exercise, recipe

HANDED_OUT = '{training=["00?", "012"], test=["010", "011", "013"]}'


@pytest.fixture(scope="module")
def old(folder):
    return examine(exercise(folder, HANDED_OUT), measure=False)


@pytest.mark.parametrize(
    ("where", "number"),
    [
        ("validation.protocol", "% of the held-out pixels"),
        ("network.resize", "a figure of 50 px 78 px"),
        ("network.anchors", "12% of places"),
        ("optimiser.schedule_step", "% of 0.0001 reached"),
        ("network.head", "GroupNorm"),
        ("sampling", "0 % of the patches"),
        ("validation.threshold", "0.5"),
        ("data.split", ""),
        ("sampling.offset", "spread"),
        ("trainer.keep", "epoch 200"),
    ],
)
def test_the_traps_of_the_report_are_named_with_their_numbers(old, where, number):
    traps = [f for f in old if f.level == Level.TRAP and f.where == where]
    assert traps, [f.where for f in old]
    assert any(number in trap.measured for trap in traps)
    assert all(trap.way_out for trap in traps)


def test_unlabelled_cases_of_the_list_handed_out_are_errors(old):
    errors = [f for f in old if f.level == Level.ERROR]
    assert any("unlabelled" in f.message and "012" in f.message for f in errors)
    assert any("013" in f.message for f in errors)


def test_the_rate_of_the_report_is_told(old):
    (reported,) = [f for f in old if f.where == "optimiser.schedule_step"]
    assert reported.measured.startswith("4e-06 to ")


def test_a_sound_recipe_has_no_traps(folder):
    sound = recipe(folder)
    assert {f.level for f in examine(sound, measure=False)} <= {Level.OK, Level.NOTE}


def test_labels_that_cannot_be_read_are_told(tmp_path):
    (finding,) = examine(recipe(tmp_path), measure=False)
    assert finding.level == Level.ERROR


# --- memory and time


# --- the whole


def test_one_check_that_fails_does_not_stop_the_others(folder, monkeypatch):
    from metaphase.errors import LabelError

    def broken(patient):
        """Breaks."""
        raise LabelError.of("x", "is broken")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (broken, *doctor.CHECKS))
    findings = examine(recipe(folder), measure=False)
    assert findings[0] == Finding(Level.ERROR, "x", "is broken")
    assert len(findings) > 5


def test_checks_say_what_they_are(folder):
    seen = []
    examine(recipe(folder), measure=False, watch=seen.append)
    assert len(seen) == len(doctor.CHECKS)
    assert all(text.endswith(".") for text in seen)


def test_worst():
    assert worst([]) == Level.OK
    levels = [Finding(level, "", "") for level in (Level.NOTE, Level.ERROR, Level.TRAP)]
    assert worst(levels) == Level.ERROR
