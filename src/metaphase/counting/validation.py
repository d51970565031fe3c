"""Sources of a detector's precision and recall: given counts, an evaluation, or the model file.

They belong to a threshold. An evaluation with its cases has them at every threshold, the others
only at their own; at other thresholds they are unknown. A card that was made from a
cross-validation holds the counts of left-out cases, each at the threshold that was chosen without
it, as those of the card's own threshold.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from metaphase.counting.interval import Validation
from metaphase.errors import InputError
from metaphase.files import read_text, real_path
from metaphase.models.cardscores import CardScores
from metaphase.provenance import Provenance, ValidationCounts

if TYPE_CHECKING:
    from metaphase.evaluation.curves import Curve

_EQUAL = 1e-6  # difference of equal thresholds
_WAY_OUT = "give three numbers as TP,FP,FN, a JSON file of 'metaphase evaluate', or a model file"


class ValidationSource(Protocol):
    """True positives, false positives and missed figures of a detector, by threshold."""

    def at(self, threshold: float) -> Validation | None:
        """Return the counts at a threshold, or None if they are unknown."""
        ...


@dataclass(frozen=True, slots=True)
class FixedValidation:
    """Counts at one threshold (None: at any, because a user states them)."""

    counts: Validation
    threshold: float | None = None

    def at(self, threshold: float) -> Validation | None:
        """Return the counts if this is their threshold."""
        applies = self.threshold is None or abs(threshold - self.threshold) <= _EQUAL
        return self.counts if applies else None


@dataclass(frozen=True, eq=False, slots=True)
class ValidationCurve:
    """Counts at every threshold, from the scores of the detections of an evaluation."""

    curve: Curve
    source: str = ""

    def at(self, threshold: float) -> Validation | None:
        """Return the counts of detections with at least this score; None without true ones."""
        rows = int(np.searchsorted(-self.curve.threshold, -threshold + _EQUAL, side="right"))
        if rows == 0 or self.curve.tp[rows - 1] == 0:
            return None
        tp, fp = int(self.curve.tp[rows - 1]), int(self.curve.fp[rows - 1])
        return Validation(tp, fp, self.curve.truths - tp, self.source)


_UNREADABLE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError),
)
"""What a file that holds something else raises."""


def read_validation(source: str) -> ValidationSource:
    """Read "TP,FP,FN", a JSON file of 'metaphase evaluate', or a model file.

    Other JSON files are read if they hold tp, fp and fn at the top or under "overall". Raises
    InputError.
    """
    try:
        path = Path(source)
        if (path / "card.json").is_file():
            path = path / "card.json"
        if not path.is_file():
            tp, fp, fn = (int(part) for part in source.split(","))
            return FixedValidation(Validation(tp, fp, fn, "as given"))
        data = json.loads(read_text(path))
        return _of_card(path, data) if "network" in data else _of_evaluation(path, data)
    except _UNREADABLE as error:
        raise InputError.of(
            source,
            "gives no counts of true positives, false positives and missed figures",
            way_out=_WAY_OUT,
        ) from error


def validation_of(provenance: Provenance) -> ValidationSource | None:
    """Return the validation of the model that made the detections; None if it is unknown."""
    counts = provenance.parameters.validation
    if counts is None or counts.tp == 0:
        return None
    return FixedValidation(_validation(counts, "the model of the detections"), counts.threshold)


def _validation(counts: ValidationCounts, model: str) -> Validation:
    source = f"of {model}: {counts.protocol or 'its own validation'}"
    return Validation(counts.tp, counts.fp, counts.fn, source)


def _of_card(path: Path, data: dict[str, Any]) -> ValidationSource:
    scores = CardScores.model_validate(data["scores"]).validation
    if scores is None:
        raise ValueError("the card holds no validation")
    overall = scores.overall.model_dump(include={"tp", "fp", "fn"})
    counts = ValidationCounts.model_validate(
        {"threshold": data["threshold"]["value"], "protocol": scores.protocol, **overall}
    )
    name = real_path(path).parent.name
    return FixedValidation(_validation(counts, f"the model {name}"), counts.threshold)


def _of_evaluation(path: Path, data: dict[str, Any]) -> ValidationSource:
    threshold = data.get("threshold")
    if data.get("outcomes") and isinstance(threshold, int | float):
        from metaphase.evaluation.scoresfile import load_scores

        return ValidationCurve(load_scores(path).curve, path.name)
    counts = data if "tp" in data else data["overall"]
    tp, fp, fn = (int(counts[name]) for name in ("tp", "fp", "fn"))
    validation = Validation(tp, fp, fn, path.name)
    return FixedValidation(validation, float(threshold) if threshold is not None else None)
