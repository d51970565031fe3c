"""Scores on disk: one JSON file, enough for curves, pictures and comparisons.

The upper part is ``Scores.to_dict()``, for people and other programs. ``outcomes`` holds every case
with its positions, one line each.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from metaphase.errors import InputError
from metaphase.evaluation.bootstrap import Interval
from metaphase.evaluation.casescore import CaseOutcome, CaseScore
from metaphase.evaluation.curves import Counts
from metaphase.evaluation.matching import Gains
from metaphase.evaluation.protocols import ExerciseScore
from metaphase.evaluation.scores import GroupScore, Scores, summarise
from metaphase.figures import POSITION_DECIMALS, SCORE_DECIMALS
from metaphase.files import open_regular, read_text, write_text

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

    Intervals are read. Raises InputError for any other file.
    """
    path = Path(path)
    try:
        data = json.loads(read_text(path))
    except OSError as error:
        raise InputError.of(path, f"cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError.of(path, f"is not JSON: {error}", way_out=_WAY_OUT) from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or "outcomes" not in data:
        raise InputError.of(path, "is not an evaluation", way_out=_WAY_OUT)
    try:
        return _scores(data)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError.of(path, f"is damaged: {error!r}", way_out=_WAY_OUT) from error


def is_scores(path: str | Path) -> bool:
    """Return whether a file is an evaluation: ``format`` and ``dataset`` are its first keys."""
    path = Path(path)
    if not path.is_file():
        return False
    with open_regular(path) as stream:
        head = b"".join(stream.read(_HEAD).split())
    return head.startswith(b'{"format":') and b'"dataset":' in head


_HEAD = 200
_WAY_OUT = "name a file that 'metaphase evaluate --out' wrote"


def _scores(data: dict[str, Any]) -> Scores:
    exercise = data.get("exercise")
    scores = summarise(
        [_outcome_from(row) for row in data["outcomes"]],
        dataset=data["dataset"],
        radius_um=data["radius_um"],
        rule=data["rule"],
        hard_negative_class=data["hard_negative_class"],
        notes=data["notes"],
        exercise=None if exercise is None else _exercise(exercise),
        trained_on=data.get("trained_on", ()),
    )
    return replace(
        scores,
        model=data["model"],
        overall=_with_intervals(scores.overall, data),
        domains={
            by: {n: _with_intervals(group, data["domains"][by][n]) for n, group in groups.items()}
            for by, groups in scores.domains.items()
        },
    )


def _with_intervals(group: GroupScore, data: dict[str, Any]) -> GroupScore:
    return replace(group, intervals={k: Interval(**v) for k, v in data["intervals"].items()})


def _exercise(data: dict[str, Any]) -> ExerciseScore:
    counts = Counts(data["tp"], data["fp"], data["fn"])
    return ExerciseScore(counts, data["patches"], data["share_looked_at"], data["seed"])


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
    }


def _outcome_from(row: dict[str, Any]) -> CaseOutcome:
    case = CaseScore(
        id=row["id"],
        domains=row["domains"],
        group=row["group"],
        mpp=row["mpp"],
        area_mm2=row["area_mm2"],
        threshold=row["threshold"],
        labelled=row["labelled"],
        predicted=row["predicted"],
        counts=Counts(row["tp"], row["fp"], row["fn"]),
        mistakes=row["false_positives"],
        hard_negatives=row["hard_negatives"],
    )
    true_positive = np.array(row["right"], bool)
    mistake = np.array(row["mistake"], np.int8)
    outcome = CaseOutcome(
        case=case,
        points=np.array(row["points"], np.float64).reshape(-1, 2),
        score=np.array(row["score"], np.float64),
        above_threshold=true_positive | (mistake >= 0),
        true_positive=true_positive,
        mistake=mistake,
        truth=np.array(row["truth"], np.float64).reshape(-1, 2),
        detected=np.array(row["found"], bool),
        gains=Gains(np.array(row["gained_found"], np.int64), np.array(row["gained_false"])),
        image=row["image"],
        model=row["model"],
        model_id=row["model_id"],
    )
    sizes = {len(v) for v in (outcome.points, outcome.score, true_positive, mistake)}
    if len(sizes) > 1 or len(outcome.truth) != len(outcome.detected):
        raise ValueError(f"case {case.id}: columns of unequal length")
    return outcome
