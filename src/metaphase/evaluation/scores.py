"""Scores: the result of an evaluation, in memory and as plain values for JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from metaphase.evaluation.atypical import AtypicalScores, atypical_over
from metaphase.evaluation.bootstrap import Interval
from metaphase.evaluation.calibration import Calibration, calibration
from metaphase.evaluation.casescore import MISTAKES, CaseOutcome, CaseScore, Mistake
from metaphase.evaluation.countagreement import CountAgreement, count_agreement
from metaphase.evaluation.curves import (
    Counts,
    Curve,
    Froc,
    average_precision,
    froc,
    pooled_curve,
    ratio,
)
from metaphase.evaluation.matching import Rule
from metaphase.evaluation.protocols import ExerciseScore
from metaphase.labels.dataset import DOMAINS


@dataclass(frozen=True, slots=True)
class GroupScore:
    """The numbers of a set of cases: all of them, or one domain.

    Counts are pooled over the cases, as in the MIDOG challenges. ``hard_negatives`` are labelled
    ones. ``intervals`` are 95 % and empty where none were computed.
    """

    cases: int
    labelled: int
    predicted: int
    counts: Counts
    average_precision: float | None
    area_mm2: float
    mistakes: dict[str, int]
    intervals: dict[str, Interval] = field(default_factory=dict)
    hard_negatives: int = 0

    @property
    def false_positives_per_mm2(self) -> float | None:
        """False positives per mm2 of analysed image, or None without an area."""
        return ratio(self.counts.fp, self.area_mm2)

    @property
    def share_hard_negative(self) -> float | None:
        """The share of false positives on labelled hard negatives; None without either."""
        if not self.hard_negatives:
            return None
        return ratio(self.mistakes[str(Mistake.HARD_NEGATIVE)], self.counts.fp)

    @property
    def f1(self) -> float | None:
        """2 tp / (2 tp + fp + fn), or None."""
        return self.counts.f1

    @property
    def precision(self) -> float | None:
        """tp / (tp + fp), or None."""
        return self.counts.precision

    @property
    def recall(self) -> float | None:
        """tp / (tp + fn), or None."""
        return self.counts.recall

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; None is null."""
        return {
            "cases": self.cases,
            "labelled": self.labelled,
            "predicted": self.predicted,
            "tp": self.counts.tp,
            "fp": self.counts.fp,
            "fn": self.counts.fn,
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "average_precision": self.average_precision,
            "area_mm2": self.area_mm2,
            "false_positives": self.mistakes,
            "false_positives_per_mm2": self.false_positives_per_mm2,
            "hard_negatives": self.hard_negatives,
            "share_hard_negative": self.share_hard_negative,
            "intervals": {name: interval.to_dict() for name, interval in self.intervals.items()},
        }


