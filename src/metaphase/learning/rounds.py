"""One round of a loop: fine-tune with the decisions, choose the threshold, write the model."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from metaphase.arrays import FloatArray
from metaphase.detection.decode import sigmoid
from metaphase.detection.resultfolder import GEOJSON_NAME, OVERLAY_NAME
from metaphase.detection.secondstage import combined_score
from metaphase.detectionfile import load_detections, save_detections
from metaphase.errors import InputError, MissingExtraError
from metaphase.learning.candidates import second_stage_of
from metaphase.learning.loopfolder import LoopFolder
from metaphase.learning.pool import Pool, load_pool
from metaphase.learning.rescoring import new_scores, rescored, shifted
from metaphase.learning.roundresult import RoundResult, save_round
from metaphase.learning.slidereview import SlideReview
from metaphase.locks import locked_folder
from metaphase.models.card import SecondStage, Threshold
from metaphase.models.modelfile import Model
from metaphase.training.finetune.expectedf1 import (
    ChosenThreshold,
    EarlierThreshold,
    ScoredCandidates,
    choose_threshold,
    lowest_threshold,
    scores_at,
)
from metaphase.training.finetune.selection import most_informative

LEAST_DECISIONS = 10
PROTOCOL = (
    "highest expected F1 over the reviewed slides: the scores of a slide are of a network that did"
    " not learn from its decisions, and undecided candidates count with their probability; with few"
    " decided figures the threshold stays near that of the first model"
)

Progress = Callable[[str, float], None]
"""Called with what is done now, and the part of the round that is finished, 0 to 1. An exception
that it raises ends the round; nothing is kept of it."""


@dataclass(frozen=True, slots=True)
class RoundOptions:
    """How a round trains. ``decisions``: candidates to propose next (None: as the loop began)."""

    depth: str = "head"
    decisions: int | None = None
    seed: int = 0


def train_round(
    loop: LoopFolder,
    reviews: Sequence[SlideReview],
    options: RoundOptions | None = None,
    progress: Progress = lambda text, part: None,
) -> RoundResult:
    """Fine-tune the second stage of the loop's first model with all decisions, and write a round.

    The model file of the round is complete: it is used like every other. The detections of the loop
    get its scores, and the next candidates to review are chosen. Raises InputError where there are
    fewer than LEAST_DECISIONS decisions, FolderInUseError, MissingExtraError without PyTorch.
    """
    options = options or RoundOptions()
    started = time.monotonic()
    with locked_folder(loop.path):
        base = loop.base_model()
        _, stage = second_stage_of(base)
        progress("reading", 0.0)
        pool = load_pool(loop, reviews)
        _check_decisions(loop, pool)
        tuned = _fine_tune(base, pool, options, progress)
        before = base.card.threshold.value
        chosen = _choose(pool, tuned, stage, before, options.seed)
        number = (loop.rounds() or [0])[-1] + 1
        progress("writing the model", 0.8)
        model = _write_model(loop, number, base, pool, tuned, chosen)
        progress("scoring", 0.95)
        for name, candidates, logits in zip(pool.names, pool.candidates, tuned.logits, strict=True):
            _rescore(loop, name, candidates, logits, stage, model)
        _propose(loop, pool, tuned, options)
        result = RoundResult.of(
            number,
            pool,
            chosen,
            before=scores_at(
                _scored(pool, pool.score, tuned.left_out),
                before,
                options.seed,
            ),
            base=base,
            model=model,
            how=tuned.record,
            seconds=time.monotonic() - started,
        )
        save_round(loop, result)
        progress("finished", 1.0)
    return result


def propose_first(loop: LoopFolder) -> int:
    """Choose the candidates for the first review by the model that the loop begins with."""
    from metaphase.training.finetune.tuning import untuned

    second, _ = second_stage_of(loop.base_model())
    pool = load_pool(loop)
    tuned = untuned(second, pool.features, [one.features for one in pool.candidates])
    return _propose(loop, pool, tuned, RoundOptions())


def _check_decisions(loop: LoopFolder, pool: Pool) -> None:
    number = int(pool.decided.sum() + pool.missed.sum())
    if number < LEAST_DECISIONS:
        raise InputError.of(
            loop.path,
            f"has {number} decisions; fine-tuning needs at least {LEAST_DECISIONS}",
            way_out="review more candidates with 'metaphase learn review'",
        )


def _fine_tune(base: Model, pool: Pool, options: RoundOptions, progress: Progress) -> Any:
    try:
        from metaphase.training.finetune.tuning import fine_tune
    except ImportError as error:
        raise MissingExtraError("train", "learning from a review") from error
    second, _ = second_stage_of(base)
    return fine_tune(
        second,
        features=[c.features for c in pool.candidates],
        windows=[c.windows for c in pool.candidates],
        target=pool.target,
        slide=pool.slide,
        depth=options.depth,
        seed=options.seed,
        progress=lambda text, part: progress(text, 0.05 + 0.75 * part),
    )


def _scored(pool: Pool, score: FloatArray, left_out: FloatArray) -> ScoredCandidates:
    """Return candidates with scores; undecided ones have the probability of the left-out logits."""
    probability = np.where(pool.decided, np.nan_to_num(pool.target), sigmoid(left_out))
    return ScoredCandidates(score, probability, pool.slide, pool.missed)


def _choose(
    pool: Pool, tuned: Any, stage: SecondStage, before: float, seed: int
) -> ChosenThreshold:
    """Choose the threshold; ``before`` is that of the model that the loop began with.

    The scores of an image are normalised as detection with the new model normalises them.
    """
    new = zip(pool.candidates, tuned.logits, strict=True)
    shift = np.array([new_scores(one, logits, stage).shift for one, logits in new])
    score = combined_score(pool.first, sigmoid(tuned.left_out_scores), stage)
    score = shifted(score, shift[pool.slide])
    lowest = lowest_threshold(score, pool.decided, before)
    earlier = EarlierThreshold(before, _decided_figures(pool))
    return choose_threshold(
        _scored(pool, score, tuned.left_out), seed, lowest=lowest, earlier=earlier
    )


def _decided_figures(pool: Pool) -> int:
    """Return the number of mitotic figures that the readers confirmed or added."""
    return int((pool.target[pool.decided] > 0.5).sum() + pool.missed.sum())


def _write_model(
    loop: LoopFolder, number: int, base: Model, pool: Pool, tuned: Any, chosen: ChosenThreshold
) -> Model:
    from metaphase.training.finetune.finetunedmodel import save_finetuned

    decided = pool.decided
    low, high = chosen.interval
    record = {
        **tuned.record,
        "from": base.card.name,
        "from_id": base.id,
        "round": number,
        "decisions": int(decided.sum() + pool.missed.sum()),
        "figures": _decided_figures(pool),
        "slides": len(np.unique(pool.slide[decided])),
        "scanners": sorted({image.scanner or "unknown" for image in loop.settings().images}),
        "threshold_interval": [low, high],
        "expected_f1": chosen.scores.expected.f1,
        "expected_f1_interval": list(chosen.scores.f1),
    }
    threshold = Threshold(
        value=chosen.value,
        chosen_on=f"{record['decisions']} decisions on {record['slides']} slides",
        protocol=f"{PROTOCOL}; 95 % interval {low:.3f} to {high:.3f}",
        f1=chosen.scores.expected.f1,
    )
    images = [h for h, one in zip(pool.hashes, pool.targets, strict=True)
              if h and not np.isnan(one.target).all()]  # fmt: skip
    return save_finetuned(
        loop.round(number) / "model", base, tuned.network, threshold, record, images
    )


def _rescore(
    loop: LoopFolder,
    name: str,
    candidates: Any,
    logits: FloatArray,
    stage: SecondStage,
    model: Model,
) -> None:
    """Give the detections of an image the scores of the new model."""
    folder = loop.detections / name
    detections = rescored(load_detections(folder), candidates, logits, stage)
    for stale in (GEOJSON_NAME, OVERLAY_NAME):
        (folder / stale).unlink(missing_ok=True)
    settled = detections.with_provenance(
        model=model.card.name, model_id=model.id, threshold=model.card.threshold.value
    )
    save_detections(settled.with_parameters(validation=None), folder)


def _propose(loop: LoopFolder, pool: Pool, tuned: Any, options: RoundOptions) -> int:
    """Write which candidates to review next, and return their number."""
    rows = most_informative(
        tuned.posterior,
        tuned.features,
        options.decisions or loop.settings().decisions,
        open_=~pool.decided,
        slide=pool.slide,
    )
    loop.write_order([pool.place(int(row)) for row in rows])
    return len(rows)
