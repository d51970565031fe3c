"""How detections are scored: one object for every evaluation of a command."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metaphase.errors import InputError, Problem
from metaphase.evaluation.bootstrap import RESAMPLES, Method
from metaphase.evaluation.comparison import Difference, compare
from metaphase.evaluation.evaluate import evaluate
from metaphase.evaluation.intervals import STRATA, with_intervals
from metaphase.evaluation.matching import Rule
from metaphase.evaluation.protocols import Protocol
from metaphase.evaluation.scores import Scores
from metaphase.evaluation.thresholds import bagged_threshold, freeze_threshold, protocol_text
from metaphase.figures import Detections
from metaphase.labels.dataset import Dataset
from metaphase.models.modelfile import Model
from metaphase.radii import MATCH_RADIUS_UM

MOST_RESAMPLES = 1_000_000


@dataclass(frozen=True, slots=True)
class EvaluationSettings:
    """Matching, threshold and intervals; see ``evaluate`` and ``with_intervals``.

    ``resamples`` of 0 computes no intervals. Raises InputError for values out of range.
    """

    radius_um: float = MATCH_RADIUS_UM
    rule: Rule = "midog"
    threshold: float | None = None
    protocol: Protocol = "whole"
    allow_missing: bool = False
    resamples: int = RESAMPLES
    method: Method = "bca"
    strata: str = STRATA
    seed: int = 0

    def __post_init__(self) -> None:
        problems = []
        if not 0 < self.radius_um < math.inf:
            problems.append(f"the matching radius must be a positive number, not {self.radius_um}")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            problems.append(f"the threshold must lie in [0, 1], not {self.threshold}")
        if not 0 <= self.resamples <= MOST_RESAMPLES:
            problems.append(f"resamples must be 0 to {MOST_RESAMPLES:,}, not {self.resamples}")
        if problems:
            raise InputError(Problem("evaluation", "", message) for message in problems)

    def score(
        self,
        detections: Mapping[str, Detections] | str | Path,
        dataset: Dataset,
        notes: Sequence[str] = (),
    ) -> Scores:
        """Return the scores of detections, with further notes. Raises as ``evaluate`` does."""
        scores = evaluate(
            detections,
            dataset,
            radius_um=self.radius_um,
            rule=self.rule,
            threshold=self.threshold,
            allow_missing=self.allow_missing,
            protocol=self.protocol,
            seed=self.seed,
        )
        scores = replace(scores, notes=(*scores.notes, *notes))
        if not self.resamples:
            return scores
        return with_intervals(
            scores,
            resamples=self.resamples,
            method=self.method,
            strata=self.strata,
            seed=self.seed,
        )

    def compare(self, first: Scores, second: Scores) -> dict[str, Difference]:
        """Return the paired differences, second minus first. Raises InputError."""
        return compare(
            first,
            second,
            resamples=self.resamples or RESAMPLES,
            method=self.method,
            strata=self.strata,
            seed=self.seed,
        )

    def choose_threshold(
        self, detections: Mapping[str, Detections] | str | Path, dataset: Dataset
    ) -> tuple[float, float]:
        """Return the threshold chosen on these cases, and its F1 there."""
        return bagged_threshold(
            detections,
            dataset,
            radius_um=self.radius_um,
            rule=self.rule,
            allow_missing=self.allow_missing,
        )

    def freeze(self, model: str | Path, value: float, f1: float, dataset: Dataset) -> Model:
        """Write a threshold chosen on these cases into a model file; return the changed model."""
        return freeze_threshold(
            model,
            value,
            chosen_on=f"{dataset.name or 'data set'}: {len(dataset)} cases",
            protocol=protocol_text(self.radius_um, self.rule),
            f1=f1,
        )
