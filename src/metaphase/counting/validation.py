"""Where a detector's precision and recall come from: numbers, an evaluation, its model file.

They belong to a threshold. An evaluation with its cases tells them at every threshold; others only
at their own, and elsewhere nothing is known. A card made from a cross-validation tells the counts
of left-out cases, each at the threshold that was chosen without it, as those of its own threshold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from metaphase.counting.interval import Validation
from metaphase.errors import InputError
from metaphase.provenance import Provenance

if TYPE_CHECKING:
    from metaphase.evaluation.curves import Curve

_SAME = 1e-6
_WAY_OUT = "give three numbers as TP,FP,FN, a JSON file of 'metaphase evaluate', or a model file"


class ValidationSource(Protocol):
    """A detector's counts of true, false and missed figures, by threshold."""

    def at(self, threshold: float) -> Validation | None:
        """Return the counts at a threshold, or None where they are not known."""
        ...


@dataclass(frozen=True, slots=True)
class FixedValidation:
    """Counts at one threshold (None: at whichever is asked for, because a person says so)."""

    counts: Validation
    threshold: float | None = None

    def at(self, threshold: float) -> Validation | None:
        """Return the counts if this is their threshold."""
        known = self.threshold is None or abs(threshold - self.threshold) <= _SAME
        return self.counts if known else None


@dataclass(frozen=True, eq=False, slots=True)
class ValidationCurve:
    """Counts at every threshold, from the scores of an evaluation's detections."""

    curve: Curve
    source: str = ""

    def at(self, threshold: float) -> Validation | None:
        """Return the counts of what scores at least ``threshold``; None if nothing true does."""
        rows = int(np.searchsorted(-self.curve.threshold, -threshold + _SAME, side="right"))
        if rows == 0 or self.curve.tp[rows - 1] == 0:
            return None
        tp, fp = int(self.curve.tp[rows - 1]), int(self.curve.fp[rows - 1])
        return Validation(tp, fp, self.curve.truths - tp, self.source)


def read_validation(told: str) -> ValidationSource:
    """Read "TP,FP,FN", a JSON file of 'metaphase evaluate', or a model file.

    JSON of others is read where it holds tp, fp and fn at the top or under "overall". Raises
    InputError.
    """
    path = Path(told)
    if path.is_dir() and (path / "card.json").is_file():
        path = path / "card.json"
    try:
        if not path.is_file():
            tp, fp, fn = (int(part) for part in told.split(","))
            return FixedValidation(Validation(tp, fp, fn, "as given"))
        data = json.loads(path.read_text(encoding="utf-8"))
        return _of_card(path, data) if "network" in data else _of_evaluation(path, data)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError.of(
            told, "does not tell true, false and missed figures", way_out=_WAY_OUT
        ) from error


def validation_of(made: Provenance) -> ValidationSource | None:
    """Return what detections say of their model's validation, if they say it."""
    known = made.parameters.validation
    if known is None or known.tp == 0:
        return None
    source = f"of the model that found them, {known.protocol or 'its own validation'}"
    return FixedValidation(Validation(known.tp, known.fp, known.fn, source), known.threshold)


def _of_card(path: Path, card: dict[str, Any]) -> ValidationSource:
    validation = card["scores"]["validation"]
    name = path.resolve().parent.name
    source = f"of the model {name}, {validation.get('protocol') or 'its own validation'}"
    return FixedValidation(_counts(validation["overall"], source), card["threshold"]["value"])


def _of_evaluation(path: Path, data: dict[str, Any]) -> ValidationSource:
    threshold = data.get("threshold")
    if data.get("outcomes") and isinstance(threshold, int | float):
        from metaphase.evaluation.scoresfile import load_scores

        return ValidationCurve(load_scores(path).curve, path.name)
    counts = _counts(data if "tp" in data else data["overall"], path.name)
    return FixedValidation(counts, float(threshold) if isinstance(threshold, int | float) else None)


def _counts(told: Any, source: str) -> Validation:
    tp, fp, fn = (int(told[name]) for name in ("tp", "fp", "fn"))
    return Validation(tp, fp, fn, source)
