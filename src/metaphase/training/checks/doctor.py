"""``metaphase doctor``: checks of a recipe and its data before the first step.

Each check is a function from the patient (recipe, labels, split) to findings. ``CHECKS`` lists them
in the order of the report; add a function to it to add a check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from metaphase.errors import InputError
from metaphase.training.checks import labels, network, patches, run
from metaphase.training.checks.finding import Finding, Level, Patient
from metaphase.training.data.load import load_data
from metaphase.training.recipe.recipe import Recipe

__all__ = ["CHECKS", "Finding", "Level", "examine", "worst"]

Check = Callable[[Patient], Iterable[Finding]]

CHECKS: tuple[Check, ...] = (
    labels.labels,
    labels.images,
    labels.split,
    labels.scanners,
    labels.crops,
    patches.figures,
    patches.hard_negatives,
    patches.variation,
    network.anchors,
    network.head,
    network.weights,
    run.learning_rate,
    run.validation,
    run.environment,
    network.memory,
)
"""Checks that read labels only; they take seconds."""

MEASURED: tuple[Check, ...] = (run.duration,)
"""Checks that run the network and read patches."""


def examine(
    recipe: Recipe,
    *,
    measure: bool = True,
    pixels: bool = False,
    watch: Callable[[str], None] = lambda name: None,
) -> list[Finding]:
    """Return all findings, in the order of the report.

    ``measure`` times a few steps and patches on this computer, unless there was an error.
    ``pixels`` compares the images of the split's parts and the crops, which takes minutes.
    ``watch`` is called with each check's name as it begins.
    """
    try:
        data = load_data(with_present_images(recipe), check=False)
    except InputError as error:
        return [
            Finding(Level.ERROR, f"data: {p.record or p.file}", p.message, "", p.way_out)
            for p in error.problems
        ]
    patient = Patient(recipe, data)
    findings = list(_run(CHECKS, patient, watch))
    if pixels:
        findings += _run((labels.pixels,), patient, watch)
    if measure and worst(findings) != Level.ERROR:
        findings += _run(MEASURED, patient, watch)
    return findings


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level of all findings; "ok" for none."""
    order = list(Level)
    return max((finding.level for finding in findings), key=order.index, default=Level.OK)


def with_present_images(recipe: Recipe) -> Recipe:
    """Return the recipe without the folders of images that do not exist: most checks need labels
    only."""
    sources = tuple(
        source
        if source.images is None or source.images.is_dir()
        # Another check reports cases without pixels.
        else source.model_copy(update={"images": None})
        for source in recipe.data.sources
    )
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"sources": sources})})


def _run(
    checks: Iterable[Check], patient: Patient, watch: Callable[[str], None]
) -> Iterator[Finding]:
    for check in checks:
        watch((check.__doc__ or check.__name__).splitlines()[0])
        try:
            yield from check(patient)
        except InputError as error:  # of one check; the others are run
            yield from (
                Finding(Level.ERROR, p.record or p.file, p.message, "", p.way_out)
                for p in error.problems
            )
