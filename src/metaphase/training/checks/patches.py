"""Checks of the patches of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from metaphase.figures import Label
from metaphase.training.checks.finding import Finding, Level, Patient
from metaphase.training.patches.patch import CaseTargets
from metaphase.training.patches.sampling import Sampler

_MOST_PATCHES = 2000
_RARE, _EVERYWHERE = 0.1, 0.9
_SAME_PLACE = 0.05
_CELL_PX = 8


@dataclass(frozen=True)
class Epoch:
    """Figures in some patches of the first epoch, and where in its patch the figure lies that the
    patch was drawn around, in parts of the patch's side."""

    mitotic: list[int]
    hard: list[int]
    around: list[float]
    seen: int
    figures: int


def draw_patches(sampler: Sampler, patient: Patient) -> Epoch:
    """Draw the patches of the run, without their pixels."""
    box_um = patient.recipe.data.box_um
    targets = {c.id: CaseTargets(patient.training[c.id], c.mpp, box_um) for c in sampler.cases}
    mitotic, hard, around, seen = [], [], [], set()
    for index in range(min(len(sampler), _MOST_PATCHES)):
        spec = sampler.spec(0, index)
        points, _, labels, _ = targets[spec.case_id].inside(spec)
        own = points[labels == Label.MITOTIC.code]
        mitotic.append(len(own))
        hard.append(int((labels == Label.HARD_NEGATIVE.code).sum()))
        mpp = targets[spec.case_id].mpp
        places = own * spec.mpp / mpp + [spec.x_px, spec.y_px]
        seen |= {(spec.case_id, *place) for place in np.round(places, 3).tolist()}
        if spec.kind == "mitotic" and len(own):
            middle = np.abs(own - spec.patch_px / 2).max(axis=1).argmin()
            around += (own[middle] / spec.patch_px).tolist()
    return Epoch(mitotic, hard, around, len(seen), patient.training.count())


def figures(patient: Patient) -> Iterator[Finding]:
    """How many patches show figures, how many figures an epoch shows, where they lie."""
    sampler = patient.sampler
    if sampler is None:
        return
    epoch = draw_patches(sampler, patient)
    part = np.mean([n > 0 for n in epoch.mitotic])
    measured = (
        f"{part:.0%} of {len(sampler)} patches show mitotic figures, "
        f"{np.mean([n > 0 for n in epoch.hard]):.0%} hard negatives; "
        f"{epoch.seen} of {epoch.figures} figures seen in the first {len(epoch.mitotic)}"
    )
    if part < _RARE:
        message, way_out = (
            "mitotic figures are rare in the patches",
            "raise sampling.shares.mitotic",
        )
        yield Finding(Level.TRAP, "sampling", message, measured, way_out)
    elif part > _EVERYWHERE:
        message, way_out = "almost every patch shows figures", "raise sampling.shares.random"
        yield Finding(Level.TRAP, "sampling", message, measured, way_out)
    else:
        yield Finding(Level.OK, "sampling", "patches with and without figures", measured)
    yield from _places(patient, epoch)
    yield from _imbalance(patient, epoch)


def _places(patient: Patient, epoch: Epoch) -> Iterator[Finding]:
    if len(epoch.around) < 20:
        return
    spread = float(np.std(epoch.around))
    middle = float(np.median(epoch.around))
    measured = f"median at {middle:.2f} of the patch's side, spread {spread:.2f}"
    if spread < _SAME_PLACE or patient.recipe.sampling.offset == "corner-at-centre":
        yield Finding(
            Level.TRAP,
            "sampling.offset",
            "figures always lie at the same place in their patch: the network learns the place",
            measured,
            "offset = 'uniform'",
        )
    else:
        yield Finding(Level.OK, "sampling.offset", "figures lie anywhere in patches", measured)


def _imbalance(patient: Patient, epoch: Epoch) -> Iterator[Finding]:
    cells = (patient.recipe.sampling.patch_px // _CELL_PX) ** 2
    positives = float(np.mean(epoch.mitotic))
    if positives:
        ratio = cells / positives
        yield Finding(
            Level.OK,
            "sampling",
            "classes are unbalanced, which the focal loss is made for",
            f"one figure in {ratio:,.0f} places at stride {_CELL_PX}",
        )


def hard_negatives(patient: Patient) -> Iterator[Finding]:
    """Whether hard negatives are trained on."""
    sampling = patient.recipe.sampling
    labelled = patient.training.count(Label.HARD_NEGATIVE)
    drawn = sampling.scheme == "mixture" and sampling.shares.hard_negative > 0
    if sampling.mined is not None and not sampling.mined.is_file():
        yield Finding(Level.ERROR, "sampling.mined", f"{sampling.mined} is missing")
    mined = sampling.mined is not None or bool(sampling.mine_at)
    if labelled and not drawn:
        yield Finding(
            Level.TRAP,
            "sampling",
            "no patches are drawn around hard negatives, which cause false positives",
            f"{labelled} labelled, 0 % of the patches drawn around them",
            "scheme = 'mixture' with shares.hard_negative = 0.3",
        )
    elif not labelled and not mined:
        yield Finding(
            Level.NOTE,
            "sampling.mine_at",
            "no hard negatives are labelled and none are mined",
            "0 labelled",
            "mine_at = [0.3, 0.6] searches the training regions for false positives",
        )
    elif mined and not drawn:
        way_out = "shares.hard_negative = 0.3"
        message = "hard negatives are mined but no patches are drawn around them"
        yield Finding(Level.TRAP, "sampling.shares", message, "share 0", way_out)
    else:
        share = sampling.shares.hard_negative
        message = "hard negatives are trained on"
        yield Finding(Level.OK, "sampling", message, f"{labelled} labelled, share {share:g}")


def variation(patient: Patient) -> Iterator[Finding]:
    """Whether patches are augmented."""
    augment = patient.recipe.augment
    if augment.strength == 0 or not augment.symmetries:
        yield Finding(
            Level.NOTE,
            "augment",
            "patches are hardly augmented: the network will not fit other scanners or stains",
            f"strength {augment.strength:g}, symmetries {str(augment.symmetries).lower()}",
            "strength = 1.0, symmetries = true",
        )
