"""Patients for the tests of checks: recipes with labels in memory, without files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from metaphase.figures import Figure, Label
from metaphase.labels.dataset import Case, Dataset
from metaphase.labels.split import Split
from metaphase.training.checks.finding import Finding, Level, Patient
from metaphase.training.data.trainingdata import TrainingData
from tests.training.helpers import figure, make_recipe

SPLIT = Split(training=("a", "b"), validation=("c",))


def a_case(name: str, mitotic: int = 30, hard: int = 10, **fields: Any) -> Case:
    """A region of 1000 px with figures on a grid, far from its border."""
    figures: list[Figure] = []
    for number in range(mitotic + hard):
        label = Label.MITOTIC if number < mitotic else Label.HARD_NEGATIVE
        x, y = 100 + 90 * (number % 9), 100 + 90 * (number // 9)
        figures.append(figure(number, x, y, label, fields.get("box_px", 50)))
    fields.pop("box_px", None)
    values = {"mpp": 0.25, "scanner": "Aperio CS2", "width_px": 1000, "height_px": 1000, **fields}
    return Case(name, figures=tuple(figures), **values)


def a_patient(
    cases: Iterable[Case] | None = None,
    split: Split = SPLIT,
    crops: Iterable[Case] = (),
    **sections: Any,
) -> Patient:
    """Three sound cases, the last one held out, and a recipe of small patches."""
    regions = Dataset(cases if cases is not None else [a_case(name) for name in "abc"])
    return Patient(make_recipe(**sections), TrainingData(regions, Dataset(crops), split))


def by_place(findings: Iterable[Finding]) -> dict[str, Finding]:
    """Return findings by their place in the recipe."""
    return {finding.where: finding for finding in findings}


def only(findings: Iterable[Finding], level: Level) -> Finding:
    """Return the one finding, which must be of a level and say what to do unless it is fine."""
    (finding,) = findings
    assert finding.level is level, finding
    return finding
