"""The record of a round, and the table of all rounds of a loop."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from metaphase.errors import InputError
from metaphase.files import read_text, write_json
from metaphase.learning.loopfolder import ROUND_NAME, LoopFolder
from metaphase.learning.pool import Pool
from metaphase.models.modelfile import Model
from metaphase.training.finetune.expectedf1 import ChosenThreshold, ExpectedScores


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="allow", allow_inf_nan=False)


class Measured(_Frozen):
    """A value and its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} [{self.low:.2f}, {self.high:.2f}]"


class RoundScores(_Frozen):
    """Expected scores on the reviewed slides at a threshold (``finetune/expectedf1.py``)."""

    threshold: float
    f1: Measured
    precision: Measured
    recall: Measured

    @classmethod
    def of(cls, threshold: float, scores: ExpectedScores) -> RoundScores:
        """Make them of what ``expectedf1`` computes."""
        expected = scores.expected
        return cls(
            threshold=threshold,
            f1=_measured(expected.f1, scores.f1),
            precision=_measured(expected.precision, scores.precision),
            recall=_measured(expected.recall, scores.recall),
        )


class RoundResult(_Frozen):
    """What ``round.json`` holds. ``before``: the scores of the model that the loop began with."""

    number: int = Field(ge=1)
    created: str
    decisions: int
    figures: int
    slides: int
    threshold: Measured
    scores: RoundScores
    before: RoundScores
    model_id: str
    base_id: str
    how: dict[str, Any]
    seconds: float

    @classmethod
    def of(
        cls,
        number: int,
        pool: Pool,
        chosen: ChosenThreshold,
        *,
        before: ExpectedScores,
        base: Model,
        model: Model,
        how: dict[str, Any],
        seconds: float,
    ) -> RoundResult:
        """Make the record of a round."""
        decided, target = pool.decided, pool.target
        missed = int(pool.missed.sum())
        return cls(
            number=number,
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            decisions=int(decided.sum()) + missed,
            figures=int((target[decided] > 0.5).sum()) + missed,
            slides=len(np.unique(pool.slide[decided])),
            threshold=_measured(chosen.value, chosen.interval),
            scores=RoundScores.of(chosen.value, chosen.scores),
            before=RoundScores.of(base.card.threshold.value, before),
            model_id=model.id,
            base_id=base.id,
            how=how,
            seconds=round(seconds, 2),
        )


def _measured(value: float, interval: tuple[float, float]) -> Measured:
    return Measured(value=value, low=interval[0], high=interval[1])


def save_round(loop: LoopFolder, result: RoundResult) -> None:
    """Write ``round.json``, which marks the round as finished."""
    write_json(loop.round(result.number) / ROUND_NAME, result.model_dump(mode="json"))


def load_rounds(loop: LoopFolder) -> list[RoundResult]:
    """Read the finished rounds, in order. Raises InputError for one that is damaged."""
    found = []
    for number in loop.rounds():
        path = loop.round(number) / ROUND_NAME
        try:
            found.append(RoundResult.model_validate(json.loads(read_text(path))))
        except (OSError, ValueError, RecursionError) as error:  # pydantic's is a ValueError
            raise InputError.of(
                path,
                f"cannot be read: {error}",
                way_out=f"remove {path.parent}, and train again",
            ) from error
    return found


def round_lines(rounds: list[RoundResult]) -> list[str]:
    """Return the rounds as lines of text, with 95 % intervals in brackets."""
    lines = []
    for one in rounds:
        lines += [
            f"round {one.number}: {one.decisions} decisions ({one.figures} mitotic figures) on "
            f"{one.slides} slides, threshold {one.threshold}",
            f"  F1 {one.scores.f1}, precision {one.scores.precision}, recall {one.scores.recall}",
            f"  F1 {one.before.f1} before, at {one.before.threshold:.2f}",
        ]
    return lines
