"""Scores on disk: one JSON file, enough for curves, pictures and comparisons.

The upper part is ``Scores.to_dict()``, for people and other programs. ``outcomes`` holds every case
with its positions, one line each.
"""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from metaphase.errors import InputError
from metaphase.evaluation.atypical import AtypicalScore, AtypicalScores
from metaphase.evaluation.bootstrap import Interval
from metaphase.evaluation.casescore import MISTAKES, AtypicalFigures, CaseOutcome, CaseScore
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.matching import RULES, Gains
from metaphase.evaluation.protocols import ExerciseScore
from metaphase.evaluation.scores import GroupScore, Scores, summarise
from metaphase.figures import ATYPICAL_DECIMALS, POSITION_DECIMALS, SCORE_DECIMALS
from metaphase.files import write_text
from metaphase.labels.dataset import DOMAINS
from metaphase.textfile import read_head, read_json

FORMAT = 1


def save_scores(scores: Scores, path: str | Path, **more: Any) -> None:
    """Write scores and further plain values as keys, whole or not at all."""
    head = {"format": FORMAT, **scores.to_dict(), **more}
    text = json.dumps(head, indent=1, ensure_ascii=False, allow_nan=False)
    lines = [
        json.dumps(_outcome(o), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        for o in scores.outcomes
    ]
    write_text(path, text[:-2] + ',\n "outcomes": [\n' + ",\n".join(lines) + "\n ]\n}\n")


def load_scores(path: str | Path) -> Scores:
    """Read what ``save_scores`` wrote; all numbers are computed again from the outcomes.

    Intervals are read. Raises InputError for any other file and for values that cannot be scores.
    """
    path = Path(path)
    data = read_json(path)
    if not isinstance(data, dict) or data.get("format") != FORMAT or "outcomes" not in data:
        raise InputError.of(path, "is not an evaluation", way_out=_WAY_OUT)
    try:
        return _scores(data)
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
        detail = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise InputError.of(path, f"is damaged: {detail}", way_out=_WAY_OUT) from error


def is_scores(path: str | Path) -> bool:
    """Return whether a file is an evaluation: ``format`` and ``dataset`` are its first keys."""
    path = Path(path)
    if not path.is_file():
        return False
    head = b"".join(read_head(path, size=_HEAD).split())
    return head.startswith(b'{"format":') and b'"dataset":' in head


_Score = TypeVar("_Score", GroupScore, AtypicalScore)
_HEAD = 200
_MOST = 1 << 53  # larger counts are no counts
_WAY_OUT = "name a file that 'metaphase evaluate --out' wrote"


def _scores(data: dict[str, Any]) -> Scores:
    exercise = data.get("exercise")
    if data["rule"] not in RULES:
        raise ValueError(f"{data['rule']!r} is no matching rule")
    scores = summarise(
        [_outcome_from(row, index) for index, row in enumerate(data["outcomes"])],
        dataset=_text(data["dataset"]),
        radius_um=_number(data["radius_um"], "radius_um", low=1e-9),
        rule=data["rule"],
        hard_negative_class={
            str(name): _count(value, name) for name, value in data["hard_negative_class"].items()
        },
        notes=[_text(note) for note in data["notes"]],
        exercise=None if exercise is None else _exercise(exercise),
        trained_on=[_text(id_) for id_ in data.get("trained_on", ())],
    )
    atypical = scores.atypical
    if atypical is not None and "atypical" in data:
        saved = data["atypical"]
        atypical = AtypicalScores(
            _with_intervals(atypical.overall, saved),
            {n: _with_intervals(s, saved["domains"][n]) for n, s in atypical.domains.items()},
        )
    return replace(
        scores,
        atypical=atypical,
        model=_text(data["model"]),
        overall=_with_intervals(scores.overall, data),
        domains={
            by: {n: _with_intervals(group, data["domains"][by][n]) for n, group in groups.items()}
            for by, groups in scores.domains.items()
        },
    )


def _with_intervals(group: _Score, data: dict[str, Any]) -> _Score:
    intervals = {str(name): _interval(value) for name, value in data["intervals"].items()}
    return replace(group, intervals=intervals)


def _interval(data: dict[str, Any]) -> Interval:
    low, high = (
        None if data[end] is None else _number(data[end], end, low=-np.inf)
        for end in ("low", "high")
    )
    return Interval(
        low,
        high,
        _number(data["level"], "level"),
        _text(data["method"]),
        _count(data["resamples"], "resamples"),
        _count(data["units"], "units"),
    )


def _exercise(data: dict[str, Any]) -> ExerciseScore:
    counts = Counts(*(_count(data[name], name) for name in ("tp", "fp", "fn")))
    share = _number(data["share_looked_at"], "share_looked_at")
    return ExerciseScore(counts, _count(data["patches"], "patches"), share, int(data["seed"]))


def _outcome(outcome: CaseOutcome) -> dict[str, Any]:
    case = outcome.case
    return {
        "id": case.id,
        "domains": case.domains,
        "group": case.group,
        "image": outcome.image,
        "model": outcome.model,
        "model_id": outcome.model_id,
        "mpp": case.mpp,
        "area_mm2": case.area_mm2,
        "threshold": case.threshold,
        "labelled": case.labelled,
        "predicted": case.predicted,
        "tp": case.counts.tp,
        "fp": case.counts.fp,
        "fn": case.counts.fn,
        "false_positives": case.mistakes,
        "hard_negatives": case.hard_negatives,
        "truth": outcome.truth.round(POSITION_DECIMALS).tolist(),
        "found": outcome.detected.astype(int).tolist(),
        "points": outcome.points.round(POSITION_DECIMALS).tolist(),
        "score": outcome.score.round(SCORE_DECIMALS).tolist(),
        "right": outcome.true_positive.astype(int).tolist(),
        "mistake": outcome.mistake.tolist(),
        "gained_found": outcome.gains.tp.tolist(),
        "gained_false": outcome.gains.fp.tolist(),
        **({} if outcome.atypical is None else {"atypical": _atypical(outcome.atypical)}),
    }


def _atypical(figures: AtypicalFigures) -> dict[str, Any]:
    return {
        "truth": figures.truth.astype(int).tolist(),
        "probability": figures.probability.round(ATYPICAL_DECIMALS).tolist(),
        "threshold": figures.threshold,
    }


def _atypical_from(data: dict[str, Any] | None) -> AtypicalFigures | None:
    if data is None:
        return None
    truth, probability = np.array(data["truth"], bool), np.array(data["probability"], np.float64)
    if truth.shape != probability.shape or truth.ndim != 1:
        raise ValueError("columns of unequal length")
    if not ((probability >= 0) & (probability <= 1)).all():
        raise ValueError("probabilities of atypical must lie from 0 to 1")
    return AtypicalFigures(truth, probability, _number(data["threshold"], "threshold"))


def _outcome_from(row: dict[str, Any], index: int) -> CaseOutcome:
    """Return one case; raise ValueError, naming it, for values that cannot be an outcome."""
    try:
        return _checked(row, _case_from(row))
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        name = row.get("id", index) if isinstance(row, dict) else index
        raise ValueError(f"case {name!r}: {error}") from error


def _case_from(row: dict[str, Any]) -> CaseScore:
    domains = {by: _text(row["domains"][by]) for by in DOMAINS if by != "group"}
    mistakes = row["false_positives"]
    return CaseScore(
        id=_text(row["id"]),
        domains=domains,
        group=_text(row["group"]),
        mpp=_number(row["mpp"], "mpp", low=1e-9),
        area_mm2=_number(row["area_mm2"], "area_mm2"),
        threshold=_number(row["threshold"], "threshold"),
        labelled=_count(row["labelled"], "labelled"),
        predicted=_count(row["predicted"], "predicted"),
        counts=Counts(*(_count(row[name], name) for name in ("tp", "fp", "fn"))),
        mistakes={str(kind): _count(mistakes[str(kind)], kind) for kind in MISTAKES},
        hard_negatives=_count(row["hard_negatives"], "hard_negatives"),
    )


def _checked(row: dict[str, Any], case: CaseScore) -> CaseOutcome:
    correct = np.array(row["right"], bool)
    mistake = np.array(row["mistake"], np.int8)
    outcome = CaseOutcome(
        case=case,
        points=np.array(row["points"], np.float64).reshape(-1, 2),
        score=np.array(row["score"], np.float64),
        above_threshold=correct | (mistake >= 0),
        true_positive=correct,
        mistake=mistake,
        truth=np.array(row["truth"], np.float64).reshape(-1, 2),
        detected=np.array(row["found"], bool),
        gains=Gains(
            np.array(row["gained_found"], np.int64), np.array(row["gained_false"], np.int64)
        ),
        image=_text(row["image"]),
        model=_text(row["model"]),
        model_id=_text(row["model_id"]),
        atypical=_atypical_from(row.get("atypical")),
    )
    columns = (outcome.score, correct, mistake, outcome.gains.tp, outcome.gains.fp)
    sizes = {column.shape for column in columns} | {(len(outcome.points),)}
    if len(sizes) > 1 or outcome.detected.shape != (len(outcome.truth),):
        raise ValueError("columns of unequal length")
    finite = np.isfinite(outcome.points).all() and np.isfinite(outcome.truth).all()
    if not finite or not ((outcome.score >= 0) & (outcome.score <= 1)).all():
        raise ValueError("positions must be finite and scores from 0 to 1")
    if outcome.gains.tp.min(initial=0) < 0 or outcome.gains.fp.min(initial=0) < 0:
        raise ValueError("counts must not be negative")
    if not ((mistake >= -1) & (mistake < len(MISTAKES))).all():
        raise ValueError("a false positive is of no known kind")
    return outcome


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not text")
    return value


def _number(value: Any, name: str, *, low: float = 0.0) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} = {value!r} is not a number")
    if not (math.isfinite(value) and value >= low):
        raise ValueError(f"{name} = {value!r} is out of range")
    return float(value)


def _count(value: Any, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} = {value!r} is not a count")
    if not 0 <= value < _MOST:
        raise ValueError(f"{name} = {value!r} is out of range")
    return value