@dataclass(frozen=True, slots=True)
class Worst:
    """The domain with the lowest F1, and the mean over the domains that have one."""

    domain: str
    f1: float
    mean_f1: float
    without_f1: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scores:
    """The result of an evaluation.

    ``overall`` pools all cases, ``domains[by][name]`` those of a scanner, tumour and so on (only
    kinds of domain that the labels name). ``threshold`` is None where cases were scored at
    different ones, as after a cross-validation. ``notes`` are sentences to be shown with the
    numbers. ``exercise`` is present if it was requested (see ``protocols``). ``trained_on`` are the
    ids of cases that the model was trained on, as far as is known. ``outcomes`` hold every
    position, for pictures and comparisons. ``atypical`` says how well atypical figures are
    recognised among the detected ones, by scanner; None where labels or detections do not say.
    """

    dataset: str
    model: str
    threshold: float | None
    radius_um: float
    rule: Rule
    overall: GroupScore
    domains: dict[str, dict[str, GroupScore]]
    curve: Curve
    froc: Froc
    agreement: CountAgreement
    calibration: Calibration
    hard_negative_class: dict[str, int]
    outcomes: tuple[CaseOutcome, ...] = field(repr=False, default=())
    notes: tuple[str, ...] = ()
    exercise: ExerciseScore | None = None
    trained_on: tuple[str, ...] = ()
    atypical: AtypicalScores | None = None

    @property
    def model_ids(self) -> tuple[str, ...]:
        """The ids of the models that made the detections."""
        return tuple(sorted({o.model_id for o in self.outcomes if o.model_id}))

    @property
    def f1(self) -> float | None:
        """F1 over all cases, or None."""
        return self.overall.f1

    @property
    def precision(self) -> float | None:
        """Precision over all cases, or None."""
        return self.overall.precision

    @property
    def recall(self) -> float | None:
        """Recall over all cases, or None."""
        return self.overall.recall

    @property
    def average_precision(self) -> float | None:
        """Average precision over all cases, or None."""
        return self.overall.average_precision

    @property
    def false_positives_per_mm2(self) -> float | None:
        """False positives per mm2 over all cases, or None."""
        return self.overall.false_positives_per_mm2

    @property
    def share_hard_negative(self) -> float | None:
        """The share of false positives on labelled hard negatives over all cases, or None."""
        return self.overall.share_hard_negative

    @property
    def cases(self) -> tuple[CaseScore, ...]:
        """The numbers of each case, in file order."""
        return tuple(outcome.case for outcome in self.outcomes)

    @property
    def worst(self) -> dict[str, Worst]:
        """The worst domain of each kind that has at least two domains with an F1."""
        worst = {by: worst_of(groups) for by, groups in self.domains.items()}
        return {by: value for by, value in worst.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return the numbers for JSON, without curves and single cases; None is null."""
        return {
            "dataset": self.dataset,
            "model": self.model,
            "model_ids": list(self.model_ids),
            "protocol": "whole regions",
            "threshold": self.threshold,
            "radius_um": self.radius_um,
            "rule": self.rule,
            "trained_on": list(self.trained_on),
            **self.overall.to_dict(),
            "froc": {
                "per_mm2": list(self.froc.sensitivity),
                "sensitivity": list(self.froc.sensitivity.values()),
                "reached": list(self.froc.reached.values()),
            },
            "count_agreement": asdict(self.agreement),
            "calibration": asdict(self.calibration),
            "hard_negative_class": self.hard_negative_class,
            "domains": {
                by: {name: group.to_dict() for name, group in groups.items()}
                for by, groups in self.domains.items()
            },
            "worst": {by: asdict(worst) for by, worst in self.worst.items()},
            **({} if self.atypical is None else {"atypical": self.atypical.to_dict()}),
            "exercise": None if self.exercise is None else self.exercise.to_dict(),
            "notes": list(self.notes),
        }

    @property
    def training_warning(self) -> str | None:
        """The sentence to show with the scores if the model was trained on some of the cases."""
        if not self.trained_on:
            return None
        shown = ", ".join(self.trained_on[:5]) + (", ..." if len(self.trained_on) > 5 else "")
        return (
            f"The model was trained on {len(self.trained_on)} of these {self.overall.cases} cases "
            f"({shown}). These scores say nothing about new images."
        )


def summarise(
    outcomes: Sequence[CaseOutcome],
    *,
    dataset: str,
    radius_um: float,
    rule: Rule,
    hard_negative_class: dict[str, int] | None = None,
    notes: Sequence[str] = (),
    exercise: ExerciseScore | None = None,
    trained_on: Sequence[str] = (),
) -> Scores:
    """Pool the outcomes of single cases into Scores."""
    curve = curve_over(outcomes)
    thresholds = {outcome.case.threshold for outcome in outcomes}
    models = sorted({outcome.model for outcome in outcomes if outcome.model})
    return Scores(
        dataset=dataset,
        model=", ".join(models) or "unknown",
        threshold=thresholds.pop() if len(thresholds) == 1 else None,
        radius_um=radius_um,
        rule=rule,
        overall=group_score(outcomes),
        domains={
            by: {name: group_score(part) for name, part in groups.items()}
            for by, groups in by_domain(outcomes).items()
        },
        curve=curve,
        froc=froc_over(outcomes, curve),
        agreement=agreement_over(outcomes),
        calibration=calibration_over(outcomes),
        hard_negative_class=hard_negative_class or {},
        outcomes=tuple(outcomes),
        notes=tuple(notes),
        exercise=exercise,
        trained_on=tuple(trained_on),
        atypical=atypical_over(outcomes),
    )


def worst_of(groups: Mapping[str, GroupScore], *, least_labelled: int = 0) -> Worst | None:
    """Return the group of lowest F1 (ties: the first), None with fewer than two.

    Groups with fewer than ``least_labelled`` figures are not considered: their F1 is uncertain.
    """
    f1 = {
        name: group.f1
        for name, group in groups.items()
        if group.f1 is not None and group.labelled >= least_labelled
    }
    if len(f1) < 2:
        return None
    name = min(f1, key=lambda n: f1[n])
    without = tuple(n for n in groups if n not in f1)
    return Worst(name, f1[name], sum(f1.values()) / len(f1), without)


def group_score(outcomes: Sequence[CaseOutcome]) -> GroupScore:
    """Pool some cases."""
    cases = [outcome.case for outcome in outcomes]
    return GroupScore(
        cases=len(cases),
        labelled=sum(case.labelled for case in cases),
        predicted=sum(case.predicted for case in cases),
        counts=sum((case.counts for case in cases), Counts()),
        average_precision=average_precision(curve_over(outcomes)),
        area_mm2=sum(case.area_mm2 for case in cases),
        mistakes={str(kind): sum(case.mistakes[kind] for case in cases) for kind in MISTAKES},
        hard_negatives=sum(case.hard_negatives for case in cases),
    )


def curve_over(outcomes: Sequence[CaseOutcome]) -> Curve:
    """Return the counts at every threshold, pooled over some cases."""
    return pooled_curve(
        [outcome.score for outcome in outcomes],
        [outcome.gains for outcome in outcomes],
        sum(len(outcome.truth) for outcome in outcomes),
    )


def by_domain(outcomes: Sequence[CaseOutcome]) -> dict[str, dict[str, list[CaseOutcome]]]:
    """Return the outcomes by kind of domain and domain, for the kinds that the labels name.

    Groups are a kind of domain where cases share them (the fields of a slide).
    """
    table: dict[str, dict[str, list[CaseOutcome]]] = {}
    for by in DOMAINS:
        groups = by_key(outcomes, lambda case, by=by: case.domain(by))  # type: ignore[misc]
        shared = len(groups) < len(outcomes)
        if shared if by == "group" else set(groups) != {"unknown"}:
            table[by] = groups
    return table


def by_key(
    outcomes: Sequence[CaseOutcome], key: Callable[[CaseScore], str]
) -> dict[str, list[CaseOutcome]]:
    """Return the outcomes by any property of their case, in order of first appearance."""
    groups: dict[str, list[CaseOutcome]] = {}
    for outcome in outcomes:
        groups.setdefault(key(outcome.case), []).append(outcome)
    return groups


def froc_over(outcomes: Sequence[CaseOutcome], curve: Curve) -> Froc:
    """Return the FROC of some cases."""
    return froc(curve, sum(outcome.case.area_mm2 for outcome in outcomes))


def agreement_over(outcomes: Sequence[CaseOutcome]) -> CountAgreement:
    """Return the agreement of predicted and labelled counts over some cases."""
    cases = [outcome.case for outcome in outcomes]
    return count_agreement(
        [case.labelled for case in cases],
        [case.predicted for case in cases],
        [case.area_mm2 for case in cases],
    )


def calibration_over(outcomes: Sequence[CaseOutcome]) -> Calibration:
    """Return the calibration of all detections of some cases, matched without a threshold."""
    scores = [score for outcome in outcomes for score in outcome.score.tolist()]
    correct = [fp == 0 for outcome in outcomes for fp in outcome.gains.fp.tolist()]
    return calibration(scores, correct)
