"""Checks of labels, images, split and leakage."""

from __future__ import annotations

from collections.abc import Iterator

from metaphase.errors import SplitError
from metaphase.figures import Label
from metaphase.labels.dataset import Dataset
from metaphase.training.checks.finding import Finding, Level, Patient, mpp_of, shown

_FEW_FIGURES = 50
_MANY = 3
_UNLIKE = 0.15


def labels(patient: Patient) -> Iterator[Finding]:
    """Numbers of cases, figures and hard negatives to train on."""
    training = patient.training
    figures, hard = training.count(), training.count(Label.HARD_NEGATIVE)
    measured = f"{len(training)} cases, {figures} mitotic figures, {hard} hard negatives"
    if not len(training):
        way_out = "name labelled cases under training"
        yield Finding(Level.ERROR, "data.split", "no case is trained on", measured, way_out)
    elif not figures:
        yield Finding(Level.ERROR, "data", "no training case has a mitotic figure", measured)
    elif figures < _FEW_FIGURES:
        way_out = "add sources, or augment strongly"
        yield Finding(Level.NOTE, "data", "few mitotic figures to train on", measured, way_out)
    else:
        yield Finding(Level.OK, "data", "labels to train on", measured)


def images(patient: Patient) -> Iterator[Finding]:
    """Whether the images exist and their resolution is known."""
    cases = [*patient.training, *patient.held_out]
    folders = [s.images for s in patient.recipe.data.sources if s.images and not s.images.is_dir()]
    absent = [case.id for case in cases if case.image is None or not case.image.is_file()]
    if absent:
        absent_folders = f"; there is no folder {shown(folders)}" if folders else ""
        yield Finding(
            Level.ERROR,
            "data.sources",
            f"images are missing: {shown(absent)}{absent_folders}",
            f"{len(absent)} of {len(cases)} cases",
            "name their folder as images of the source",
        )
    unknown = [c.id for c in cases if mpp_of(c) is None]
    if unknown:
        yield Finding(
            Level.NOTE,
            "data.sources",
            f"the resolution of {shown(unknown)} is in neither labels nor scanner name",
            f"{len(unknown)} of {len(cases)} cases",
            "if the image files lack it, too, give mpp for the source",
        )
    mpp = patient.recipe.network.mpp
    coarse = [c.id for c in cases if (found := mpp_of(c)) and found > 1.4 * mpp]
    if coarse:
        yield Finding(
            Level.TRAP,
            "network.mpp",
            f"{shown(coarse)} are coarser than the network: pixels would be interpolated",
            f"{max(mpp_of(c) or 0 for c in cases):.3g} against {mpp:.3g} um/px",
            "choose a coarser network.mpp",
        )


def split(patient: Patient) -> Iterator[Finding]:
    """Unlabelled, duplicate, unknown and leaking cases; missing parts."""
    from metaphase.labels.split import check_split

    chosen, whole = patient.data.split, patient.data.regions
    try:
        check_split(chosen, whole)
    except SplitError as error:
        yield from _leaks(error, "data.split")
    else:
        sizes = ", ".join(f"{len(ids)} {part}" for part, ids in chosen.parts().items() if ids)
        yield Finding(Level.OK, "data.split", "no case is unlabelled, duplicate or leaking", sizes)
    if not chosen.validation:
        yield Finding(
            Level.TRAP,
            "data.split",
            "no validation cases to choose the best epoch and the threshold on",
            "0 cases",
            "put cases aside, or split = 'stratified'",
        )
    elif not whole.where(lambda case: case.id in chosen.validation).count():
        way_out = "choose cases with figures"
        yield Finding(
            Level.ERROR, "data.split", "validation has no mitotic figure", "0 figures", way_out
        )


def crops(patient: Patient) -> Iterator[Finding]:
    """Whether crops are of held-out slides, by name."""
    if not len(patient.data.crops):
        return
    from metaphase.training.data.load import check_crops

    measured = f"{len(patient.data.crops)} crops"
    try:
        check_crops(patient.data, (source.name for source in patient.recipe.data.sources))
    except SplitError as error:
        yield from _leaks(error, "data.sources")
    else:
        message = "no crop is of a held-out slide, by name"
        way_out = "--check-pixels compares the images"
        yield Finding(Level.OK, "data.sources", message, measured, way_out)


def pixels(patient: Patient) -> Iterator[Finding]:
    """Whether images of two parts share pixels, whatever their names (reads all images)."""
    from metaphase.training.data.heldout import refuse_shared_images

    split = patient.data.split
    sizes = {part: len(ids) for part, ids in split.parts().items() if ids}
    held = len({*split.validation, *split.test})
    crops = len(patient.data.crops) if held else 0
    if len(sizes) < 2:
        yield Finding(
            Level.NOTE,
            "data",
            "pixels were not compared: all cases are on one side, and crops are compared with "
            "held-out cases",
            f"{sum(sizes.values())} cases, {len(patient.data.crops)} crops",
            "put cases aside, or 'metaphase cross-validate --check-pixels'",
        )
        return
    try:
        refuse_shared_images(patient.data)
    except SplitError as error:
        yield from _leaks(error, "data")
    else:
        parts = ", ".join(f"{count} {part}" for part, count in sizes.items())
        measured = parts + (f"; {crops} crops against {held} held-out cases" if crops else "")
        yield Finding(Level.OK, "data", "no pixels are on two sides", measured)


def _leaks(error: SplitError, where: str) -> Iterator[Finding]:
    for problem in error.problems[:20]:
        place = f"{where}: {problem.record}"
        yield Finding(Level.ERROR, place, problem.message, "", problem.way_out)


def scanners(patient: Patient) -> Iterator[Finding]:
    """Whether training and held-out cases come from the same scanners."""
    train, held_out = _shares(patient.training), _shares(patient.held_out)
    if not train or not held_out:
        return
    shares = ", ".join(
        f"{s} {train.get(s, 0):.0%}/{held_out.get(s, 0):.0%}" for s in train | held_out
    )
    unseen = [scanner for scanner in held_out if scanner not in train]
    if unseen:
        yield Finding(
            Level.OK, "data.split", f"scored on a scanner not trained on: {shown(unseen)}", shares
        )
    elif max(abs(train.get(s, 0) - held_out.get(s, 0)) for s in train | held_out) > _UNLIKE:
        yield Finding(
            Level.TRAP,
            "data.split",
            "the split is blind to the scanner: the parts differ in their cases' scanners",
            shares,
            "split = 'stratified', or leave a scanner out on purpose",
        )
    elif len(train) > 1:
        yield Finding(
            Level.NOTE,
            "data.split",
            "every held-out scanner is trained on: the score says nothing about other scanners",
            shares,
            "also run 'metaphase cross-validate --by scanner'",
        )
    else:
        return
    by = patient.recipe.sampling.balance_by
    if by == "none" and len(train) > 1 and max(train.values()) > _MANY * min(train.values()):
        yield Finding(
            Level.NOTE,
            "sampling.balance_by",
            "scanners are not balanced and differ in their number of cases",
            shares,
            "balance_by = 'scanner'",
        )


def _shares(dataset: Dataset) -> dict[str, float]:
    """Return which part of the cases is each scanner's."""
    return {scanner: len(part) / len(dataset) for scanner, part in dataset.by_domain().items()}
