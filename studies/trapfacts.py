"""Pitfalls that arithmetic on MIDOG 2021's labels shows: nothing is trained."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from metaphase.evaluation.protocols import covered_px, exercise_patches
from metaphase.figures import Label, points_of
from metaphase.labels.publishedsplits import exercise_split
from metaphase.labels.read import load_dataset
from metaphase.training.checks.doctor import with_present_images
from metaphase.training.checks.finding import Patient
from metaphase.training.checks.patches import draw_patches
from metaphase.training.data.load import load_data
from metaphase.training.recipe.anchors import coverage, from_labels
from metaphase.training.recipe.bundled import bundled_recipe
from metaphase.training.recipe.recipe import load_recipe
from metaphase.training.recipe.sections import RetinaNetwork


def facts_table(midog: Path) -> str:
    """Return a Markdown table of what the exercise's recipe meets in MIDOG's labels."""
    os.environ["METAPHASE_DATA"] = str(midog.parent.parent)
    recipe = with_present_images(load_recipe(bundled_recipe("exercise")))
    patient = Patient(recipe, load_data(recipe, check=False))
    rows = [*_anchors(patient), *_rates(patient), *_patches(patient), *_lists(midog)]
    head = "| trap | the exercise | put right |\n|---|---|---|\n"
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


def _anchors(patient: Patient) -> list[tuple[str, str, str]]:
    network, sizes = patient.recipe.network, patient.sizes
    assert isinstance(network, RetinaNetwork)
    assert network.anchors != "from-labels"
    ratios = network.aspect_ratios
    parts = [
        coverage(sizes, network.anchors, ratios, scale=800 / 512),
        coverage(sizes, network.anchors, ratios),
        coverage(sizes, from_labels(sizes)),
    ]
    return [
        (
            "places where a figure meets an anchor with IoU >= 0.5",
            f"{parts[0]:.0%} (without the hidden resize {parts[1]:.0%})",
            f"{parts[2]:.0%}, one anchor from the labels at stride 8",
        )
    ]


def _rates(patient: Patient) -> list[tuple[str, str, str]]:
    optimiser, steps = patient.recipe.optimiser, patient.steps_per_epoch
    epochs = patient.recipe.trainer.epochs
    rates = []
    for every in ("epoch", "step"):
        moved = optimiser.model_copy(update={"schedule_step": every})
        course = rates(moved, steps_per_epoch=steps, epochs=epochs)
        rates.append(f"{course[0]:.1e} to {max(course):.1e} to {course[-1]:.1e}")
    return [(f"learning rate over {epochs:,} epochs of {steps} steps", rates[0], rates[1])]


def _patches(patient: Patient) -> list[tuple[str, str, str]]:
    assert patient.sampler is not None
    spread = np.std(draw_patches(patient.sampler, patient).around)
    right = patient.recipe.sampling.model_copy(
        update={"offset": "uniform", "scheme": "mixture", "balance_by": "scanner"}
    )
    other = Patient(patient.recipe.model_copy(update={"sampling": right}), patient.data)
    assert other.sampler is not None
    uniform = np.std(draw_patches(other.sampler, other).around)
    return [
        (
            "where in its patch the figure lies (spread, in sides)",
            f"{spread:.2f}",
            f"{uniform:.2f} (evenly: 0.29)",
        ),
        (
            "share of the test area that patches placed by the labels cover",
            f"{_tested(patient):.0%}",
            "100 %",
        ),
    ]


def _tested(patient: Patient) -> float:
    """Return the share of the test regions that the exercise's test patches cover."""
    seen = total = 0.0
    for number, case in enumerate(patient.held_out):
        width, height = case.width_px or 0, case.height_px or 0
        corners = exercise_patches(points_of(case.figures), width, height, [0, number])
        seen += covered_px(corners, width, height)
        total += width * height
    return seen / total


def _lists(midog: Path) -> list[tuple[str, str, str]]:
    cases = load_dataset(midog)
    listed = exercise_split(repaired=False).training
    unlabelled = [id_ for id_ in listed if id_ in cases and not cases[id_].labelled]
    known = cases.labelled()
    each = known.count() / len(known)
    hard = cases.select([i for i in exercise_split().training if i in cases])
    return [
        (
            "unlabelled images in the training list, read as empty",
            f"{len(unlabelled)} of {len(listed)}: about {each * len(unlabelled):.0f} mitotic "
            "figures called background",
            "refused",
        ),
        (
            "hard negatives learnt from",
            f"0 of {hard.count(Label.HARD_NEGATIVE)}",
            "30 % of the patches",
        ),
    ]
